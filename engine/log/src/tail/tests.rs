use ringlog_reactor::AlignedBuf;
use ringlog_record::Offset;

use super::{Chunk, Tail};
use crate::limits::{CHUNK_BYTES_MAX, FLUSH_GROUP_BYTES_MAX};

fn append(tail: &mut Tail, len: usize, fill: u8, end_offset: u64) {
    if let Some(bytes) = tail.chunk_for(len, CHUNK_BYTES_MAX) {
        tail.begin_chunk(AlignedBuf::unpooled(bytes.needed));
    }
    tail.room(len).fill(fill);
    tail.advance(len, Offset::new(end_offset));
}

fn writes(group: &[Chunk]) -> Vec<(u64, usize)> {
    let count = group.len();
    let blocks = group.iter().enumerate();
    blocks
        .map(|(index, chunk)| (chunk.span.start, chunk.blocks(index + 1 == count).len()))
        .collect()
}

#[test]
fn the_next_group_repeats_the_partial_block() {
    let mut tail = Tail::new(Offset::ZERO, 10, Offset::new(5), vec![7; 10]);
    append(&mut tail, 100, 1, 6);
    let first = tail.take_group();
    assert_eq!(writes(&first), [(0, 4096)]);
    let block = first[0].blocks(true);
    assert!(
        block[..10].iter().all(|&byte| byte == 7) && block[10..110].iter().all(|&byte| byte == 1)
    );
    assert!(block[110..].iter().all(|&byte| byte == 0));

    append(&mut tail, 5_000, 2, 7);
    let second = tail.take_group();
    assert_eq!(writes(&second), [(0, 8192)]);
    let blocks = second[0].blocks(true);
    assert_eq!(blocks[..110], block[..110]);
    assert!(blocks[110..5_110].iter().all(|&byte| byte == 2));
    assert_eq!(second[0].data().len(), 5_000);
    assert!(tail.take_group().is_empty());
}

#[test]
fn the_writes_of_a_group_do_not_share_a_block() {
    let mut tail = Tail::new(Offset::ZERO, 0, Offset::ZERO, Vec::new());
    for index in 0..20 {
        append(&mut tail, 7_000, 1, index + 1);
    }
    let group = tail.take_group();
    assert!(group.len() > 1);
    let mut end = 0;
    for (start, len) in writes(&group) {
        assert_eq!(start, end);
        end = start + len as u64;
    }
    assert_eq!(end, (20_u64 * 7_000).next_multiple_of(4096));
}

#[test]
fn a_group_is_bounded_and_of_one_segment() {
    let mut tail = Tail::new(Offset::ZERO, 0, Offset::ZERO, Vec::new());
    let third = usize::try_from(FLUSH_GROUP_BYTES_MAX / 3).unwrap() + 1;
    for index in 0..4 {
        append(&mut tail, third, 1, index + 1);
    }
    tail.roll(Offset::new(4));
    append(&mut tail, 10, 1, 5);
    let ends = |group: &[Chunk]| {
        group
            .last()
            .map(|chunk| (chunk.span.segment.get(), chunk.span.end_offset.get()))
    };
    assert_eq!(ends(&tail.take_group()), Some((0, 2)));
    assert_eq!(ends(&tail.take_group()), Some((0, 4)));
    assert_eq!(tail.unsubmitted_bytes(), 10);
    let last = tail.take_group();
    assert_eq!(ends(&last), Some((4, 5)));
    assert_eq!(writes(&last), [(0, 4096)]);
    assert_eq!(ends(&tail.take_group()), None);
}

#[test]
fn only_what_is_durable_is_evicted() {
    let mut tail = Tail::new(Offset::ZERO, 0, Offset::ZERO, Vec::new());
    append(&mut tail, 10, 1, 1);
    tail.take_group();
    append(&mut tail, 10, 1, 2);
    tail.take_group();
    tail.evict_oldest(Offset::ZERO);
    assert_eq!(tail.first_offset(), Offset::ZERO);
    tail.evict_oldest(Offset::new(1));
    tail.evict_oldest(Offset::new(1));
    assert_eq!(tail.first_offset(), Offset::new(1));
    tail.evict_oldest(Offset::new(2));
    assert_eq!(tail.first_offset(), Offset::new(2));
}

#[test]
fn a_refused_append_leaves_no_trace() {
    let mut tail = Tail::new(Offset::ZERO, 0, Offset::ZERO, Vec::new());
    append(&mut tail, 10, 1, 1);
    tail.room(100).fill(9);
    let group = tail.take_group();
    let block = group[0].blocks(true);
    assert!(block[10..].iter().all(|&byte| byte == 0));
}

#[test]
fn readers_get_what_is_open_too() {
    let mut tail = Tail::new(Offset::ZERO, 0, Offset::ZERO, Vec::new());
    append(&mut tail, 10, 1, 1);
    tail.take_group();
    append(&mut tail, 20, 2, 2);
    let lens = |tail: &mut Tail, from, seal_from_bytes| {
        let found = tail.chunks_from(Offset::new(from), seal_from_bytes);
        found.map(|(_, data)| data.len()).collect::<Vec<_>>()
    };
    assert_eq!(lens(&mut tail, 0, 1_000), [10, 20]);
    assert_eq!(lens(&mut tail, 1, 20), [20]);
    append(&mut tail, 30, 3, 3);
    assert_eq!(lens(&mut tail, 1, 1_000), [20, 30]);
}
