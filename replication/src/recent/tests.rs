use super::*;

fn between(ends: &RecentEnds, offset: u64, limit: u64) -> Option<u64> {
    ends.bytes_between(Offset::new(offset), Offset::new(limit))
}

#[test]
fn bytes_are_exact_from_the_append_that_holds_the_offset() {
    let mut ends = RecentEnds::new(Offset::new(10));
    ends.note(Offset::new(13), 300);
    ends.note(Offset::new(14), 50);
    assert_eq!(between(&ends, 10, 14), Some(350));
    assert_eq!(between(&ends, 12, 14), Some(350), "its batch comes whole");
    assert_eq!(between(&ends, 13, 14), Some(50));
    assert_eq!(between(&ends, 10, 13), Some(300));
    assert_eq!(between(&ends, 14, 14), Some(0));
    assert_eq!(between(&ends, 14, 10), Some(0));
}

#[test]
fn what_was_before_the_open_is_not_known() {
    let mut ends = RecentEnds::new(Offset::new(10));
    ends.note(Offset::new(13), 300);
    assert_eq!(between(&ends, 9, 13), None);
}

#[test]
fn only_so_many_ends_are_kept() {
    let mut ends = RecentEnds::new(Offset::ZERO);
    for number in 1..=1_000 {
        ends.note(Offset::new(number), 10);
    }
    assert_eq!(ends.0.len(), RECENT_ENDS_MAX);
    assert_eq!(between(&ends, 990, 1_000), Some(100));
    assert_eq!(between(&ends, 1, 1_000), None);
}
