//! The path of a node in the metadata store.
//!
//! Duty: a path that was checked once, so that no store has to check it again. The rules are ZooKeeper's,
//! so that a path that one store accepts is accepted by all. Which paths exist is [`crate::paths`]' business.

use std::fmt;

use thiserror::Error;

/// An absolute path: `/` or `/a/b`, no empty, `.` or `..` component, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePath(String);

/// Why a text is not a [`NodePath`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path:?} is not a path of the metadata store: {reason}")]
pub struct PathError {
    /// The text.
    pub path: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

impl NodePath {
    /// The root, which always exists and holds nothing.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Checks a text.
    ///
    /// # Errors
    /// [`PathError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let refuse = |reason| {
            Err(PathError {
                path: text.to_owned(),
                reason,
            })
        };
        if text == "/" {
            return Ok(Self::root());
        }
        let Some(components) = text.strip_prefix('/') else {
            return refuse("it does not begin with /");
        };
        for component in components.split('/') {
            match component {
                "" => return refuse("a component is empty"),
                "." | ".." => return refuse("a component is . or .."),
                _ if component.chars().any(char::is_control) => {
                    return refuse("a component holds a control character");
                }
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The node `name` under this one. The caller vouches for the name: it comes from a type whose text is a
    /// valid component (an id, a number, a checked topic name).
    #[allow(dead_code, reason = "the layout of the store comes next")]
    pub(crate) fn join(&self, name: impl fmt::Display) -> Self {
        let joined = if self.is_root() {
            format!("/{name}")
        } else {
            format!("{}/{name}", self.0)
        };
        debug_assert_eq!(
            Self::parse(&joined).as_ref().map(Self::as_str),
            Ok(joined.as_str())
        );
        Self(joined)
    }

    /// The node above; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        match self.0.rsplit_once('/') {
            Some(("", _)) | None => Some(Self::root()),
            Some((parent, _)) => Some(Self(parent.to_owned())),
        }
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Whether this is `/`.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A bound for ranges only: just before everything that begins with `prefix`.
    pub(super) fn from_prefix(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// A bound for ranges only: just after everything below the node `child` under `prefix`, since `0` is
    /// the byte that follows `/`.
    pub(super) fn after_subtree(prefix: &str, child: &str) -> Self {
        Self(format!("{prefix}{child}0"))
    }

    /// What every path below this one begins with.
    pub(super) fn prefix(&self) -> String {
        if self.is_root() {
            "/".to_owned()
        } else {
            format!("{}/", self.0)
        }
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
