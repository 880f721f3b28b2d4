//! Cores and the CPU time spent on them, by the process's own accounting.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::error::DeviceError;

/// Pins the calling thread. A core that does not exist leaves it where it is.
pub(crate) fn pin(cpu: Option<usize>) -> bool {
    cpu.is_some_and(|id| core_affinity::set_for_current(core_affinity::CoreId { id }))
}

/// CPU time of all threads of this process so far, the kernel's workers for its rings included.
pub(crate) fn process_time() -> Result<Duration, DeviceError> {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_time() -> Result<Duration, DeviceError> {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Result<Duration, DeviceError> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for a write of one timespec.
    let result = unsafe { libc::clock_gettime(id, time.as_mut_ptr()) };
    if result != 0 {
        return Err(DeviceError::CpuTime(io::Error::last_os_error()));
    }
    // SAFETY: clock_gettime returned 0, so it has written the timespec.
    let time = unsafe { time.assume_init() };
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Ok(Duration::new(secs, nanos))
}
