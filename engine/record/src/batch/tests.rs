mod foreign;
mod golden;
mod round_trip;
mod validation;

use bytes::Bytes;

use super::{BatchBuilder, HeaderData, RecordData};
use crate::ids::TimestampMs;

/// Two records: key, value and a header; and nulls with a header without a value.
fn sample() -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    let headers = [HeaderData {
        key: "h",
        value: Some(b"x"),
    }];
    let first = RecordData {
        key: Some(b"k"),
        value: Some(b"hello"),
        headers: &headers,
        timestamp: TimestampMs::new(1_700_000_000_000),
    };
    let headers = [HeaderData {
        key: "n",
        value: None,
    }];
    let second = RecordData {
        key: None,
        value: None,
        headers: &headers,
        timestamp: TimestampMs::new(1_700_000_000_005),
    };
    builder.append(&first).unwrap();
    builder.append(&second).unwrap();
    builder.build().unwrap()
}
