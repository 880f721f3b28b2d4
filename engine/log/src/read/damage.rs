//! A read that went wrong: whether the device is to blame, and what becomes of the log then.

use std::io;

use super::{Plan, ReadData, ReadRequest};
use crate::error::ReadError;
use crate::log::LogInner;

/// The system, or the process, has too many files open. The standard library has no name for these.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

impl LogInner {
    /// What a read from disk comes to that met this error: what a second look gives, or an error, of which the log is
    /// offline when its device is to blame.
    pub(super) async fn look_again(
        &self,
        request: &ReadRequest,
        error: ReadError,
    ) -> Result<ReadData, ReadError> {
        // The segment may have been removed meanwhile; that is no error of the device.
        let plan = self.plan(request)?;
        let (ReadError::Corrupt { .. }, Plan::Disk(plan)) = (&error, plan) else {
            return Err(self.fail_by(error));
        };
        // The bytes may have changed on their way, and be sound where they lie.
        match self.read_disk(plan, request).await {
            Ok(data) => {
                tracing::warn!(%error, "what was read was damaged, and is sound when it is read again");
                Ok(data)
            }
            Err(again) => {
                self.plan(request)?;
                Err(self.fail_by(again))
            }
        }
    }

    /// Takes the log offline, if the device is to blame for the error.
    fn fail_by(&self, error: ReadError) -> ReadError {
        let is_of_device = match error {
            ReadError::File(error) if !is_of_device(&error.source) => {
                return ReadError::Short(error);
            }
            ReadError::Corrupt { .. } | ReadError::File(_) => true,
            ReadError::OffsetOutOfRange { .. }
            | ReadError::Throttled
            | ReadError::Short(_)
            | ReadError::Closed => false,
        };
        if is_of_device && !self.state.borrow().is_ended() {
            self.fail("read a segment", &error);
        }
        error
    }
}

/// Whether an operation failed for what it is about, and not because the process is short of something.
fn is_of_device(error: &io::Error) -> bool {
    !matches!(
        (error.kind(), error.raw_os_error()),
        (
            io::ErrorKind::OutOfMemory | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock,
            _
        ) | (_, Some(ENFILE | EMFILE))
    )
}

#[cfg(test)]
mod tests;
