use super::*;

#[test]
fn sequences_go_round() {
    let last = Sequence::new(i32::MAX.cast_unsigned());
    assert_eq!(last.after(1), Sequence::ZERO);
    assert_eq!(last.after(3), Sequence::new(2));
    assert_eq!(Sequence::new(5).after(7), Sequence::new(12));
    assert!(last.is_behind(Sequence::new(2)));
    assert!(!Sequence::new(2).is_behind(last));
    assert!(Sequence::new(2).is_behind(Sequence::new(3)));
    assert!(!Sequence::new(3).is_behind(Sequence::new(3)));
}

#[test]
fn epochs_end() {
    assert_eq!(ProducerEpoch::new(0).next(), Some(ProducerEpoch::new(1)));
    assert_eq!(ProducerEpoch::MAX.next(), None);
}
