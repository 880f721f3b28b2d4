//! Lines out of a file or of standard input, read by a thread of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use ringlog_record::limits::BATCH_BYTES_MAX;
use tokio::sync::mpsc;

use crate::error::CommandError;

/// A line without its \n.
pub(crate) type Line = Bytes;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// Lines, and the length of the file if it has one.
type Lines = (mpsc::Receiver<Result<Line, CommandError>>, Option<u64>);

/// Reads lines; at most `ahead` wait to be taken.
pub(crate) fn read(path: Option<&Path>, ahead: usize) -> Result<Lines, CommandError> {
    let (sender, lines) = mpsc::channel(ahead);
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
        .name("lines".to_owned())
        .spawn(move || pump(source, &what, &sender));
    reader.map_err(|error| CommandError::failed("start a thread", error))?;
    Ok((lines, len_bytes))
}

fn pump(source: impl Read, what: &str, lines: &mpsc::Sender<Result<Line, CommandError>>) {
    let mut source = BufReader::with_capacity(READ_BYTES, source);
    let mut number = 0_u64;
    loop {
        number += 1;
        let line = match next_line(&mut source, BATCH_BYTES_MAX) {
            Ok(Some(line)) => Ok(line),
            Ok(None) => return,
            Err(error) => Err(CommandError::failed(
                &format!("{what}: line {number}"),
                error,
            )),
        };
        let is_last = line.is_err();
        // Nobody takes them any more when the command has failed.
        if lines.blocking_send(line).is_err() || is_last {
            return;
        }
    }
}

/// The next line without its \n; the last one may have none.
fn next_line(source: &mut impl BufRead, line_bytes_max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let most = u64::try_from(line_bytes_max).unwrap_or(u64::MAX);
    let read = source
        .by_ref()
        .take(most + 1)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > line_bytes_max {
        let message =
            format!("it is longer than {line_bytes_max} bytes, the most that a record may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Vec<u8>> {
        let mut source = text;
        let next = || {
            next_line(&mut source, 10)
                .unwrap()
                .map(|line| line.to_vec())
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn lines_end_at_newlines_only_and_the_last_may_have_none() {
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"a\r\n\n\xff\xfe"), [&b"a\r"[..], b"", b"\xff\xfe"]);
    }

    #[test]
    fn a_line_that_no_record_can_hold_is_refused() {
        let mut source = &b"0123456789\n01234567890\n"[..];
        assert!(next_line(&mut source, 10).unwrap().is_some());
        assert!(next_line(&mut source, 10).is_err());
    }
}
