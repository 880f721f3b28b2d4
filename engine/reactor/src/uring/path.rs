//! Paths and descriptors as system calls want them.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::op::{Handle, OpenOptions};

/// A path, terminated by a zero.
pub(super) fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the path contains a zero byte"))
}

/// Flags of openat.
pub(super) fn open_flags(options: OpenOptions) -> libc::c_int {
    let access = match (options.read, options.write) {
        (true, true) => libc::O_RDWR,
        (false, true) => libc::O_WRONLY,
        (_, false) => libc::O_RDONLY,
    };
    let mut flags = access | libc::O_CLOEXEC;
    if options.create || options.create_new {
        flags |= libc::O_CREAT;
    }
    if options.create_new {
        flags |= libc::O_EXCL;
    }
    if options.truncate {
        flags |= libc::O_TRUNC;
    }
    if options.direct {
        flags |= libc::O_DIRECT;
    }
    flags
}

/// The descriptor that a handle names. Handles of this driver are descriptors; any other gives -1, which the
/// kernel answers with `EBADF`.
pub(super) fn descriptor(handle: Handle) -> RawFd {
    RawFd::try_from(handle.0).unwrap_or(-1)
}

/// A second descriptor of the same open file.
pub(super) fn duplicate(handle: Handle) -> io::Result<OwnedFd> {
    let descriptor = descriptor(handle);
    if descriptor < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is only used within this call, in which nobody closes it: closing goes through the same thread.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned()
}
