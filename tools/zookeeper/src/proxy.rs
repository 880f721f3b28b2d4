//! A proxy between a client and a server that does to connections what networks do: cut them, hold them up, delay them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const BUFFER_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From client to server: what is held has not been asked.
    Requests,
    /// From server to client: what is held was done, and nobody knows.
    Answers,
}

#[derive(Debug, Default)]
struct State {
    /// Whether connections are taken.
    is_cut: bool,
    held: [bool; 2],
    delay: Duration,
    /// Cuts so far: bytes of a connection from before the last cut go nowhere.
    cuts: u64,
    connections: Vec<TcpStream>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until bytes may go on; whether they still may.
    fn pass(&self, direction: Direction, cuts: u64) -> bool {
        let mut state = self.lock();
        while state.held[direction as usize] && state.cuts == cuts {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let delay = state.delay;
        drop(state);
        thread::sleep(delay);
        self.lock().cuts == cuts
    }
}

/// A proxy on loopback. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts a proxy to a server.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                for client in listener.incoming() {
                    if accepting.lock().closed {
                        return;
                    }
                    // One that cannot be served is closed by being dropped.
                    if let Ok(client) = client {
                        join(&accepting, client, server).ok();
                    }
                }
            })?;
        Ok(Self { address, shared })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and lets no other through, until [`Proxy::open`]. What was held is lost.
    pub fn cut(&self) {
        self.shared.lock().is_cut = true;
        self.sever();
    }

    /// Cuts every connection; new ones are let through.
    pub fn sever(&self) {
        let mut state = self.shared.lock();
        state.cuts += 1;
        for connection in state.connections.drain(..) {
            // It may have ended already.
            connection.shutdown(Shutdown::Both).ok();
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Holds what goes one way: it arrives after [`Proxy::open`], or never if the connection is cut before.
    pub fn hold(&self, direction: Direction) {
        self.shared.lock().held[direction as usize] = true;
    }

    /// Delays everything, each way, by so much.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Lets everything through at once, what was held first.
    pub fn open(&self) {
        let mut state = self.shared.lock();
        state.is_cut = false;
        state.held = [false; 2];
        state.delay = Duration::ZERO;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.cut();
        // Wakes the thread that accepts, which sees that it is to end.
        TcpStream::connect(self.address).ok();
    }
}

/// Joins a client to the server, by a thread each way.
fn join(shared: &Arc<Shared>, client: TcpStream, server: SocketAddr) -> io::Result<()> {
    if shared.lock().is_cut {
        return Ok(());
    }
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let cuts = {
        let mut state = shared.lock();
        if state.is_cut {
            return Ok(());
        }
        state.connections.push(client.try_clone()?);
        state.connections.push(server.try_clone()?);
        state.cuts
    };
    pump(
        shared,
        Direction::Requests,
        cuts,
        client.try_clone()?,
        server.try_clone()?,
    )?;
    pump(shared, Direction::Answers, cuts, server, client)
}

fn pump(
    shared: &Arc<Shared>,
    direction: Direction,
    cuts: u64,
    mut from: TcpStream,
    mut to: TcpStream,
) -> io::Result<()> {
    let shared = Arc::clone(shared);
    let copy = move || {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(read) = from.read(&mut buffer) {
            let bytes = buffer.get(..read).unwrap_or_default();
            if read == 0 || !shared.pass(direction, cuts) || to.write_all(bytes).is_err() {
                break;
            }
        }
        // The other way ends with this one.
        from.shutdown(Shutdown::Both).ok();
        to.shutdown(Shutdown::Both).ok();
    };
    thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(copy)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a proxy to it.
    fn echo() -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut back = stream.try_clone().unwrap();
                    io::copy(&mut stream, &mut back).ok();
                });
            }
        });
        Proxy::start(address).unwrap()
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(proxy.address()).unwrap()
    }

    fn exchange(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn it_passes_bytes_until_it_is_cut_and_again_once_open() {
        let proxy = echo();
        let mut before = connect(&proxy);
        assert_eq!(exchange(&mut before, b"one").unwrap(), b"one");
        proxy.cut();
        assert!(exchange(&mut before, b"two").is_err());
        assert!(exchange(&mut connect(&proxy), b"three").is_err());
        proxy.open();
        assert_eq!(exchange(&mut connect(&proxy), b"four").unwrap(), b"four");
    }

    #[test]
    fn what_is_held_arrives_when_it_is_opened_and_never_when_it_is_severed() {
        let proxy = echo();
        for direction in [Direction::Requests, Direction::Answers] {
            let mut kept = connect(&proxy);
            exchange(&mut kept, b"here").unwrap();
            proxy.hold(direction);
            kept.write_all(b"late").unwrap();
            kept.set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            assert!(kept.read(&mut [0; 4]).is_err());
            proxy.open();
            kept.set_read_timeout(None).unwrap();
            let mut answer = [0; 4];
            kept.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"late");

            proxy.hold(direction);
            kept.write_all(b"lost").unwrap();
            proxy.sever();
            proxy.open();
            assert_eq!(kept.read(&mut answer).unwrap_or(0), 0);
        }
    }
}
