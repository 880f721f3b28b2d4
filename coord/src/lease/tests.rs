use super::*;

const SESSION: Duration = Duration::from_secs(6);

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(100.0 + seconds)
}

#[test]
fn a_lease_runs_from_when_the_write_was_sent_to_half_the_session() {
    let mut lease = Lease::new(Some(SESSION), at(0.0)).unwrap();
    assert!(lease.is_valid(at(2.9)) && !lease.is_valid(at(3.0)));
    lease.begin_renewal(at(1.0));
    assert!(!lease.is_valid(at(3.5)), "sent is not committed");
    lease.renewed();
    assert!(lease.is_valid(at(3.9)) && !lease.is_valid(at(4.0)));
}

#[test]
fn a_renewal_that_fails_is_tried_again_and_lengthens_nothing() {
    let mut lease = Lease::new(Some(SESSION), at(0.0)).unwrap();
    lease.begin_renewal(at(0.0));
    lease.failed(at(2.0));
    assert_eq!(lease.renewal_at(), Some(at(2.0) + SESSION / LEASE_RENEWALS));
    assert!(!lease.is_valid(at(3.0)));
}

#[test]
fn a_store_that_is_always_there_has_a_lease_that_never_lapses() {
    let lease = Lease::new(None, at(0.0)).unwrap();
    assert!(lease.is_valid(at(1e6)));
    assert_eq!(lease.renewal_at(), None);
}

#[test]
fn a_session_without_a_margin_is_refused() {
    let refused = Lease::new(Some(Duration::from_millis(1500)), at(0.0)).unwrap_err();
    assert_eq!(refused.timeout_min, Duration::from_secs(2));
    assert!(Lease::new(Some(Duration::from_secs(2)), at(0.0)).is_ok());
}
