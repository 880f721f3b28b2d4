//! The tree itself, in memory: what the embedded and the in-memory store share.
//!
//! Duty: the rules of a multi. [`Tree::stage`] decides without changing anything what a multi would do;
//! [`Tree::apply`] does it and fires the watches. Between the two the embedded store commits the staged
//! changes to its file. Pure: no I/O, no clock.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::watch::{Fired, Watches};
use super::{
    Conflict, MetaOp, MultiError, Node, NodePath, OpResult, SessionId, Stat, StoreError, Version,
    WatchKind, Zxid,
};
use crate::limits;

mod nodes;

pub(super) use nodes::Nodes;

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Nodes,
    last_zxid: Zxid,
    watches: Watches,
}

/// A multi that was found possible: what it changes, and its zxid.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) zxid: Zxid,
    /// What each node that the multi touches is afterwards; `None` when it is gone.
    pub(super) changes: BTreeMap<NodePath, Option<Node>>,
    pub(super) results: Vec<OpResult>,
}

/// A multi that was done: its results, and the watches that it ended.
#[derive(Debug)]
#[must_use = "whoever watches is to be told"]
pub(super) struct Applied {
    pub(super) results: Vec<OpResult>,
    pub(super) fired: Vec<Fired>,
}

impl Tree {
    /// A tree of these nodes besides the root.
    pub(super) fn new(nodes: BTreeMap<NodePath, Node>, last_zxid: Zxid) -> Self {
        Self {
            nodes: Nodes::new(nodes),
            last_zxid,
            watches: Watches::default(),
        }
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The nodes as they are now.
    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Sets a watch; what it gives is told when the watch fires, and cancelled when it is lost.
    pub(super) fn watch(
        &mut self,
        session: SessionId,
        path: &NodePath,
        kind: WatchKind,
    ) -> Result<futures_channel::oneshot::Receiver<()>, StoreError> {
        self.watches.set(session, path, kind)
    }

    /// Ends the watches of a session that would have fired had the tree changed from `seen` to what it is.
    pub(super) fn fire_changed_since(&mut self, session: SessionId, seen: &Nodes) -> Vec<Fired> {
        let nodes = &self.nodes;
        self.watches.take(session, |path, kind| {
            let changed = |path: &NodePath| seen.stat(path) != nodes.stat(path);
            match kind {
                WatchKind::Node => changed(path),
                WatchKind::Children => {
                    let created = |nodes: &Nodes| nodes.stat(path).map(|stat| stat.czxid);
                    created(seen) != created(nodes) || seen.children(path) != nodes.children(path)
                }
            }
        })
    }

    /// Drops the watches of a session, which tells their holders that they are lost.
    pub(super) fn forget_watches(&mut self, session: SessionId) {
        self.watches.end_session(session);
    }

    /// Decides what a multi does, without doing it.
    pub(super) fn stage(&self, session: SessionId, ops: &[MetaOp]) -> Result<Staged, MultiError> {
        limits::check_multi(ops)?;
        let mut staged = Staged {
            zxid: self.last_zxid.next(),
            changes: BTreeMap::new(),
            results: Vec::with_capacity(ops.len()),
        };
        for (index, op) in ops.iter().enumerate() {
            let result = self
                .stage_op(&mut staged, session, op)
                .map_err(|conflict| MultiError::Conflict {
                    index,
                    path: op.path().clone(),
                    conflict,
                })?;
            staged.results.push(result);
        }
        Ok(staged)
    }

    fn stage_op(
        &self,
        staged: &mut Staged,
        session: SessionId,
        op: &MetaOp,
    ) -> Result<OpResult, Conflict> {
        match op {
            MetaOp::Create { path, data } => self.stage_create(staged, path, data, None),
            MetaOp::CreateEphemeral { path, data } => {
                self.stage_create(staged, path, data, Some(session))
            }
            MetaOp::Set {
                path,
                data,
                version,
            } => {
                let mut stat = self.expect_version(staged, path, *version)?.stat;
                stat.mzxid = staged.zxid;
                stat.version = stat.version.next();
                let data = data.clone();
                staged
                    .changes
                    .insert(path.clone(), Some(Node { data, stat }));
                Ok(OpResult::Set(stat))
            }
            MetaOp::Check { path, version } => {
                self.expect_version(staged, path, *version)?;
                Ok(OpResult::Checked)
            }
            MetaOp::Delete { path, version } => {
                self.expect_version(staged, path, *version)?;
                if path.is_root() || self.has_children(staged, path) {
                    return Err(Conflict::NotEmpty);
                }
                staged.changes.insert(path.clone(), None);
                Ok(OpResult::Deleted)
            }
        }
    }

    fn stage_create(
        &self,
        staged: &mut Staged,
        path: &NodePath,
        data: &[u8],
        owner: Option<SessionId>,
    ) -> Result<OpResult, Conflict> {
        if self.at(staged, path).is_some() {
            return Err(Conflict::NodeExists);
        }
        let parent = path.parent().ok_or(Conflict::NodeExists)?;
        let parent = self.at(staged, &parent).ok_or(Conflict::NoNode)?;
        if parent.stat.ephemeral_owner.is_some() {
            return Err(Conflict::EphemeralParent);
        }
        let stat = Stat {
            czxid: staged.zxid,
            mzxid: staged.zxid,
            version: Version::FIRST,
            ephemeral_owner: owner,
        };
        let data = data.to_vec();
        staged
            .changes
            .insert(path.clone(), Some(Node { data, stat }));
        Ok(OpResult::Created)
    }

    fn expect_version<'a>(
        &'a self,
        staged: &'a Staged,
        path: &NodePath,
        version: Option<Version>,
    ) -> Result<&'a Node, Conflict> {
        let node = self.at(staged, path).ok_or(Conflict::NoNode)?;
        match version {
            Some(version) if version != node.stat.version => Err(Conflict::BadVersion),
            _ => Ok(node),
        }
    }

    /// The node as the operations before have left it.
    fn at<'a>(&'a self, staged: &'a Staged, path: &NodePath) -> Option<&'a Node> {
        match staged.changes.get(path) {
            Some(change) => change.as_ref(),
            None => self.nodes.get(path),
        }
    }

    fn has_children(&self, staged: &Staged, path: &NodePath) -> bool {
        let prefix = path.prefix();
        let below =
            |candidate: &NodePath| candidate.as_str().starts_with(&prefix) && !candidate.is_root();
        let from = (Bound::Excluded(path.clone()), Bound::Unbounded);
        let staged_child = staged
            .changes
            .range(from.clone())
            .any(|(path, change)| below(path) && change.is_some());
        let kept_child = || {
            let mut candidates = self.nodes.below(path);
            candidates.any(|(path, _)| !matches!(staged.changes.get(path), Some(None)))
        };
        staged_child || kept_child()
    }

    /// Does what was staged; the watches that it ends are for the caller to tell.
    pub(super) fn apply(&mut self, staged: Staged) -> Applied {
        debug_assert!(staged.zxid > self.last_zxid);
        self.last_zxid = staged.zxid;
        let mut fired = Vec::new();
        for (path, change) in staged.changes {
            let exists = change.is_some();
            let existed = self.nodes.replace(&path, change).is_some();
            if existed || exists {
                self.watches.fire(&path, WatchKind::Node, &mut fired);
            }
            if existed != exists
                && let Some(parent) = path.parent()
            {
                self.watches.fire(&parent, WatchKind::Children, &mut fired);
            }
            if !exists {
                self.watches.fire(&path, WatchKind::Children, &mut fired);
            }
        }
        Applied {
            results: staged.results,
            fired,
        }
    }

    /// Ends a session: its watches are lost, its ephemeral nodes go in one write.
    pub(super) fn end_session(&mut self, session: SessionId) -> Vec<Fired> {
        self.forget_watches(session);
        let staged = Staged {
            zxid: self.last_zxid.next(),
            changes: self
                .nodes
                .owned_by(session)
                .map(|path| (path.clone(), None))
                .collect(),
            results: Vec::new(),
        };
        self.apply(staged).fired
    }
}
