//! Preparing files in the simulation: what the maintenance executor does in a broker, with the reactor at hand.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use ringlog_log::{BulkFiles, Leisure};
use ringlog_reactor::{OpenOptions, Reactor};

/// Bytes of zeros written at once.
const CHUNK_BYTES: u64 = 256 << 10;

/// How often a file that takes its time looks whether it still has it.
const NAP: Duration = Duration::from_millis(20);

/// Who prepares files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    /// They are prepared.
    Works,
    /// There is nobody.
    Nobody,
    /// One preparation in three fails.
    Fails,
}

/// Prepares files through the reactor of the core that asks for them.
pub(crate) struct SimFiles {
    reactor: Reactor,
    bulk: Bulk,
}

impl SimFiles {
    pub(crate) fn new(reactor: Reactor, bulk: Bulk) -> Self {
        Self { reactor, bulk }
    }
}

impl BulkFiles for SimFiles {
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        leisure: Leisure,
    ) -> LocalBoxFuture<'static, io::Result<()>> {
        let reactor = self.reactor.clone();
        match self.bulk {
            Bulk::Nobody => {
                return Box::pin(async { Err(io::ErrorKind::Unsupported.into()) });
            }
            Bulk::Fails if reactor.random_u64().is_multiple_of(3) => {
                return Box::pin(async { Err(io::ErrorKind::Other.into()) });
            }
            Bulk::Fails | Bulk::Works => {}
        }
        // The work begins at once, and is given up when the future is dropped.
        Box::pin(self.reactor.spawn("prepare", async move {
            let options = OpenOptions {
                write: true,
                create_new: true,
                direct: true,
                ..OpenOptions::default()
            };
            let file = reactor.open(&path, options).await?;
            let fill = async {
                let chunk = usize::try_from(CHUNK_BYTES).map_err(io::Error::other)?;
                let mut zeros = reactor.buffer(chunk).ok_or(io::ErrorKind::OutOfMemory)?;
                zeros.fill(0);
                let zeros = zeros.freeze(chunk);
                for position in (0..len_bytes).step_by(chunk) {
                    let len = usize::try_from((len_bytes - position).min(CHUNK_BYTES))
                        .map_err(io::Error::other)?;
                    file.write_at(position, zeros.slice(..len)).await?;
                }
                file.sync_all().await
            };
            let began = reactor.now();
            let filled = fill.await;
            while filled.is_ok() && reactor.now().since(began) < leisure.within() {
                reactor.sleep(NAP).await;
            }
            if filled.is_err() {
                reactor.unlink(&path).await?;
            }
            filled
        }))
    }
}
