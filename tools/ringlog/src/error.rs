//! Why a command did not do what was asked.

use std::fmt::Display;
use std::io;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It was called in a wrong way.
    #[error("{0}")]
    Usage(String),
    /// It failed; the sentence says what was tried, what went wrong and what to do.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    /// "cannot {what}: {error}".
    pub(crate) fn failed(what: &str, error: impl Display) -> Self {
        Self::Failed(format!("cannot {what}: {error}"))
    }

    /// What standard output says when nobody reads it any more is no failure: the reader has what it wanted.
    pub(crate) fn output(error: &io::Error) -> Result<(), Self> {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(Self::failed("write to standard output", error))
        }
    }
}
