//! The clocks of Linux, and the time-stamp counter of the processor.

use std::sync::OnceLock;
use std::time::Duration;

use crate::time::Instant;

/// CLOCK_MONOTONIC.
pub(super) fn now() -> Instant {
    let time = read(libc::CLOCK_MONOTONIC);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// CLOCK_REALTIME, in milliseconds since the Unix epoch.
pub(super) fn unix_time_ms() -> i64 {
    let time = read(libc::CLOCK_REALTIME);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the destination is a timespec, and both clocks that are asked for always exist.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    debug_assert_eq!(result, 0);
    time
}

/// How long the rate of the time-stamp counter is measured.
const CALIBRATION: Duration = Duration::from_millis(1);

/// The rate of [`ticks`]: of the time-stamp counter where it is steady, else nanoseconds. Measured once a process.
pub(super) fn ticks_per_ms() -> u64 {
    counter_per_ms().unwrap_or(1_000_000)
}

/// A count that is cheaper to read than a clock.
pub(super) fn ticks() -> u64 {
    if counter_per_ms().is_some() {
        counter()
    } else {
        now().as_nanos()
    }
}

fn counter_per_ms() -> Option<u64> {
    static RATE: OnceLock<Option<u64>> = OnceLock::new();
    *RATE.get_or_init(|| {
        if !counter_is_steady() {
            return None;
        }
        let (began, counted_from) = (now(), counter());
        let took = loop {
            let took = now().since(began);
            if took >= CALIBRATION {
                break took;
            }
        };
        let counted = counter().saturating_sub(counted_from);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let rate = u128::from(counted) * 1_000_000 / u128::from(nanos.max(1));
        u64::try_from(rate).ok().filter(|rate| *rate > 0)
    })
}

/// Whether the counter runs at one rate on all cores, whatever their clock does.
#[cfg(target_arch = "x86_64")]
fn counter_is_steady() -> bool {
    use std::arch::x86_64::__cpuid;
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    let last = __cpuid(0x8000_0000).eax;
    last >= POWER_MANAGEMENT && __cpuid(POWER_MANAGEMENT).edx & (1 << 8) != 0
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every processor of this architecture has the instruction, and it only reads.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter_is_steady() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}
