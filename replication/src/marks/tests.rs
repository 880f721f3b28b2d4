use super::*;

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

#[test]
fn an_end_is_stable_from_the_first_move_that_passed_it() {
    let mut marks = StableMarks::default();
    for (end, now) in [(10, 1), (20, 2), (20, 3), (15, 4), (30, 5)] {
        marks.note(Offset::new(end), at(now));
    }
    let reached = |end| marks.reached(Offset::new(end));
    assert_eq!(reached(1), Some(at(1)));
    assert_eq!(reached(10), Some(at(1)));
    assert_eq!(reached(11), Some(at(2)));
    assert_eq!(reached(20), Some(at(2)));
    assert_eq!(reached(30), Some(at(5)));
    assert_eq!(reached(31), None);
}

#[test]
fn what_is_too_long_ago_counts_as_stable_at_the_oldest_move_that_is_known() {
    let mut marks = StableMarks::default();
    let moves = 2 * STABLE_MARKS_MAX as u64;
    for number in 1..=moves {
        marks.note(Offset::new(number), at(number));
    }
    let oldest = moves - STABLE_MARKS_MAX as u64 + 1;
    assert_eq!(marks.reached(Offset::new(1)), Some(at(oldest)));
    assert_eq!(marks.reached(Offset::new(moves)), Some(at(moves)));
}
