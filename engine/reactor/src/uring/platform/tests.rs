use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::mailbox;

fn spec(cpu: Option<usize>) -> CoreSpec {
    CoreSpec {
        name: "test-core".to_owned(),
        cpu,
        spin: Duration::ZERO,
        pool_bytes: 1 << 20,
    }
}

#[test]
fn a_core_runs_its_main_pinned_and_ends_with_it() {
    let cpu = *UringPlatform::cpus().unwrap().last().unwrap();
    let (sender, receiver) = mpsc::channel();
    let main: CoreMain = Box::new(move |reactor| {
        Box::pin(async move {
            reactor.sleep(Duration::from_millis(2)).await;
            let pinned = core_affinity::get_core_ids().unwrap();
            sender.send(pinned).unwrap();
        })
    });
    let core = UringPlatform::new().launch(spec(Some(cpu)), main).unwrap();
    assert_eq!(receiver.recv().unwrap(), [CoreId { id: cpu }]);
    core.join().unwrap();
}

#[test]
fn a_processor_that_does_not_exist_is_refused_at_launch() {
    let main: CoreMain = Box::new(|_| Box::pin(async {}));
    let error = UringPlatform::new()
        .launch(spec(Some(100_000)), main)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no processor 100000"), "{error}");
}

#[test]
fn messages_between_two_cores_wake_them() {
    let rounds = 2_000_u32;
    let (to_echo, mut echo_in) = mailbox::channel::<u32>(4);
    let (from_echo, mut answers) = mailbox::channel::<u32>(4);
    let echo: CoreMain = Box::new(move |_| {
        Box::pin(async move {
            while let Some(number) = echo_in.recv().await {
                from_echo.try_send(number).unwrap();
            }
        })
    });
    let ask: CoreMain = Box::new(move |_| {
        Box::pin(async move {
            for number in 0..rounds {
                to_echo.try_send(number).unwrap();
                assert_eq!(answers.recv().await, Some(number));
            }
        })
    });
    let platform = UringPlatform::new();
    let echo = platform.launch(spec(None), echo).unwrap();
    let ask = platform.launch(spec(None), ask).unwrap();
    ask.join().unwrap();
    echo.join().unwrap();
}
