use super::*;

const FOUND: Found = Found {
    log_start: 0,
    log_end: 0,
    now_ms: 0,
};

fn read(records: &[(u64, RecordId)]) -> Vec<ReadRecord> {
    records
        .iter()
        .map(|&(offset, id)| ReadRecord {
            offset,
            epoch: 1,
            id: Some(id),
        })
        .collect()
}

fn restarted(
    history: &mut History,
    log_end: u64,
    records: &[(u64, RecordId)],
) -> Result<(), Violation> {
    history.restarted(Found { log_end, ..FOUND }, read(records))
}

fn history_of(sent: &[RecordId]) -> History {
    let mut history = History::new(0, Retention::default());
    sent.iter().for_each(|&id| history.sent(id, 0));
    history
}

#[track_caller]
fn fails_as(result: Result<(), Violation>, checker: &str) {
    assert_eq!(result.unwrap_err().checker(), checker);
}

#[test]
fn a_lost_acknowledgement_is_found() {
    let mut history = history_of(&[1, 2]);
    history.acknowledged(1, 0, 1).unwrap();
    history.acknowledged(2, 1, 1).unwrap();
    restarted(&mut history, 2, &[(0, 1), (1, 2)]).unwrap();
    fails_as(restarted(&mut history, 1, &[(0, 1)]), "acknowledged-lost");
}

#[test]
fn what_was_said_to_be_durable_must_stay() {
    let mut history = history_of(&[1, 2]);
    history.appended(1, 0, 1).unwrap();
    history.appended(2, 1, 1).unwrap();
    history.durable_to(1);
    restarted(&mut history, 1, &[(0, 1)]).unwrap();
    fails_as(restarted(&mut history, 0, &[]), "acknowledged-lost");
}

#[test]
fn an_unknown_append_may_be_there_or_not_but_not_come_back() {
    let mut history = history_of(&[1, 2]);
    history.acknowledged(1, 0, 1).unwrap();
    restarted(&mut history, 1, &[(0, 1)]).unwrap();
    fails_as(
        restarted(&mut history, 2, &[(0, 1), (1, 2)]),
        "cut-off-returned",
    );
}

#[test]
fn the_offset_of_a_lost_unknown_append_is_free_for_another() {
    let mut history = history_of(&[1]);
    history.appended(1, 0, 1).unwrap();
    history
        .served(read(&[(0, 1)]), 0)
        .expect("read before it was durable");
    restarted(&mut history, 0, &[]).unwrap();
    history.sent(2, 0);
    history.appended(2, 0, 1).unwrap();
    restarted(&mut history, 1, &[(0, 2)]).unwrap();
}

#[test]
fn what_a_restart_served_must_stay() {
    let mut history = history_of(&[1]);
    restarted(&mut history, 1, &[(0, 1)]).unwrap();
    fails_as(restarted(&mut history, 0, &[]), "served-vanished");
}

#[test]
fn a_record_that_is_twice_there_is_found() {
    let mut history = history_of(&[1]);
    fails_as(
        restarted(&mut history, 2, &[(0, 1), (1, 1)]),
        "moved-or-twice",
    );
}

#[test]
fn a_record_of_another_epoch_is_found() {
    let mut history = history_of(&[1]);
    history.acknowledged(1, 0, 2).unwrap();
    fails_as(restarted(&mut history, 1, &[(0, 1)]), "moved-or-twice");
}

#[test]
fn records_out_of_order_are_found() {
    let mut history = history_of(&[1, 2]);
    fails_as(
        restarted(&mut history, 2, &[(0, 2), (1, 1)]),
        "not-in-order",
    );
}

#[test]
fn holes_and_foreign_bytes_are_found() {
    let mut history = history_of(&[1, 2]);
    fails_as(restarted(&mut history, 3, &[(0, 1), (2, 2)]), "not-dense");
    let mut history = history_of(&[1]);
    fails_as(restarted(&mut history, 1, &[(0, 9)]), "content-changed");
    let mut history = history_of(&[1]);
    fails_as(restarted(&mut history, 2, &[(0, 1)]), "not-dense");
}

#[test]
fn deleted_records_are_not_missed_and_others_are() {
    let mut history = history_of(&[1, 2, 3]);
    (1..=3)
        .try_for_each(|id| history.acknowledged(id, id - 1, 1))
        .unwrap();
    history.deletion_asked(1);
    let found = |log_start| Found {
        log_start,
        log_end: 3,
        now_ms: 0,
    };
    history
        .restarted(found(1), read(&[(1, 2), (2, 3)]))
        .unwrap();
    fails_as(
        history.restarted(found(2), read(&[(2, 3)])),
        "removed-too-early",
    );
    fails_as(
        history.restarted(found(0), read(&[(0, 1), (1, 2), (2, 3)])),
        "watermark-went-back",
    );
}

fn removing_after_10_ms() -> History {
    let retention = Retention {
        by_size: false,
        ms: Some(10),
    };
    History::new(0, retention)
}

#[test]
fn retention_removes_old_records_only() {
    let mut history = removing_after_10_ms();
    history.sent(1, 0);
    history.sent(2, 5);
    history.acknowledged(1, 0, 1).unwrap();
    history.acknowledged(2, 1, 1).unwrap();
    history.started_at(1, 10).unwrap();
    fails_as(history.started_at(2, 14), "removed-too-early");
    history.starting(12);
    fails_as(history.started_at(2, 14), "removed-too-early");
    history.started_at(2, 15).unwrap();
}

#[test]
fn what_a_broker_finds_counts_as_appended_when_it_started_by_a_clock_that_is_behind() {
    let mut history = removing_after_10_ms();
    history.sent(1, 100);
    history.acknowledged(1, 0, 1).unwrap();
    history.starting(41);
    fails_as(history.started_at(1, 50), "removed-too-early");
    // By the clock that has been put right, it is older than 10 ms; in truth, and by the clock when it was sent, it is not.
    history.started_at(1, 105).unwrap();
}
