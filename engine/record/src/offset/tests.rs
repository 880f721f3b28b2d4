use super::Offset;

#[test]
fn arithmetic_stays_within_what_a_batch_can_hold() {
    assert_eq!(Offset::new(4).next(), Offset::new(5));
    assert_eq!(Offset::new(4).checked_add(3), Some(Offset::new(7)));
    assert_eq!(Offset::MAX.checked_add(1), None);
    assert_eq!(Offset::new(1).checked_add(u64::MAX), None);
    assert_eq!(Offset::new(4).checked_sub(5), None);
    assert_eq!(Offset::new(9).since(Offset::new(4)), 5);
    assert_eq!(Offset::new(4).since(Offset::new(9)), 0);
}
