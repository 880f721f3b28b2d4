use super::*;

fn request(took: Duration) -> SlowRequest {
    SlowRequest {
        api: Api::Produce,
        partition: None,
        bytes: 1,
        error: ErrorCode::None,
        took,
        stages: None,
        answered_unix_ms: 0,
    }
}

fn note(slow: &SlowRequests, micros: u64, now: Instant) {
    let took = Duration::from_micros(micros);
    slow.note(took, now, || request(took));
}

fn micros(slow: &SlowRequests, now: Instant) -> Vec<u128> {
    slow.list(now)
        .iter()
        .map(|one| one.took.as_micros())
        .collect()
}

#[test]
fn the_slowest_stay_whatever_comes_behind_them() {
    let now = Instant::default();
    let slow = SlowRequests::new(now);
    let many = 10 * SLOW_REQUESTS_MAX as u64;
    // Neither rising nor falling: every request is the slowest so far for some, and the fastest for others.
    for number in 0..many {
        note(&slow, 1 + number * 7 % many, now);
    }
    let expected: Vec<u128> = (0..SLOW_REQUESTS_MAX as u64)
        .map(|below| u128::from(many - below))
        .collect();
    assert_eq!(micros(&slow, now), expected);
}

#[test]
fn a_request_that_is_not_slow_is_not_looked_at() {
    let now = Instant::default();
    let slow = SlowRequests::new(now);
    for _ in 0..SLOW_REQUESTS_MAX {
        note(&slow, 10, now);
    }
    slow.note(Duration::from_micros(10), now, || {
        unreachable!("as slow as the others")
    });
    note(&slow, 11, now);
    assert_eq!(micros(&slow, now)[..2], [11, 10]);
}

#[test]
fn requests_are_forgotten_after_two_windows() {
    let began = Instant::default();
    let slow = SlowRequests::new(began);
    note(&slow, 500, began);
    let second = began + SLOW_WINDOW;
    note(&slow, 3, second);
    assert_eq!(micros(&slow, second), [500, 3]);
    let third = second + SLOW_WINDOW;
    assert_eq!(micros(&slow, third), [3]);
    // A quiet shard forgets too.
    assert_eq!(micros(&slow, third + SLOW_WINDOW * 5), []);
}

#[test]
fn the_tables_never_grow() {
    let mut now = Instant::default();
    let slow = SlowRequests::new(now);
    for number in 0..20 * SLOW_REQUESTS_MAX as u64 {
        note(&slow, number, now);
        now = now + SLOW_WINDOW / 50;
    }
    let tables = slow.tables.borrow();
    for table in [&tables.present, &tables.before] {
        assert!(table.len() <= SLOW_REQUESTS_MAX);
        assert_eq!(table.capacity(), SLOW_REQUESTS_MAX);
    }
}
