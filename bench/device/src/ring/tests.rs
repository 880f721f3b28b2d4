use super::*;
use std::io::Read;
use std::net::TcpListener;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

#[test]
fn a_ring_that_is_dropped_gets_its_memory_back_from_a_receive_without_end() {
    let (one, other) = pair();
    let mut ring = Ring::new(4, Pages::random(4096), Idle::Park).unwrap();
    ring.recv(1, &one, 0..64).unwrap();
    ring.enter(0).unwrap();
    assert!(!ring.is_idle());
    ring.drain().unwrap();
    assert!(ring.is_idle());
    drop((ring, other));
}

#[test]
fn parts_outside_the_memory_are_refused() {
    let (one, _other) = pair();
    let mut ring = Ring::new(4, Pages::random(4096), Idle::Park).unwrap();
    assert!(ring.send(1, &one, 4000..4097).is_err());
    assert!(ring.is_idle());
}

#[test]
fn what_is_sent_is_the_part_that_was_named() {
    let (one, mut other) = pair();
    let mut ring = Ring::new(
        4,
        Pages::random(4096),
        Idle::Spin(Duration::from_micros(200)),
    )
    .unwrap();
    ring.memory_mut()[100..105].copy_from_slice(b"hello");
    ring.send(7, &one, 100..105).unwrap();
    let completions = ring.wait().unwrap();
    assert_eq!(completions[0].token, 7);
    assert_eq!(completions[0].moved("send").unwrap(), 5);
    assert!(completions[0].moved_all("send", 6).is_err());
    let mut got = [0; 5];
    other.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}
