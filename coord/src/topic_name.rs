//! The name of a topic, checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::TOPIC_NAME_BYTES_MAX;

/// A topic's name: 1 to 249 bytes of `[A-Za-z0-9._-]`, neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicName(String);

/// Why a text is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TopicNameError {
    /// Nothing there.
    #[error("a topic name must not be empty")]
    Empty,
    /// Too long.
    #[error("a topic name of {bytes} bytes is too long, at most {bytes_max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// `.` or `..`.
    #[error("a topic cannot be named {name:?}")]
    Dots {
        /// The name.
        name: String,
    },
    /// A character that is not allowed.
    #[error(
        "the topic name {name:?} holds {character:?}; allowed are letters and digits of ASCII, '.', '_' and '-'"
    )]
    Character {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// Names beginning with `__` are the broker's own.
    #[error("the topic name {name:?} begins with \"__\", which is reserved for internal topics")]
    Internal {
        /// The name.
        name: String,
    },
}

impl TopicName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`TopicNameError`] says which rule is broken.
    pub fn parse(name: &str) -> Result<Self, TopicNameError> {
        if name.is_empty() {
            return Err(TopicNameError::Empty);
        }
        if name.len() > TOPIC_NAME_BYTES_MAX {
            return Err(TopicNameError::TooLong {
                bytes: name.len(),
                bytes_max: TOPIC_NAME_BYTES_MAX,
            });
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = name.to_owned();
        if let Some(character) = name.chars().find(|c| !allowed(c)) {
            return Err(TopicNameError::Character { name, character });
        }
        if name == "." || name == ".." {
            return Err(TopicNameError::Dots { name });
        }
        Ok(Self(name))
    }

    /// Checks a name that a user wants to create: internal names are refused too.
    ///
    /// # Errors
    /// [`TopicNameError`] says which rule is broken.
    pub fn parse_for_user(name: &str) -> Result<Self, TopicNameError> {
        let parsed = Self::parse(name)?;
        if parsed.is_internal() {
            return Err(TopicNameError::Internal { name: parsed.0 });
        }
        Ok(parsed)
    }

    /// Whether this is one of the broker's own topics.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        is_internal(&self.0)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a topic of this name is one of the broker's own.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TopicName {
    type Err = TopicNameError;

    fn from_str(name: &str) -> Result<Self, TopicNameError> {
        Self::parse(name)
    }
}

impl TryFrom<String> for TopicName {
    type Error = TopicNameError;

    fn try_from(name: String) -> Result<Self, TopicNameError> {
        Self::parse(&name)
    }
}

impl From<TopicName> for String {
    fn from(name: TopicName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests;
