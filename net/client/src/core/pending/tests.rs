use super::*;

#[test]
fn answers_come_in_any_order_and_once() {
    let mut pending = Pending::default();
    let first = pending.queue("first").unwrap();
    let second = pending.queue("second").unwrap();
    assert!(pending.start(first) && pending.start(second));
    assert_eq!(pending.answer(second), Some("second"));
    assert_eq!(pending.answer(second), None);
    assert_eq!(pending.answer(CorrelationId::new(99)), None);
    assert_eq!(pending.answer(first), Some("first"));
    assert!(pending.is_empty());
}

#[test]
fn the_end_tells_what_was_written_from_what_was_not() {
    let mut pending = Pending::default();
    let written = pending.queue("written").unwrap();
    let waiting = pending.queue("waiting").unwrap();
    assert!(pending.start(written));
    let mut ended = pending.end("reset".to_owned());
    ended.sort_by_key(|&(_, name)| name);
    assert_eq!(
        ended,
        [
            (Progress::Queued, "waiting"),
            (Progress::Started, "written")
        ]
    );
    // What was queued when the connection ended must not be written afterwards.
    assert!(!pending.start(waiting));
    let refused = pending.queue("late").unwrap_err();
    assert_eq!(refused.reason, "reset");
    pending.end("again".to_owned());
    assert_eq!(pending.ended().unwrap().reason, "reset");
}

#[test]
fn a_request_nobody_waits_for_is_not_started() {
    let mut pending = Pending::default();
    let id = pending.queue(()).unwrap();
    assert_eq!(pending.forget(id), Some(Progress::Queued));
    assert!(!pending.start(id));
    let id = pending.queue(()).unwrap();
    assert!(pending.start(id));
    assert_eq!(pending.forget(id), Some(Progress::Started));
    assert_eq!(pending.forget(id), None);
}
