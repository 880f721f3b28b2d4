use proptest::prelude::*;

use super::{len_bytes, put, take, take_i32};

#[test]
fn numbers_have_the_bytes_of_the_specification() {
    for (value, bytes) in [
        (0, &[0_u8][..]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ] {
        let mut out = Vec::new();
        put(&mut out, value);
        assert_eq!(out, bytes, "{value}");
    }
}

#[test]
fn what_is_cut_off_or_too_long_is_refused() {
    assert_eq!(take(&mut &[][..]), None);
    assert_eq!(take(&mut &[0x80][..]), None);
    assert_eq!(take(&mut &[0xff; 11][..]), None);
    assert_eq!(
        take(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02][..]),
        None
    );
    assert_eq!(
        take_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x10][..]),
        None,
        "2^31"
    );
}

proptest! {
    #[test]
    fn every_number_comes_back(value: i64) {
        let mut out = Vec::new();
        put(&mut out, value);
        prop_assert_eq!(out.len(), len_bytes(value));
        let mut rest = &out[..];
        prop_assert_eq!(take(&mut rest), Some(value));
        prop_assert!(rest.is_empty());
    }
}
