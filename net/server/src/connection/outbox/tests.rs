use futures_util::FutureExt;
use ringlog_shard::Budget;

use super::*;

fn response(head_bytes: usize, payload_bytes: &[usize], memory: Memory) -> Response {
    let zeros = |len: usize| Bytes::from(vec![0; len]);
    Response {
        head: zeros(head_bytes),
        payload: payload_bytes.iter().map(|&len| zeros(len)).collect(),
        memory,
    }
}

fn take(outbox: &Outbox) -> Sending {
    let mut sending = Sending::default();
    outbox.take(&mut sending);
    sending
}

#[test]
fn a_large_answer_goes_out_in_sends_of_bounded_size() {
    let outbox = Outbox::default();
    outbox.push(response(64, &[5 * SEND_BYTES_MAX, 10], Memory::new()));
    let mut sent = Vec::new();
    loop {
        let Sending { slices, bytes, .. } = take(&outbox);
        if bytes == 0 {
            break;
        }
        assert_eq!(bytes, slices.iter().map(Bytes::len).sum::<usize>());
        sent.push(bytes);
    }
    assert!(sent.iter().all(|&bytes| bytes <= SEND_BYTES_MAX));
    assert_eq!(sent.iter().sum::<usize>(), 64 + 5 * SEND_BYTES_MAX + 10);
}

#[test]
fn an_answer_keeps_its_memory_until_its_last_byte_is_taken() {
    let budget = Budget::new(100);
    let outbox = Outbox::default();
    let share = budget.try_take(100).into_iter().collect();
    outbox.push(response(64, &[2 * SEND_BYTES_MAX], share));
    outbox.push(response(64, &[], Memory::new()));
    assert!(take(&outbox).memory.is_empty());
    assert!(take(&outbox).memory.is_empty());
    let last = take(&outbox).memory;
    assert_eq!((last.len(), budget.free_bytes()), (1, 0));
    drop(last);
    assert_eq!(budget.free_bytes(), 100);
}

#[test]
fn an_abandoned_outbox_holds_on_to_nothing() {
    let budget = Budget::new(100);
    let outbox = Outbox::default();
    let share = || budget.try_take(50).into_iter().collect();
    outbox.push(response(64, &[10], share()));
    outbox.abandon();
    outbox.push(response(64, &[10], share()));
    assert_eq!(budget.free_bytes(), 100);
}

#[test]
fn when_all_have_too_much_waiting_only_those_with_nothing_go_on() {
    let all_bytes = Rc::new(Cell::new(0));
    let outbox = |bytes: usize| {
        let outbox = Outbox::new(Rc::clone(&all_bytes));
        (bytes > 0).then(|| outbox.push(response(bytes, &[], Memory::new())));
        outbox
    };
    let has_room = |outbox: &Outbox| outbox.room(100).now_or_never().is_some();
    let (some, none) = (outbox(60), outbox(0));
    assert!(has_room(&some) && has_room(&none));
    let more = outbox(40);
    assert!(!has_room(&some) && !has_room(&more) && has_room(&none));
    more.abandon();
    assert!(has_room(&some));
    assert_eq!(all_bytes.get(), 60);
}

#[test]
fn many_small_answers_share_a_send() {
    let outbox = Outbox::default();
    for _ in 0..3 * SEND_SLICES_MAX {
        outbox.push(response(16, &[], Memory::new()));
    }
    let Sending { slices, bytes, .. } = take(&outbox);
    assert_eq!(
        (slices.len(), bytes),
        (SEND_SLICES_MAX, 16 * SEND_SLICES_MAX)
    );
}
