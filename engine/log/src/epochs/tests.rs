use ringlog_record::{LeaderEpoch, Offset};

use super::{EpochCache, EpochEnd, EpochStart};

fn entry(epoch: u32, start: u64) -> EpochStart {
    EpochStart {
        epoch: LeaderEpoch::new(epoch),
        start: Offset::new(start),
    }
}

fn cache() -> EpochCache {
    EpochCache::from_entries(vec![entry(1, 0), entry(3, 10), entry(4, 20)]).unwrap()
}

#[test]
fn an_epoch_without_offsets_is_forgotten() {
    let mut cache = cache();
    cache.begin(LeaderEpoch::new(5), Offset::new(20));
    assert_eq!(cache.entries(), [entry(1, 0), entry(3, 10), entry(5, 20)]);
    cache.begin(LeaderEpoch::new(5), Offset::new(30));
    cache.begin(LeaderEpoch::new(2), Offset::new(30));
    assert_eq!(cache.entries().len(), 3);
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next() {
    let end = |epoch, end| {
        Some(EpochEnd {
            epoch: LeaderEpoch::new(epoch),
            end: Offset::new(end),
        })
    };
    let of = |epoch| cache().end_of(LeaderEpoch::new(epoch), Offset::new(25));
    assert_eq!(of(0), None);
    assert_eq!(of(1), end(1, 10));
    assert_eq!(of(2), end(1, 10));
    assert_eq!(of(3), end(3, 20));
    assert_eq!(of(9), end(4, 25));
}

#[test]
fn the_epoch_of_an_offset_is_the_last_that_began() {
    let at = |offset| cache().epoch_at(Offset::new(offset)).map(LeaderEpoch::get);
    assert_eq!(
        (at(0), at(9), at(10), at(99)),
        (Some(1), Some(1), Some(3), Some(4))
    );
    assert_eq!(EpochCache::default().epoch_at(Offset::ZERO), None);
}

#[test]
fn trimming_keeps_the_epoch_in_force() {
    let mut cache = cache();
    cache.forget_below(Offset::new(12));
    assert_eq!(cache.entries(), [entry(3, 12), entry(4, 20)]);
    cache.truncate(Offset::new(19));
    assert_eq!(cache.entries(), [entry(3, 12)]);
}

#[test]
fn entries_out_of_order_are_refused() {
    assert_eq!(
        EpochCache::from_entries(vec![entry(2, 0), entry(1, 5)]),
        None
    );
    assert_eq!(
        EpochCache::from_entries(vec![entry(1, 6), entry(2, 5)]),
        None
    );
}
