//! The nodes of a tree by path, and how they are looked at.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::super::{Node, NodePath, SessionId, Stat, Version, Zxid};

/// All nodes at one moment, the root among them.
#[derive(Debug, Clone)]
pub(in crate::store) struct Nodes(BTreeMap<NodePath, Node>);

impl Nodes {
    /// These, and the root.
    pub(super) fn new(mut nodes: BTreeMap<NodePath, Node>) -> Self {
        nodes.entry(NodePath::root()).or_insert(Node {
            data: Vec::new(),
            stat: Stat {
                czxid: Zxid::new(0),
                mzxid: Zxid::new(0),
                version: Version::FIRST,
                ephemeral_owner: None,
            },
        });
        Self(nodes)
    }

    pub(super) fn get(&self, path: &NodePath) -> Option<&Node> {
        self.0.get(path)
    }

    pub(super) fn stat(&self, path: &NodePath) -> Option<Stat> {
        self.get(path).map(|node| node.stat)
    }

    pub(in crate::store) fn read(&self, path: &NodePath) -> Option<Node> {
        self.get(path).cloned()
    }

    pub(in crate::store) fn contains(&self, path: &NodePath) -> bool {
        self.0.contains_key(path)
    }

    pub(in crate::store) fn children(&self, path: &NodePath) -> Option<Vec<String>> {
        self.contains(path)
            .then(|| self.child_names(path).map(str::to_owned).collect())
    }

    /// Puts a node in the place of what was there, or nothing; gives what was there.
    pub(super) fn replace(&mut self, path: &NodePath, node: Option<Node>) -> Option<Node> {
        match node {
            Some(node) => self.0.insert(path.clone(), node),
            None => self.0.remove(path),
        }
    }

    pub(super) fn owned_by(&self, session: SessionId) -> impl Iterator<Item = &NodePath> {
        let owned = move |node: &Node| node.stat.ephemeral_owner == Some(session);
        let nodes = self.0.iter();
        nodes
            .filter(move |(_, node)| owned(node))
            .map(|(path, _)| path)
    }

    /// Everything under a node.
    pub(super) fn below(&self, path: &NodePath) -> impl Iterator<Item = (&NodePath, &Node)> {
        let prefix = path.prefix();
        let from = NodePath::from_prefix(&prefix);
        self.0
            .range((Bound::Excluded(from), Bound::Unbounded))
            .take_while(move |(path, _)| path.as_str().starts_with(&prefix))
    }

    /// Names directly below, in byte order. Grandchildren are skipped by seeking, not by walking over them.
    fn child_names(&self, path: &NodePath) -> impl Iterator<Item = &str> {
        let prefix = path.prefix();
        let mut from = Bound::Excluded(NodePath::from_prefix(&prefix));
        std::iter::from_fn(move || {
            loop {
                let (found, _) = self.0.range((from.clone(), Bound::Unbounded)).next()?;
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
}
