use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn recorder(belongs: Belongs) -> Recorder {
    let window = Window::new(ms(1000), ms(2000));
    Recorder::new(window, belongs, ms(1)).unwrap()
}

fn request(intended: u64, sent: u64, answered: u64) -> Answered {
    Answered {
        intended: ms(intended),
        sent: ms(sent),
        answered: ms(answered),
        records: 2,
        bytes: 200,
    }
}

#[test]
fn with_a_schedule_a_request_is_timed_where_it_is_due_and_counted_where_it_is_answered() {
    let mut seen = recorder(Belongs::Due);
    // Due in the warm-up, answered in the window; in the window; due in it, answered long after it.
    seen.answered(request(999, 999, 1001), None);
    seen.answered(request(1000, 1010, 1020), None);
    seen.answered(request(2999, 2999, 9999), None);
    assert_eq!((seen.requests, seen.records, seen.bytes), (2, 4, 400));
    assert_eq!((seen.response.count(), seen.service.count()), (2, 2));
    assert_eq!(seen.response.max_ns(), Some(7_000_000_000));
    let answered: Vec<u64> = seen.steps.iter().map(|step| step.requests).collect();
    assert_eq!((answered.len(), answered[0]), (20, 2));
    assert_eq!(seen.steps[0].response.max_ns(), Some(20_000_000));
    assert_eq!(seen.steps[19].response.max_ns(), Some(7_000_000_000));
}

#[test]
fn in_a_closed_loop_only_what_is_sent_and_answered_in_the_window_is_anything() {
    let mut seen = recorder(Belongs::Within);
    seen.answered(request(999, 999, 1001), None);
    seen.answered(request(2999, 2999, 3000), None);
    seen.answered(request(1500, 1500, 1501), None);
    assert_eq!((seen.requests, seen.response.count()), (1, 1));
}

#[test]
fn response_counts_from_the_intended_send_and_service_from_the_real_one() {
    let mut seen = recorder(Belongs::Due);
    seen.answered(request(1100, 1400, 1500), None);
    assert_eq!(seen.response.max_ns(), Some(400_000_000));
    assert_eq!(seen.service.max_ns(), Some(100_000_000));
}

#[test]
fn a_send_is_late_behind_the_limit_and_only_within_the_window() {
    let mut seen = recorder(Belongs::Due);
    seen.sent(ms(500), ms(900));
    seen.sent(ms(1000), ms(1001));
    seen.sent(ms(1000), ms(1002));
    assert_eq!((seen.due, seen.late, seen.late_max), (2, 1, ms(2)));
}

#[test]
fn workers_add_up() {
    let (mut one, mut other) = (recorder(Belongs::Due), recorder(Belongs::Due));
    one.answered(request(1000, 1000, 1010), None);
    other.answered(request(1000, 1000, 1030), None);
    other.sent(ms(1000), ms(1005));
    other.failed(3, "refused");
    other.arrived(ms(1000), ms(1700));
    one.merge(&other).unwrap();
    assert_eq!((one.requests, one.due, one.late, one.errors), (2, 1, 1, 3));
    assert_eq!(one.response.count(), 2);
    assert_eq!(one.steps[0].requests, 2);
    assert_eq!(one.end_to_end.max_ns(), Some(700_000_000));
    assert!(one.error_kinds.contains("refused"));
}

#[test]
fn a_run_that_is_ended_before_its_time_is_measured_until_then() {
    let mut seen = recorder(Belongs::Due);
    seen.answered(request(1000, 1000, 1010), None);
    seen.answered(request(1300, 1300, 1310), None);
    seen.cut(ms(1450));
    assert_eq!(seen.window.duration(), ms(450));
    assert_eq!(seen.steps.len(), 5, "the last one is half of one");
    assert_eq!(seen.steps[3].requests, 1);
    let mut early = recorder(Belongs::Due);
    early.cut(ms(200));
    assert!(early.window.duration().is_zero());
}
