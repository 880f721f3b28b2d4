//! What concerns the calling thread as a whole.

use std::io;

/// Sets the niceness of the calling thread, from -20 (served first) to 19 (served last).
///
/// # Errors
///
/// When the process may not lower it that far.
pub fn set_thread_nice(nice: i32) -> io::Result<()> {
    // SAFETY: no memory is involved. Linux takes "process 0" of this call for the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
