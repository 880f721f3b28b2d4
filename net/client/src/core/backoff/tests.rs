use super::*;

#[test]
fn pauses_grow_to_a_bound_and_begin_anew_after_success() {
    let mut backoff = Backoff::default();
    let mut last = Duration::ZERO;
    for attempt in 0..40_u64 {
        let pause = backoff.next_pause(attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert!(pause >= BACKOFF_MIN / 2 && pause <= BACKOFF_MAX);
        last = pause;
    }
    assert!(last >= BACKOFF_MAX / 2);
    backoff.reset();
    assert!(backoff.next_pause(u64::MAX) <= BACKOFF_MIN);
}
