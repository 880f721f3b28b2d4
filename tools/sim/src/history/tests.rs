use super::*;

fn read(history: &[(u64, RecordId)]) -> Vec<(u64, Vec<u8>)> {
    history
        .iter()
        .map(|&(offset, id)| (offset, value_of(id, 40)))
        .collect()
}

fn as_records(read: &[(u64, Vec<u8>)]) -> impl Iterator<Item = ReadRecord<'_>> {
    read.iter().map(|(offset, value)| ReadRecord {
        offset: *offset,
        value,
    })
}

fn restarted(
    history: &mut History,
    end: u64,
    records: &[(u64, RecordId)],
) -> Result<(), Violation> {
    history.restarted(0, end, as_records(&read(records)))
}

fn history_of(sent: &[RecordId]) -> History {
    let mut history = History::new(0);
    sent.iter().for_each(|&id| history.sent(id));
    history
}

#[test]
fn a_value_tells_its_id_and_a_changed_one_does_not() {
    let mut value = value_of(77, 100);
    assert_eq!(id_of(&value), Some(77));
    value[50] ^= 1;
    assert_eq!(id_of(&value), None);
    assert_eq!(id_of(&value_of(77, 0)), Some(77));
    assert_eq!(id_of(&value_of(77, 100)[..99]), None);
}

#[test]
fn a_lost_acknowledgement_is_found() {
    let mut history = history_of(&[1, 2]);
    history.acknowledged_at(1, 0).unwrap();
    history.acknowledged_at(2, 1).unwrap();
    restarted(&mut history, 2, &[(0, 1), (1, 2)]).unwrap();
    let violation = restarted(&mut history, 1, &[(0, 1)]).unwrap_err();
    assert_eq!(violation.checker(), "acknowledged-lost");
}

#[test]
fn an_unknown_append_may_be_there_or_not_but_not_come_back() {
    let mut history = history_of(&[1, 2]);
    history.acknowledged_at(1, 0).unwrap();
    restarted(&mut history, 1, &[(0, 1)]).unwrap();
    let violation = restarted(&mut history, 2, &[(0, 1), (1, 2)]).unwrap_err();
    assert_eq!(violation.checker(), "cut-off-returned");
}

#[test]
fn what_a_restart_served_must_stay() {
    let mut history = history_of(&[1]);
    restarted(&mut history, 1, &[(0, 1)]).unwrap();
    assert_eq!(
        restarted(&mut history, 0, &[]).unwrap_err().checker(),
        "served-vanished"
    );
}

#[test]
fn a_record_that_is_twice_there_is_found() {
    let mut history = history_of(&[1]);
    let violation = restarted(&mut history, 2, &[(0, 1), (1, 1)]).unwrap_err();
    assert_eq!(violation.checker(), "moved-or-twice");
}

#[test]
fn holes_and_foreign_bytes_are_found() {
    let mut history = history_of(&[1, 2]);
    assert_eq!(
        restarted(&mut history, 3, &[(0, 1), (2, 2)])
            .unwrap_err()
            .checker(),
        "not-dense"
    );
    let mut history = history_of(&[1]);
    assert_eq!(
        restarted(&mut history, 1, &[(0, 9)]).unwrap_err().checker(),
        "content-changed"
    );
    let mut history = history_of(&[1]);
    assert_eq!(
        restarted(&mut history, 2, &[(0, 1)]).unwrap_err().checker(),
        "not-dense"
    );
}

#[test]
fn deleted_records_are_not_missed() {
    let mut history = history_of(&[1, 2]);
    history.acknowledged_at(1, 0).unwrap();
    history.acknowledged_at(2, 1).unwrap();
    history.delete_below(1);
    let kept = read(&[(1, 2)]);
    history.restarted(1, 2, as_records(&kept)).unwrap();
    restarted(&mut history, 2, &[(0, 1), (1, 2)]).unwrap();
}
