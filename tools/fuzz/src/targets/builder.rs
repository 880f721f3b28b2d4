//! Making a batch of whatever an application gives: it is one that a broker takes, and holds the same.

use ringlog_record::TimestampMs;
use ringlog_record::batch::{BatchBuilder, HeaderData, RecordData};

use super::batch::validate_and_view;
use super::unsealed;
use crate::script::Script;
use crate::{INPUT_BYTES_MAX, Target};

/// See the module.
pub const TARGET: Target = Target {
    name: "builder",
    run: builder,
    samples,
    seal: unsealed,
    memory_bytes_max: 64 * INPUT_BYTES_MAX,
    rounds: 400_000,
};

/// Most bytes of a key or value.
const FIELD_BYTES_MAX: u16 = 4_096;

type Field<'a> = Option<&'a [u8]>;

/// A record as the input asks for it.
struct Asked<'a> {
    key: Field<'a>,
    value: Field<'a>,
    headers: Vec<(String, Field<'a>)>,
    timestamp: TimestampMs,
}

/// A batch that is built is accepted, has the length that was foretold, and holds what was put in.
pub fn builder(data: &[u8]) -> bool {
    let mut script = Script(data);
    let bytes_max = 64 + usize::from(script.short()) * 16;
    let mut builder = BatchBuilder::new(bytes_max);
    let mut taken: Vec<Asked<'_>> = Vec::new();
    while !script.is_empty() {
        let asked = asked(&mut script);
        let headers: Vec<HeaderData<'_>> = asked
            .headers
            .iter()
            .map(|(key, value)| HeaderData { key, value: *value })
            .collect();
        let record = RecordData {
            key: asked.key,
            value: asked.value,
            headers: &headers,
            timestamp: asked.timestamp,
        };
        let foretold = builder.encoded_len_with(&record);
        let before = builder.encoded_len();
        match builder.append(&record) {
            Ok(()) => {
                assert!(builder.encoded_len() == foretold && foretold <= bytes_max);
                taken.push(asked);
            }
            Err(_) => assert_eq!(builder.encoded_len(), before),
        }
    }
    assert_eq!(builder.is_empty(), taken.is_empty());
    let Ok(built) = builder.build() else {
        assert!(taken.is_empty());
        return false;
    };
    let view = validate_and_view(&built);
    let mut records = view.records();
    for asked in &taken {
        let Some(Ok(record)) = records.next() else {
            panic!("a record that was built cannot be read");
        };
        assert_eq!(
            (record.key, record.value, record.timestamp),
            (asked.key, asked.value, asked.timestamp)
        );
        let headers = asked
            .headers
            .iter()
            .map(|(key, value)| (key.as_str(), *value));
        let found = record.headers.map(|header| (header.key, header.value));
        assert!(found.eq(headers));
    }
    assert!(records.next().is_none());
    let latest = taken.iter().map(|asked| asked.timestamp).max();
    assert_eq!(Some(view.max_timestamp()), latest);
    true
}

fn asked<'a>(script: &mut Script<'a>) -> Asked<'a> {
    let shape = script.byte();
    let field = |script: &mut Script<'a>, is_there: bool| {
        let len = script.short() % (FIELD_BYTES_MAX + 1);
        is_there.then(|| script.take(usize::from(len)))
    };
    let timestamp = match shape & 3 {
        0 => 1_767_225_600_000 + i64::from(script.byte()),
        1 => i64::MAX - i64::from(script.byte()),
        2 => i64::MIN + i64::from(script.byte()),
        _ => script.long().cast_signed(),
    };
    let (key, value) = (field(script, shape & 4 != 0), field(script, shape & 8 != 0));
    let headers = (0..shape >> 6)
        .map(|number| {
            let key = String::from_utf8_lossy(script.take(usize::from(number) * 5)).into_owned();
            (key, field(script, shape & 16 != 0))
        })
        .collect();
    Asked {
        key,
        value,
        headers,
        timestamp: TimestampMs::new(timestamp),
    }
}

fn samples() -> Vec<Vec<u8>> {
    let record = |shape: u8, byte: u8| {
        let mut script = vec![shape, byte];
        script.extend([3, 0, b'k', b'e', b'y', 5, 0, b'v', b'a', b'l', b'u', b'e']);
        script
    };
    let mut several = vec![0xff, 0xff];
    for shape in [0x0c, 0x0d, 0x0e, 0x4c, 0xdc, 0x08, 0x04, 0x00] {
        several.extend(record(shape, 7));
    }
    let mut one = vec![0xff, 0x0f];
    one.extend(record(0x0c, 1));
    vec![one, several]
}
