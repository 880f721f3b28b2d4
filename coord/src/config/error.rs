//! Why a setting is refused.

use thiserror::Error;

/// A setting that cannot be taken: always with the key, the value, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Not of the form `key=value`.
    #[error("{text:?} is not of the form key=value")]
    NotKeyValue {
        /// The text.
        text: String,
    },
    /// No such setting.
    #[error("there is no topic setting {key:?}; there are: {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Every key.
        known: String,
    },
    /// The same key twice.
    #[error("the topic setting {key} is given twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// Not a value of this setting.
    #[error("{key} cannot be {value:?}; allowed: {allowed}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// The values, range and units.
        allowed: String,
    },
    /// A value that has a meaning, but not yet.
    #[error("{key}={value} is reserved, not available yet; allowed: {allowed}")]
    Reserved {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is available.
        allowed: String,
    },
    /// A setting of the whole topic.
    #[error("{key} is a setting of the whole topic; a partition can have its own durability only")]
    NotOfPartition {
        /// The key.
        key: &'static str,
    },
    /// Good by itself, but not beside something else.
    #[error("{key}={value} does not fit: {reason}")]
    Unfit {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What stands against it.
        reason: String,
    },
}
