use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::*;
use crate::driver::ListenOptions;
use crate::mailbox;
use crate::op::OpenOptions;
use crate::uring::{UringConfig, UringDriver};

const BLOCK: usize = 4096;

/// Runs a future on a core of this thread whose pool holds `pool_bytes`.
fn run<T: 'static, F: Future<Output = T> + 'static>(
    pool_bytes: usize,
    main: impl FnOnce(Reactor) -> F,
) -> T {
    let (driver, notify) = UringDriver::new(UringConfig::default()).unwrap();
    let core = Core::new(Box::new(driver), notify, BufferPool::new(pool_bytes));
    core.block_on(main(core.reactor())).unwrap()
}

#[test]
fn wakes_from_other_threads_are_never_lost() {
    const THREADS: u64 = 6;
    const MESSAGES: u64 = 4_000;
    let (mut inboxes, mut senders) = (Vec::new(), Vec::new());
    for _ in 0..THREADS {
        let (sender, inbox) = mailbox::channel::<u64>(3);
        senders.push(sender);
        inboxes.push(inbox);
    }
    let threads: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(thread, sender)| {
            thread::spawn(move || {
                for number in 0..MESSAGES {
                    while sender.try_send(number).is_err() {
                        thread::yield_now();
                    }
                    // Lets the core park now and then, at times that differ between the threads.
                    if (number + thread as u64).is_multiple_of(97) {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            })
        })
        .collect();
    let sums = run(1 << 20, |reactor| async move {
        let receive = |mut inbox: mailbox::Receiver<u64>| async move {
            let mut sum = 0;
            while let Some(number) = inbox.recv().await {
                sum += number;
            }
            sum
        };
        let tasks: Vec<_> = inboxes
            .into_iter()
            .map(|inbox| reactor.spawn("receive", receive(inbox)))
            .collect();
        let mut sums = Vec::new();
        for task in tasks {
            sums.push(task.await);
        }
        sums
    });
    assert_eq!(sums, [MESSAGES * (MESSAGES - 1) / 2; 6]);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_dropped_receive_keeps_its_buffer_until_the_kernel_gives_it_back() {
    run(BLOCK, |reactor| async move {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listener = reactor.listen(address, ListenOptions::default()).unwrap();
        let stream = reactor.connect(listener.local_addr()).await.unwrap();
        let (_peer, _) = listener.accept().await.unwrap();
        for _ in 0..50 {
            let buf = reactor.buffer(BLOCK).expect("nothing else takes buffers");
            let received = stream.recv(buf, 0..BLOCK);
            let ended = reactor.timeout(Duration::from_micros(200), received).await;
            assert!(ended.is_err(), "nobody sends");
            assert!(
                reactor.buffer(BLOCK).is_none(),
                "the kernel may still write to it"
            );
            while reactor.buffer(BLOCK).is_none() {
                reactor.sleep(Duration::from_micros(100)).await;
            }
        }
    });
}

#[test]
fn a_dropped_task_is_dropped_with_all_it_holds() {
    run(1 << 20, |reactor| async move {
        let held = Rc::new(());
        let inside = Rc::clone(&held);
        let sleeping = reactor.clone();
        let task = reactor.spawn("held", async move {
            sleeping.sleep(Duration::from_secs(3600)).await;
            drop(inside);
        });
        reactor.yield_now().await;
        assert_eq!(Rc::strong_count(&held), 2);
        drop(task);
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_task_may_drop_itself() {
    run(1 << 20, |reactor| async move {
        let slot: Rc<RefCell<Option<Task<()>>>> = Rc::default();
        let (own, inner) = (Rc::clone(&slot), reactor.clone());
        let went_on = Rc::new(Cell::new(false));
        let flag = Rc::clone(&went_on);
        let task = reactor.spawn("own", async move {
            drop(own.take());
            inner.yield_now().await;
            flag.set(true);
        });
        slot.replace(Some(task));
        reactor.sleep(Duration::from_millis(2)).await;
        assert!(!went_on.get(), "it ends at its next await");
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let order = run(1 << 20, |reactor| async move {
        let order: Rc<RefCell<Vec<u64>>> = Rc::default();
        let tasks: Vec<_> = [5, 1, 3, 1, 4, 2]
            .into_iter()
            .map(|millis| {
                let (own, order) = (reactor.clone(), Rc::clone(&order));
                reactor.spawn("sleeper", async move {
                    own.sleep(Duration::from_millis(millis * 3)).await;
                    order.borrow_mut().push(millis);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        order.take()
    });
    assert_eq!(order, [1, 1, 2, 3, 4, 5]);
}

#[test]
fn a_time_out_ends_what_takes_too_long_and_nothing_else() {
    run(1 << 20, |reactor| async move {
        let long = reactor.sleep(Duration::from_secs(60));
        assert!(
            reactor
                .timeout(Duration::from_millis(1), long)
                .await
                .is_err()
        );
        let short = reactor.sleep(Duration::from_millis(1));
        assert!(
            reactor
                .timeout(Duration::from_secs(60), short)
                .await
                .is_ok()
        );
        let ready = std::future::ready(7);
        assert_eq!(reactor.timeout(Duration::ZERO, ready).await, Ok(7));
    });
}

#[test]
fn files_are_written_and_read_through_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    run(1 << 20, |reactor| async move {
        let options = OpenOptions {
            read: true,
            write: true,
            create_new: true,
            ..OpenOptions::default()
        };
        let file = reactor.open(&path, options).await.unwrap();
        let data: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_at(100, data.clone().into()).await.unwrap();
        file.sync_data().await.unwrap();
        let buf = reactor.buffer(data.len() + 1).unwrap();
        let (read, buf) = file.read_at(100, buf, data.len() + 1).await;
        assert_eq!(read.unwrap(), data.len());
        assert!(buf[..data.len()] == data[..]);
        assert_eq!(
            reactor.stat(&path).await.unwrap().len_bytes,
            100 + data.len() as u64
        );
        let again = reactor.open(&path, options).await;
        assert_eq!(again.err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_busy_task_does_not_starve_timers_and_completions() {
    run(1 << 20, |reactor| async move {
        let busy = reactor.clone();
        let spinning = reactor.spawn("busy", async move {
            loop {
                busy.yield_now().await;
            }
        });
        reactor.sleep(Duration::from_millis(5)).await;
        let here = std::env::current_dir().unwrap();
        assert!(reactor.stat(&here).await.is_ok());
        drop(spinning);
    });
}

#[test]
fn the_loop_counts_what_goes_through_the_ring() {
    run(1 << 20, |reactor| async move {
        let before = reactor.loop_counts();
        for _ in 0..10 {
            reactor.sleep(Duration::from_micros(100)).await;
            reactor.stat(std::path::Path::new("/")).await.unwrap();
        }
        let after = reactor.loop_counts();
        assert!(after.turns >= before.turns + 20, "{after:?}");
        assert!(after.polls >= before.polls + 20);
        assert!(after.parks >= before.parks + 10);
        assert_eq!(after.operations, before.operations + 10);
        let (before, after) = (before.driver, after.driver);
        assert!(after.submissions >= before.submissions + 10);
        assert!(after.completions >= before.completions + 10);
        assert!(after.enters >= before.enters + 10);
    });
}
