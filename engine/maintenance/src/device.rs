//! Settles how glommio talks to the device.
//!
//! The first time that glommio 0.9 opens a file of a device it reads a block with a polled ring, and when that
//! "succeeds" it polls for completions from then on. The read of a file that is empty or merely allocated never
//! reaches the device and always succeeds; on a device that cannot be polled every durable write then stalls for
//! 4 ms at 100 % CPU. So before anything else a file with content is opened.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use glommio::io::OpenOptions;

use crate::prepare::open_path;
use crate::{io_error, limits};

/// Opens a file with content below a directory, once. The file has no name and is gone afterwards.
pub(crate) async fn settle(data_dir: &Path) -> io::Result<()> {
    let file = written(data_dir)?;
    let mut options = OpenOptions::new();
    options.read(true);
    let opened = options.dma_open(open_path(&file)).await.map_err(io_error)?;
    opened.close().await.map_err(io_error)
}

fn written(data_dir: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(data_dir)?;
    // Not zeros: some devices do not even store those.
    file.write_all(&vec![0xa5; limits::WRITE_BYTES])?;
    file.sync_all()?;
    Ok(file)
}
