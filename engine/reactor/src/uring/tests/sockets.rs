//! Sockets over loopback.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;

use bytes::Bytes;
use socket2::SockRef;

use super::*;
use crate::buf::BufferPool;

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Pair {
    client: Handle,
    server: Handle,
}

fn accepted(output: Output) -> (Handle, SocketAddr) {
    match output {
        Output::Accepted(result) => result.expect("a connection"),
        other => panic!("expected a connection, got {other:?}"),
    }
}

fn connected(rig: &mut Rig) -> Pair {
    let (listener, address) = rig
        .driver
        .listen(LOOPBACK, ListenOptions::default())
        .unwrap();
    let accept = rig.submit(Op::Accept { listener });
    let client = rig.handle(Op::Connect { address }).unwrap();
    let (server, peer) = accepted(rig.wait_for(accept));
    assert!(peer.ip().is_loopback());
    rig.unit(Op::Close { handle: listener }).unwrap();
    Pair { client, server }
}

fn recv_exactly(rig: &mut Rig, socket: Handle, len: usize) -> Vec<u8> {
    let mut buf = AlignedBuf::unpooled(len);
    let mut filled = 0;
    while filled < len {
        let output = rig.run(Op::Recv {
            socket,
            buf,
            range: filled..len,
        });
        let (received, back) = Rig::buffer(output);
        buf = back;
        let received = received.expect("bytes");
        assert!(received > 0, "the stream ended after {filled} bytes");
        filled += received;
    }
    buf[..len].to_vec()
}

fn has_nodelay(handle: Handle) -> bool {
    // SAFETY: the handle is an open socket of the test.
    let socket = unsafe { BorrowedFd::borrow_raw(i32::try_from(handle.0).unwrap()) };
    SockRef::from(&socket).tcp_nodelay().unwrap()
}

#[test]
fn bytes_travel_both_ways() {
    let mut rig = Rig::new();
    let Pair { client, server } = connected(&mut rig);
    let sent = rig.run(Op::Send {
        socket: client,
        data: vec![Bytes::from_static(b"ping")],
    });
    assert_eq!(Rig::count(sent).unwrap(), 4);
    assert_eq!(recv_exactly(&mut rig, server, 4), b"ping");
    let data = vec![
        Bytes::from_static(b"po"),
        Bytes::new(),
        Bytes::from_static(b"ng!"),
    ];
    let sent = rig.run(Op::Send {
        socket: server,
        data,
    });
    assert_eq!(Rig::count(sent).unwrap(), 5);
    assert_eq!(recv_exactly(&mut rig, client, 5), b"pong!");
    rig.unit(Op::Shutdown { socket: server }).unwrap();
    let output = rig.run(Op::Recv {
        socket: client,
        buf: AlignedBuf::unpooled(16),
        range: 0..16,
    });
    assert_eq!(Rig::buffer(output).0.unwrap(), 0, "the end of the stream");
}

#[test]
fn neither_end_holds_small_sends_back() {
    let mut rig = Rig::new();
    let Pair { client, server } = connected(&mut rig);
    assert!(has_nodelay(client), "connected");
    assert!(has_nodelay(server), "accepted");
}

#[test]
fn a_short_send_is_continued() {
    let mut rig = Rig::new();
    let Pair { client, server } = connected(&mut rig);
    let content = Bytes::from(pattern(24 << 20, 3));
    let mut sent = 0;
    let mut sends = 0;
    let mut received = Vec::with_capacity(content.len());
    let mut send = None;
    let mut recv = None;
    while received.len() < content.len() {
        if send.is_none() && sent < content.len() {
            let rest = content.slice(sent..);
            let middle = rest.len() / 2;
            let data = vec![rest.slice(..middle), rest.slice(middle..)];
            send = Some(rig.submit(Op::Send {
                socket: client,
                data,
            }));
        }
        if recv.is_none() {
            let buf = AlignedBuf::unpooled(256 << 10);
            recv = Some(rig.submit(Op::Recv {
                socket: server,
                buf,
                range: 0..256 << 10,
            }));
        }
        rig.turn_for(Duration::from_secs(5));
        if let Some(output) = send.and_then(|id| rig.take(id)) {
            sent += Rig::count(output).unwrap();
            sends += 1;
            send = None;
        }
        if let Some(output) = recv.and_then(|id| rig.take(id)) {
            let (count, buf) = Rig::buffer(output);
            received.extend_from_slice(&buf[..count.unwrap()]);
            recv = None;
        }
    }
    assert!(received == content, "the bytes arrived in order");
    assert!(sends >= 1);
}

#[test]
fn cancelling_a_receive_gives_the_buffer_back() {
    let mut rig = Rig::new();
    let Pair { server, .. } = connected(&mut rig);
    let id = rig.submit(Op::Recv {
        socket: server,
        buf: AlignedBuf::unpooled(4096),
        range: 0..4096,
    });
    rig.turn(Wait::Poll);
    rig.driver.cancel(id);
    let (result, buf) = Rig::buffer(rig.wait_for(id));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buf.capacity(), 4096);
}

#[test]
fn cancelling_before_submission_works_too() {
    let mut rig = Rig::new();
    let Pair { server, .. } = connected(&mut rig);
    let id = rig.submit(Op::Recv {
        socket: server,
        buf: AlignedBuf::unpooled(4096),
        range: 0..4096,
    });
    rig.driver.cancel(id);
    rig.driver.cancel(id);
    let (result, _) = Rig::buffer(rig.wait_for(id));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    rig.driver.cancel(id);
    rig.turn(Wait::Poll);
}

#[test]
fn cancelling_a_send_to_a_peer_that_never_reads_ends_it() {
    let mut rig = Rig::new();
    let Pair { client, .. } = connected(&mut rig);
    let data = Bytes::from(vec![1; 16 << 20]);
    let stuck = loop {
        let id = rig.submit(Op::Send {
            socket: client,
            data: vec![data.clone(), data.clone()],
        });
        rig.turn_for(Duration::from_millis(50));
        match rig.take(id) {
            Some(output) => assert!(Rig::count(output).unwrap() > 0),
            None => break id,
        }
    };
    rig.driver.cancel(stuck);
    let output = rig.wait_for(stuck);
    assert_eq!(
        Rig::count(output).unwrap_err().raw_os_error(),
        Some(libc::ECANCELED)
    );
}

#[test]
fn cancelling_an_accept_ends_it() {
    let mut rig = Rig::new();
    let (listener, _) = rig
        .driver
        .listen(LOOPBACK, ListenOptions::default())
        .unwrap();
    let id = rig.submit(Op::Accept { listener });
    rig.turn(Wait::Poll);
    rig.driver.cancel(id);
    let Output::Accepted(result) = rig.wait_for(id) else {
        panic!("an accept")
    };
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
}

#[test]
fn the_buffer_of_a_receive_stays_with_the_kernel_until_it_ends() {
    let pool = BufferPool::new(64 << 10);
    let mut rig = Rig::new();
    let Pair { client, server } = connected(&mut rig);
    let id = rig.submit(Op::Recv {
        socket: server,
        buf: pool.get(64 << 10).unwrap(),
        range: 0..64 << 10,
    });
    for _ in 0..10 {
        rig.turn(Wait::Poll);
        assert!(
            pool.get(1).is_none(),
            "the budget is spent: the buffer is in flight, whoever waits for it"
        );
    }
    rig.run(Op::Send {
        socket: client,
        data: vec![Bytes::from_static(b"late")],
    });
    let (result, buf) = Rig::buffer(rig.wait_for(id));
    assert_eq!(&buf[..result.unwrap()], b"late");
    drop(buf);
    assert!(pool.get(1).is_some());
}

#[test]
fn a_receive_outside_of_its_buffer_is_refused() {
    let mut rig = Rig::new();
    let Pair { server, .. } = connected(&mut rig);
    let output = rig.run(Op::Recv {
        socket: server,
        buf: AlignedBuf::unpooled(4096),
        range: 4000..4097,
    });
    let (result, buf) = Rig::buffer(output);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(buf.capacity(), 4096);
}

#[test]
fn connecting_to_nobody_is_refused() {
    let mut rig = Rig::new();
    let address = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let result = rig.handle(Op::Connect { address });
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_in_use_is_refused() {
    let mut rig = Rig::new();
    let taken = TcpListener::bind(LOOPBACK).unwrap();
    let address = taken.local_addr().unwrap();
    for options in [
        ListenOptions { reuse_port: false },
        ListenOptions { reuse_port: true },
    ] {
        let result = rig.driver.listen(address, options);
        assert_eq!(
            result.unwrap_err().kind(),
            io::ErrorKind::AddrInUse,
            "{options:?}"
        );
    }
    assert_eq!(
        probe_address(address).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    drop(taken);
    probe_address(address).unwrap();
}

#[test]
fn listeners_of_one_process_share_an_address_and_others_are_refused() {
    let mut first = Rig::new();
    let options = ListenOptions { reuse_port: true };
    let (listener, address) = first.driver.listen(LOOPBACK, options).unwrap();
    let mut second = Rig::new();
    let (other, _) = second.driver.listen(address, options).unwrap();
    // What a second broker does first, even with the same options.
    assert_eq!(
        probe_address(address).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );

    let mut accepts = [
        first.submit(Op::Accept { listener }),
        second.submit(Op::Accept { listener: other }),
    ];
    first.turn(Wait::Poll);
    second.turn(Wait::Poll);
    let mut seen = [0, 0];
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(TcpStream::connect(address).unwrap());
        first.turn(Wait::Poll);
        second.turn(Wait::Poll);
        if let Some(output) = first.take(accepts[0]) {
            accepted(output);
            seen[0] += 1;
            accepts[0] = first.submit(Op::Accept { listener });
        }
        if let Some(output) = second.take(accepts[1]) {
            accepted(output);
            seen[1] += 1;
            accepts[1] = second.submit(Op::Accept { listener: other });
        }
    }
    assert!(
        seen[0] > 8 && seen[1] > 8,
        "the kernel spreads connections over both: {seen:?}"
    );

    first.unit(Op::Close { handle: listener }).unwrap();
    second.unit(Op::Close { handle: other }).unwrap();
    drop((first, second));
    let mut third = Rig::new();
    third
        .driver
        .listen(address, options)
        .expect("connections that linger do not keep the address taken");
}
