use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::buf::AlignedBuf;
use crate::driver::ListenOptions;
use crate::mailbox;
use crate::net::{RawSocket, TcpStream};
use crate::platform::{CoreSpec, Platform};
use crate::reactor::Reactor;
use crate::sim::{CrashKind, SimConfig, SimWorld};

const ADDRESS: &str = "10.0.0.1:9400";
const LONG: Duration = Duration::from_secs(60);

async fn echo(stream: TcpStream) {
    let mut buf = AlignedBuf::unpooled(4096);
    loop {
        let (result, back) = stream.recv(buf, 0..4096).await;
        let Ok(count @ 1..) = result else { return };
        if stream
            .send(&mut vec![Bytes::copy_from_slice(&back[..count])])
            .await
            .is_err()
        {
            return;
        }
        buf = back;
    }
}

async fn serve(reactor: Reactor) {
    let listener = reactor
        .listen(ADDRESS.parse().unwrap(), ListenOptions { reuse_port: true })
        .unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        reactor.spawn("echo", echo(stream)).detach();
    }
}

/// Sends `data` and reads as much back.
async fn round_trip(reactor: Reactor, data: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let stream = Rc::new(reactor.connect(ADDRESS.parse().unwrap()).await?);
    let sender = Rc::clone(&stream);
    let to_send = Bytes::from(data.clone());
    let sent = reactor.spawn("send", async move { sender.send(&mut vec![to_send]).await });
    let mut received = Vec::new();
    let mut buf = AlignedBuf::unpooled(4096);
    while received.len() < data.len() {
        let (result, back) = stream.recv(buf, 0..4096).await;
        match result? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => received.extend_from_slice(&back[..count]),
        }
        buf = back;
    }
    sent.await?;
    Ok(received)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from(index * 31 % 251).unwrap())
        .collect()
}

#[test]
fn a_stream_delivers_everything_in_order_through_small_windows() {
    for seed in 0..20 {
        let world = SimWorld::new(seed, SimConfig::default());
        let (server, client) = (world.add_node(), world.add_node());
        world.launch_local(server, serve);
        let data = pattern(300_000);
        let sent = data.clone();
        world.run_for(Duration::from_millis(1));
        let received = world
            .block_on(client, LONG, |reactor| round_trip(reactor, sent))
            .unwrap();
        assert!(received.unwrap() == data, "seed {seed}");
    }
}

#[test]
fn a_send_waits_while_the_peer_does_not_receive() {
    let world = SimWorld::new(1, SimConfig::default());
    let node = world.add_node();
    let held = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&held);
    world.launch_local(node, move |reactor| async move {
        let listener = reactor
            .listen(ADDRESS.parse().unwrap(), ListenOptions::default())
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        keep.borrow_mut().push(stream);
        std::future::pending::<()>().await;
    });
    world.run_for(Duration::from_millis(1));
    let sent = world.block_on(node, Duration::from_secs(5), |reactor| async move {
        let stream = reactor.connect(ADDRESS.parse().unwrap()).await.unwrap();
        stream.send(&mut vec![Bytes::from(vec![0; 4 << 20])]).await
    });
    assert!(sent.is_none());
    held.borrow_mut().clear();
}

#[test]
fn nobody_listening_refuses_and_a_crash_resets() {
    let world = SimWorld::new(2, SimConfig::default());
    let (server, client) = (world.add_node(), world.add_node());
    let refused = world
        .block_on(client, LONG, |reactor| round_trip(reactor, vec![1]))
        .unwrap();
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );

    world.launch_local(server, serve);
    world.run_for(Duration::from_millis(1));
    let outcome = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&outcome);
    world.launch_local(client, move |reactor| async move {
        let stream = reactor.connect(ADDRESS.parse().unwrap()).await.unwrap();
        let (result, _) = stream.recv(AlignedBuf::unpooled(1), 0..1).await;
        *slot.borrow_mut() = Some(result);
    });
    world.run_for(Duration::from_millis(100));
    world.crash(server, CrashKind::Power);
    world.run_for(Duration::from_millis(100));
    let error = outcome.borrow_mut().take().unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    world.launch_local(server, serve);
    world.run_for(Duration::from_millis(1));
    let again = world
        .block_on(client, LONG, |reactor| round_trip(reactor, vec![1]))
        .unwrap();
    assert_eq!(again.unwrap(), [1]);
}

#[test]
fn a_cut_delays_until_it_is_healed_and_loses_nothing() {
    for seed in 0..10 {
        let world = SimWorld::new(seed, SimConfig::default());
        let (server, client) = (world.add_node(), world.add_node());
        world.launch_local(server, serve);
        world.run_for(Duration::from_millis(1));
        let received = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&received);
        let data = pattern(2_000_000);
        let sent = data.clone();
        world.launch_local(client, move |reactor| async move {
            let back = round_trip(reactor, sent).await.unwrap();
            *slot.borrow_mut() = Some(back);
        });
        world.run_for(Duration::from_millis(2));
        world.cut(server, client);
        world.run_for(Duration::from_secs(1));
        assert!(received.borrow().is_none(), "seed {seed}");
        world.heal(server, client);
        assert!(world.run_until(LONG, || received.borrow().is_some()));
        assert!(received.borrow_mut().take() == Some(data), "seed {seed}");
    }
}

#[test]
fn listeners_that_share_an_address_share_its_connections() {
    let world = SimWorld::new(3, SimConfig::default());
    let node = world.add_node();
    let counts = Rc::new(RefCell::new([0; 2]));
    for core in 0..2 {
        let counts = Rc::clone(&counts);
        world.launch_local(node, move |reactor| async move {
            let options = ListenOptions { reuse_port: true };
            let listener = reactor.listen(ADDRESS.parse().unwrap(), options).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counts.borrow_mut()[core] += 1;
                reactor.spawn("echo", echo(stream)).detach();
            }
        });
    }
    world.run_for(Duration::from_millis(1));
    for _ in 0..20 {
        world
            .block_on(node, LONG, |reactor| round_trip(reactor, vec![1]))
            .unwrap()
            .unwrap();
    }
    let [first, second] = *counts.borrow();
    assert_eq!(first + second, 20);
    assert!(first > 0 && second > 0);
    let taken = world.block_on(node, LONG, |reactor| async move {
        reactor
            .listen(ADDRESS.parse().unwrap(), ListenOptions::default())
            .map(|_| ())
    });
    assert_eq!(
        taken.unwrap().unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
}

#[test]
fn a_connection_can_be_handed_to_another_core() {
    let world = SimWorld::new(4, SimConfig::default());
    let node = world.add_node();
    let platform = world.platform(node);
    let (give, mut take) = mailbox::channel::<RawSocket>(4);
    let spec = CoreSpec {
        name: "core".into(),
        cpu: None,
        spin: Duration::ZERO,
        pool_bytes: 1 << 20,
    };
    let listening = Box::new(move |reactor: Reactor| -> crate::platform::LocalFuture {
        Box::pin(async move {
            let listener = reactor
                .listen(ADDRESS.parse().unwrap(), ListenOptions::default())
                .unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                assert!(give.try_send(stream.into_raw().unwrap()).is_ok());
            }
        })
    });
    let echoing = Box::new(move |reactor: Reactor| -> crate::platform::LocalFuture {
        Box::pin(async move {
            while let Some(raw) = take.recv().await {
                echo(reactor.adopt(raw)).await;
            }
        })
    });
    platform.launch(spec.clone(), listening).unwrap();
    platform.launch(spec, echoing).unwrap();
    world.run_for(Duration::from_millis(1));
    let data = pattern(10_000);
    let sent = data.clone();
    let received = world
        .block_on(node, LONG, |reactor| round_trip(reactor, sent))
        .unwrap();
    assert!(received.unwrap() == data);
}

#[test]
fn a_shutdown_ends_the_stream_of_both_sides() {
    let world = SimWorld::new(5, SimConfig::default());
    let node = world.add_node();
    let ended = Rc::new(RefCell::new(false));
    let slot = Rc::clone(&ended);
    world.launch_local(node, move |reactor| async move {
        let listener = reactor
            .listen(ADDRESS.parse().unwrap(), ListenOptions::default())
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (result, _) = stream.recv(AlignedBuf::unpooled(1), 0..1).await;
        *slot.borrow_mut() = result.unwrap() == 0;
        std::future::pending::<()>().await;
    });
    world.run_for(Duration::from_millis(1));
    let near = world.block_on(node, LONG, |reactor| async move {
        let stream = reactor.connect(ADDRESS.parse().unwrap()).await.unwrap();
        stream.shutdown().await.unwrap();
        let (result, _) = stream.recv(AlignedBuf::unpooled(1), 0..1).await;
        result.unwrap()
    });
    assert_eq!(near, Some(0));
    assert!(world.run_until(LONG, || *ended.borrow()));
}
