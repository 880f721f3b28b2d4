//! Waiting until a request is due, to a few microseconds: the runtime's own timers know milliseconds only.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::error::BenchError;

/// Sleeps for a worker.
#[derive(Debug)]
pub(crate) enum Pacer {
    /// With a timer of the kernel.
    Precise(AsyncFd<OwnedFd>),
    /// With the runtime's, in virtual time.
    #[cfg(test)]
    Virtual,
}

impl Pacer {
    /// With a timer of the kernel; must be called within a runtime.
    pub(crate) fn precise() -> Result<Self, BenchError> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(Into::into);
        let timer: std::io::Result<OwnedFd> = timer;
        let timer = timer.and_then(register);
        let timer = timer.map_err(BenchError::generator("make a timer"))?;
        Ok(Self::Precise(timer))
    }

    /// Sleeps until `at`; not at all when that is over.
    pub(crate) async fn sleep_until(&self, at: Instant) -> Result<(), BenchError> {
        match self {
            Self::Precise(timer) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                sleep(timer, left)
                    .await
                    .map_err(BenchError::generator("wait for a timer"))
            }
            #[cfg(test)]
            Self::Virtual => {
                tokio::time::sleep_until(at).await;
                Ok(())
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "unsound only for types whose descriptor changes; an owned one stays open and the same until it is dropped"
)]
fn register(timer: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(timer)
}

async fn sleep(timer: &AsyncFd<OwnedFd>, left: Duration) -> std::io::Result<()> {
    let setting = Itimerspec {
        it_interval: Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        },
    };
    timerfd_settime(
        timer.get_ref().as_fd(),
        TimerfdTimerFlags::empty(),
        &setting,
    )?;
    loop {
        let mut ready = timer.readable().await?;
        let mut expirations = [0; 8];
        let read = ready.try_io(|timer| {
            rustix::io::read(timer.get_ref().as_fd(), &mut expirations).map_err(Into::into)
        });
        match read {
            Ok(read) => return read.map(drop),
            Err(_would_block) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_wakes_too_early_and_not_at_all_for_what_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let pacer = Pacer::precise().unwrap();
            for micros in [0, 50, 300, 1500, 20] {
                let at = Instant::now() + Duration::from_micros(micros);
                pacer.sleep_until(at).await.unwrap();
                assert!(Instant::now() >= at);
            }
        });
    }
}
