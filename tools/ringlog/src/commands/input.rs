//! Records out of a file or of standard input, read by a thread of its own.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use tokio::sync::mpsc;

use super::formats::{InputFormat, InputRecord, Place, Reader};
use crate::error::CommandError;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// A record of the input.
pub(super) struct Item {
    /// Where it begins.
    pub(super) place: Place,
    pub(super) record: InputRecord,
    /// Bytes of the input up to its end.
    pub(super) taken_bytes: u64,
}

/// The input: its records, and what is known of it.
pub(super) struct Input {
    pub(super) items: mpsc::Receiver<Result<Item, CommandError>>,
    /// Length of the file, if it is one.
    pub(super) len_bytes: Option<u64>,
    /// What messages call it.
    pub(super) name: String,
}

/// Reads records; at most `ahead` wait to be taken.
pub(super) fn read(
    path: Option<&Path>,
    format: InputFormat,
    ahead: usize,
) -> Result<Input, CommandError> {
    let (sender, items) = mpsc::channel(ahead);
    let name = path.map_or_else(
        || "standard input".to_owned(),
        |path| path.display().to_string(),
    );
    let what = format!("read {name}");
    let (source, len_bytes): (Box<dyn Read + Send>, _) = match path {
        Some(path) => {
            let file = File::open(path).map_err(|error| CommandError::failed(&what, error))?;
            let metadata = file
                .metadata()
                .map_err(|error| CommandError::failed(&what, error))?;
            if metadata.is_dir() {
                return Err(CommandError::failed(&what, "it is a directory"));
            }
            let len_bytes = metadata.is_file().then_some(metadata.len());
            (Box::new(file), len_bytes)
        }
        None => (Box::new(io::stdin()), None),
    };
    let reader = std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let source = BufReader::with_capacity(READ_BYTES, source);
            pump(Reader::new(source, format), &what, &sender);
        });
    reader.map_err(|error| CommandError::failed("start a thread", error))?;
    Ok(Input {
        items,
        len_bytes,
        name,
    })
}

fn pump(
    mut reader: Reader<impl io::BufRead>,
    what: &str,
    items: &mpsc::Sender<Result<Item, CommandError>>,
) {
    loop {
        let item = match reader.next() {
            Ok(Some((place, record))) => Ok(Item {
                place,
                record,
                taken_bytes: reader.bytes(),
            }),
            Ok(None) => return,
            Err(error) => Err(CommandError::failed(what, error)),
        };
        let is_last = item.is_err();
        // Nobody takes them any more when the command has failed.
        if items.blocking_send(item).is_err() || is_last {
            return;
        }
    }
}
