//! Values on the command line: sizes, times, places in a log, headers.

use jiff::Timestamp;
use ringlog_client::StartAt;
use ringlog_coord::units::{parse_bytes, parse_duration_ms};
use ringlog_record::{Offset, TimestampMs};

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| error.to_string())
}

pub(super) fn byte_count(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| format!("{text:?} is too large"))
}

pub(super) fn fetch_bytes(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?).map_err(|_| format!("{text:?} is too large"))
}

pub(super) fn millis(text: &str) -> Result<u64, String> {
    parse_duration_ms(text).map_err(|error| error.to_string())
}

/// What separates columns; nothing would separate everything.
pub(super) fn separator(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("it must not be empty: every line would begin with it".to_owned());
    }
    Ok(text.to_owned())
}

/// The name and the value of a header.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not NAME=VALUE, such as source=web".to_owned()),
    }
}

/// A place in a partition.
pub(super) fn place(text: &str) -> Result<StartAt, String> {
    let wrong = |reason: &str| {
        format!(
            "{reason}; it is earliest, latest, an offset, or @ with a time such as @2026-01-31T12:00:00Z or @1769860800000"
        )
    };
    match (text, text.strip_prefix('@')) {
        ("earliest", _) => Ok(StartAt::Earliest),
        ("latest", _) => Ok(StartAt::Latest),
        (_, Some(time)) => match time.parse() {
            Ok(millis) => Ok(StartAt::Timestamp(TimestampMs::new(millis))),
            Err(_) => {
                let time: Result<Timestamp, _> = time.parse();
                let time = time.map_err(|error| wrong(&error.to_string()))?;
                let millis = TimestampMs::new(time.as_millisecond());
                Ok(StartAt::Timestamp(millis))
            }
        },
        (_, None) => match text.parse() {
            Ok(offset) => Ok(StartAt::Offset(Offset::new(offset))),
            Err(_) => Err(wrong("that is no offset")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_end_an_offset_or_a_time() {
        assert_eq!(place("earliest"), Ok(StartAt::Earliest));
        assert_eq!(place("latest"), Ok(StartAt::Latest));
        assert_eq!(place("12"), Ok(StartAt::Offset(Offset::new(12))));
        let time = Ok(StartAt::Timestamp(TimestampMs::new(1_769_860_800_000)));
        assert_eq!(place("@1769860800000"), time);
        assert_eq!(place("@2026-01-31T12:00:00Z"), time);
    }

    #[test]
    fn what_is_no_place_is_told_with_what_is_one() {
        for text in ["", "begin", "-1", "@", "@yesterday", "1.5"] {
            let told = place(text).unwrap_err();
            assert!(told.contains("earliest, latest, an offset"), "{told}");
        }
    }

    #[test]
    fn a_header_has_a_name() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("a=b=c"), pair("a", "b=c"));
        assert_eq!(header("a="), pair("a", ""));
        assert!(header("a").is_err());
        assert!(header("=b").is_err());
    }
}
