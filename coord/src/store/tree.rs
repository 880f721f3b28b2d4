//! The tree itself, in memory: what the embedded and the in-memory store share.
//!
//! Duty: the rules of a multi. [`Tree::stage`] decides without changing anything what a multi would do;
//! [`Tree::apply`] does it and fires the watches. Between the two the embedded store commits the staged
//! changes to its file. Pure: no I/O, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::watch::Watches;
use super::{
    Conflict, MetaOp, MultiError, Node, NodePath, OpResult, SessionId, Stat, StoreError, Version,
    Watch, WatchKind, Zxid,
};
use crate::limits;

#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<NodePath, Node>,
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

impl Tree {
    /// A tree of these nodes besides the root.
    pub(super) fn new(nodes: BTreeMap<NodePath, Node>, last_zxid: Zxid) -> Self {
        let mut tree = Self {
            nodes,
            last_zxid,
            watches: Watches::default(),
        };
        let root = Node {
            data: Vec::new(),
            stat: Stat {
                czxid: Zxid::new(0),
                mzxid: Zxid::new(0),
                version: Version::FIRST,
                ephemeral_owner: None,
            },
        };
        tree.nodes.entry(NodePath::root()).or_insert(root);
        tree
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    pub(super) fn read(&self, path: &NodePath) -> Option<Node> {
        self.nodes.get(path).cloned()
    }

    pub(super) fn children(&self, path: &NodePath) -> Option<Vec<String>> {
        self.nodes
            .contains_key(path)
            .then(|| self.child_names(path).map(str::to_owned).collect())
    }

    /// Sets a watch.
    pub(super) fn watch(
        &mut self,
        session: SessionId,
        path: &NodePath,
        kind: WatchKind,
    ) -> Result<Watch, StoreError> {
        if kind == WatchKind::Children && !self.nodes.contains_key(path) {
            return Err(StoreError::NoNode { path: path.clone() });
        }
        self.watches.set(session, path, kind)
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
        Ok(OpResult::Created(stat))
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
            let mut candidates = self.range_below(path);
            candidates.any(|(path, _)| !matches!(staged.changes.get(path), Some(None)))
        };
        staged_child || kept_child()
    }

    fn range_below(&self, path: &NodePath) -> impl Iterator<Item = (&NodePath, &Node)> {
        let prefix = path.prefix();
        let from = NodePath::from_prefix(&prefix);
        self.nodes
            .range((Bound::Excluded(from), Bound::Unbounded))
            .take_while(move |(path, _)| path.as_str().starts_with(&prefix))
    }

    /// Names directly below, in byte order. Grandchildren are skipped by seeking, not by walking over them.
    fn child_names(&self, path: &NodePath) -> impl Iterator<Item = &str> {
        let prefix = path.prefix();
        let mut from = Bound::Excluded(NodePath::from_prefix(&prefix));
        std::iter::from_fn(move || {
            loop {
                let (found, _) = self.nodes.range((from.clone(), Bound::Unbounded)).next()?;
                let rest = found.as_str().strip_prefix(prefix.as_str())?;
                match rest.split_once('/') {
                    None => {
                        from = Bound::Excluded(found.clone());
                        return Some(rest);
                    }
                    Some((child, _)) => {
                        from = Bound::Included(NodePath::after_subtree(&prefix, child))
                    }
                }
            }
        })
    }

    /// Does what was staged, fires the watches, and returns the results.
    pub(super) fn apply(&mut self, staged: Staged) -> Vec<OpResult> {
        debug_assert!(staged.zxid > self.last_zxid);
        self.last_zxid = staged.zxid;
        for (path, change) in staged.changes {
            let existed = self.nodes.contains_key(&path);
            let exists = change.is_some();
            match change {
                Some(node) => self.nodes.insert(path.clone(), node),
                None => self.nodes.remove(&path),
            };
            if existed || exists {
                self.watches.fire(&path, WatchKind::Node);
            }
            if existed != exists
                && let Some(parent) = path.parent()
            {
                self.watches.fire(&parent, WatchKind::Children);
            }
            if !exists {
                self.watches.fire(&path, WatchKind::Children);
            }
        }
        staged.results
    }

    /// Ends a session: its ephemeral nodes go in one write, its watches are lost.
    pub(super) fn end_session(&mut self, session: SessionId) {
        self.watches.end_session(session);
        let owned: BTreeSet<NodePath> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.stat.ephemeral_owner == Some(session))
            .map(|(path, _)| path.clone())
            .collect();
        let staged = Staged {
            zxid: self.last_zxid.next(),
            changes: owned.into_iter().map(|path| (path, None)).collect(),
            results: Vec::new(),
        };
        self.apply(staged);
    }
}
