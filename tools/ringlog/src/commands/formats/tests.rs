use ringlog_record::Offset;
use ringlog_record::batch::Headers;

use super::*;

/// All records, and the first error behind them.
fn read(input: &[u8], format: InputFormat) -> (Vec<(Place, InputRecord)>, Option<String>) {
    let mut reader = Reader::new(input, format);
    let mut records = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(error.to_string())),
        }
    }
}

fn lines(key_separator: Option<&'static str>) -> InputFormat {
    let key_separator = key_separator.map(|separator| Bytes::from_static(separator.as_bytes()));
    InputFormat::Lines { key_separator }
}

fn value(value: &'static [u8]) -> InputRecord {
    InputRecord {
        value: Some(Bytes::from_static(value)),
        ..InputRecord::default()
    }
}

#[track_caller]
fn check_lines(input: &[u8], values: &[&'static [u8]]) {
    let expected = values.iter().zip(1..);
    let expected = expected.map(|(&one, number)| (Place::Line(number), value(one)));
    let (records, error) = read(input, lines(None));
    assert_eq!((records, error), (expected.collect(), None));
}

#[test]
fn lines_end_at_newlines_only_and_the_last_may_have_none() {
    check_lines(b"", &[]);
    check_lines(b"\n", &[b""]);
    check_lines(b"a\r\n\n\xff\xfe", &[b"a\r", b"", b"\xff\xfe"]);
}

#[test]
fn a_line_that_no_record_can_hold_is_refused_by_its_number() {
    let mut input = b"fits\n".to_vec();
    input.resize(BATCH_BYTES_MAX + 6, b'x');
    let (records, error) = read(&input, lines(None));
    assert_eq!(records.len(), 1);
    let error = error.unwrap();
    assert!(error.starts_with("line 2: it is longer than"), "{error}");
}

#[track_caller]
fn check_key(separator: &'static str, line: &'static str, key: Option<&str>, value: &str) {
    let (records, _) = read(line.as_bytes(), lines(Some(separator)));
    let record = &records[0].1;
    assert_eq!(record.key.as_deref(), key.map(str::as_bytes));
    assert_eq!(record.value.as_deref(), Some(value.as_bytes()));
}

#[test]
fn key_stands_before_the_first_separator() {
    check_key("\t", "k\tv\tw", Some("k"), "v\tw");
    check_key("::", "k::v", Some("k"), "v");
    check_key("::", "::v", Some(""), "v");
    check_key("::", "k::", Some("k"), "");
}

#[test]
fn a_line_without_the_separator_has_no_key() {
    check_key("::", ":k", None, ":k");
    check_key("::", "\n", None, "");
}

#[test]
fn json_tells_absent_null_and_empty_apart() {
    let input = br#"{"value":""}
{"value":null,"key":""}

  {"key":null,"value_base64":"//4=","partition":3,"timestamp":-5,"offset":9}
{"value":"\u00e4\n","headers":[{"key":"h","value":"w"},{"key":"h"},{"key":"b","value_base64":"AA=="}]}"#;
    let (records, error) = read(input, InputFormat::Json);
    assert_eq!(error, None);
    let places: Vec<_> = records.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 4, 5].map(Place::Line));
    let records: Vec<_> = records.into_iter().map(|(_, record)| record).collect();
    assert_eq!(records[0], value(b""));
    assert_eq!(
        records[1],
        InputRecord {
            key: Some(Bytes::new()),
            ..InputRecord::default()
        }
    );
    assert_eq!(
        records[2],
        InputRecord {
            partition: Some(PartitionIndex::new(3)),
            timestamp: Some(TimestampMs::new(-5)),
            ..value(b"\xff\xfe")
        }
    );
    let header =
        |name: &str, value: Option<&'static [u8]>| (name.to_owned(), value.map(Bytes::from_static));
    assert_eq!(
        records[3],
        InputRecord {
            headers: vec![
                header("h", Some(b"w")),
                header("h", None),
                header("b", Some(b"\0"))
            ],
            ..value("ä\n".as_bytes())
        }
    );
}

#[track_caller]
fn check_malformed(format: InputFormat, input: &[u8], told: &str) {
    let (_, error) = read(input, format);
    let error = error.unwrap();
    assert!(error.contains(told), "{error}");
}

#[test]
fn json_that_is_no_record_is_told_with_line_and_column() {
    let check = |input: &str, told: &str| {
        let input = format!("{{\"value\":\"fine\"}}\n{input}");
        check_malformed(InputFormat::Json, input.as_bytes(), told);
    };
    check(
        "{\"value\": 3}",
        "line 2: column 11: invalid type: integer `3`",
    );
    check(
        "{\"vale\": \"x\"}",
        "line 2: column 7: unknown field `vale`",
    );
    check("{\"value\": \"x\"", "line 2: column 13: EOF");
    check("{\"key\": \"x\"}", "line 2: it has no value");
    check("hello", "line 2: column 1: expected value");
    check(
        "{\"value\":\"a\",\"value_base64\":\"YQ==\"}",
        "line 2: it has both value and value_base64",
    );
    check("{\"value_base64\":\"YQ\"}", "line 2: value_base64: ");
    check(
        "{\"value\":\"\",\"headers\":[{\"key\":\"h\",\"value_base64\":\"*\"}]}",
        "line 2: header \"h\": value_base64: ",
    );
    check("{\"value\":\"\",\"partition\":-1}", "line 2: column ");
}

#[test]
fn length_prefixed_holds_any_value_and_tombstones() {
    let input = b"\0\0\0\x02\n\0\0\0\0\0\xff\xff\xff\xff\0\0\0\x01x";
    let (records, error) = read(input, InputFormat::LengthPrefixed);
    assert_eq!(error, None);
    let expected = [
        (Place::Byte(0), value(b"\n\0")),
        (Place::Byte(6), value(b"")),
        (Place::Byte(10), InputRecord::default()),
        (Place::Byte(14), value(b"x")),
    ];
    assert_eq!(records, expected);
}

#[test]
fn length_prefixed_input_that_is_cut_off_is_told_with_its_byte() {
    let check = |input: &[u8], told: &str| {
        check_malformed(InputFormat::LengthPrefixed, input, told);
    };
    check(
        b"\0\0\0\x01x\0\0",
        "byte 5: the input ends within a length: 2 of 4",
    );
    check(
        b"\0\0\0\x05abc",
        "byte 0: the input ends within a value: 3 of 5",
    );
    check(
        b"hello, log\n",
        "byte 0: the length is 1751477356, more than",
    );
}

fn written(format: &OutputFormat, record: &RecordView<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    format
        .write(&mut out, PartitionIndex::new(2), record)
        .unwrap();
    out
}

fn view<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RecordView<'a> {
    RecordView {
        offset: Offset::new(7),
        timestamp: TimestampMs::new(1_000),
        key,
        value,
        headers: Headers::default(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let bytes: [Option<&[u8]>; 5] = [
        None,
        Some(b""),
        Some(b"text \"quoted\"\n"),
        Some("Größe\u{0}".as_bytes()),
        Some(b"\xff\x00\xfe"),
    ];
    for key in bytes {
        for value in bytes {
            let json = written(&OutputFormat::Json, &view(key, value));
            assert_eq!(json.iter().filter(|&&byte| byte == b'\n').count(), 1);
            let (records, error) = read(&json, InputFormat::Json);
            assert_eq!(error, None);
            let expected = InputRecord {
                partition: Some(PartitionIndex::new(2)),
                timestamp: Some(TimestampMs::new(1_000)),
                key: key.map(Bytes::copy_from_slice),
                value: value.map(Bytes::copy_from_slice),
                headers: Vec::new(),
            };
            assert_eq!(records[0].1, expected);
            let prefixed = written(&OutputFormat::LengthPrefixed, &view(key, value));
            let (records, error) = read(&prefixed, InputFormat::LengthPrefixed);
            assert_eq!(error, None);
            assert_eq!(records[0].1.value, expected.value);
        }
    }
}

#[test]
fn json_has_the_same_fields_in_each_line() {
    let text =
        |record: &RecordView<'_>| String::from_utf8(written(&OutputFormat::Json, record)).unwrap();
    assert_eq!(
        text(&view(Some(b"k"), Some(b"v"))),
        "{\"partition\":2,\"offset\":7,\"timestamp\":1000,\"key\":\"k\",\"value\":\"v\",\"headers\":[]}\n"
    );
    assert_eq!(
        text(&view(None, Some(b"\xff"))),
        "{\"partition\":2,\"offset\":7,\"timestamp\":1000,\"key\":null,\"value_base64\":\"/w==\",\"headers\":[]}\n"
    );
}

#[test]
fn flags_of_another_format_are_refused() {
    assert!(input_format(RecordFormat::Json, Some("\t")).is_err());
    assert!(input_format(RecordFormat::LengthPrefixed, Some("\t")).is_err());
    let columns = [Column::Key, Column::Value];
    assert!(output_format(RecordFormat::Json, &columns, None).is_err());
    assert!(output_format(RecordFormat::LengthPrefixed, &columns, None).is_err());
    assert!(output_format(RecordFormat::Json, &[Column::Value], Some(",")).is_err());
}
