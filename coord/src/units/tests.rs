use super::{parse_bytes, parse_duration_ms};

#[test]
fn durations_scale_to_milliseconds() {
    for (text, ms) in [
        ("0", 0),
        ("250", 250),
        ("250ms", 250),
        ("3s", 3_000),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("7d", 604_800_000),
        (" 7 d ", 604_800_000),
    ] {
        assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
    }
}

#[test]
fn sizes_scale_to_bytes() {
    for (text, bytes) in [
        ("0", 0),
        ("17B", 17),
        ("64KiB", 65_536),
        ("256MiB", 268_435_456),
        ("1GiB", 1 << 30),
        ("2 TiB", 2 << 40),
    ] {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
}

#[test]
fn an_error_names_the_text_and_the_units() {
    assert_eq!(
        parse_duration_ms("7 weeks").unwrap_err().to_string(),
        "\"weeks\" in \"7 weeks\" is not a unit, use one of ms, s, m, h, d"
    );
    assert_eq!(
        parse_bytes("MiB").unwrap_err().to_string(),
        "\"MiB\" is not a whole number with or without a unit (units: B, KiB, MiB, GiB, TiB)"
    );
    for text in [
        "",
        "-1",
        "1.5MiB",
        "1MB",
        "1mib",
        "18446744073709551616",
        "18014398509481984KiB",
    ] {
        assert!(parse_bytes(text).is_err(), "{text:?} was accepted");
    }
}
