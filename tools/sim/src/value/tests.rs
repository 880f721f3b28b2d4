use super::*;

#[test]
fn a_value_tells_its_id_and_a_changed_one_does_not() {
    for len in [0, 12, 13, 19, 20, 100] {
        let value = value_of(77, len);
        assert_eq!(value.len(), len.max(VALUE_BYTES_MIN));
        assert_eq!(id_of(&value), Some(77));
    }
    let mut value = value_of(77, 100);
    value[50] ^= 1;
    assert_eq!(id_of(&value), None);
    assert_eq!(id_of(&value_of(77, 100)[..99]), None);
}

#[test]
fn an_id_tells_its_producer() {
    assert_eq!(producer_of(first_id(3) + 1_000), 3);
}
