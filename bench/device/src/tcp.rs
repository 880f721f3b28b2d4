//! A server ring and a client ring that talk over loopback, each on its own thread and core.

mod client;
mod group;
mod pipe;
pub(crate) mod replay;
mod server;

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::config::{DeviceConfig, Shape};
use crate::error::DeviceError;
use crate::file::DataFile;
use crate::limits::SHORT_MESSAGE_BYTES;
use crate::measured::Measured;
use crate::run::{join, spawn};

/// Lengths of what goes each way.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    request_bytes: usize,
    answer_bytes: usize,
}

impl Exchange {
    fn of(config: &DeviceConfig) -> Self {
        let record_bytes = config.record_bytes;
        let (request_bytes, answer_bytes) = match config.shape {
            Shape::TcpDurable => (record_bytes, SHORT_MESSAGE_BYTES),
            Shape::TcpOut => (SHORT_MESSAGE_BYTES, record_bytes),
            _ => (record_bytes, record_bytes),
        };
        Self {
            request_bytes,
            answer_bytes,
        }
    }
}

/// Measures on two threads of its own.
pub(crate) fn run(config: &DeviceConfig) -> Result<Measured, DeviceError> {
    let exchange = Exchange::of(config);
    let data = match config.shape {
        Shape::TcpDurable => Some(DataFile::create(&config.dir, config.file_bytes)?),
        _ => None,
    };
    let (asking, serving) = connect(config.connections)?;
    let data = data.as_ref();
    let (served, measured) = thread::scope(|scope| {
        let server = spawn(scope, "server", || {
            server::run(config, exchange, serving, data)
        })?;
        let client = spawn(scope, "client", || client::run(config, exchange, asking));
        // Without a client the server sees its connections closed, and ends.
        let measured = client.and_then(|client| join("client", client));
        Ok::<_, DeviceError>((join("server", server), measured))
    })?;
    let (served, measured) = match (served, measured) {
        (Ok(served), Ok(measured)) => (served, measured),
        // A client that sees connections closed knows less than the server that closed them.
        (Err(error), Ok(_) | Err(DeviceError::Closed { .. })) | (_, Err(error)) => {
            return Err(error);
        }
    };
    Ok(Measured {
        group_commits: served.group_commits,
        memory_registered: served.memory_registered,
        pinned: measured.pinned && served.pinned,
        ..measured
    })
}

/// Pairs of connected sockets: the client's ends, the server's ends.
fn connect(connections: usize) -> Result<(Vec<TcpStream>, Vec<TcpStream>), DeviceError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(|e| refused("listen on loopback", e))?;
    let address = listener
        .local_addr()
        .map_err(|e| refused("listen on loopback", e))?;
    let mut asking = Vec::with_capacity(connections);
    let mut serving = Vec::with_capacity(connections);
    for _ in 0..connections {
        let ask = TcpStream::connect(address).map_err(|e| refused("connect on loopback", e))?;
        let (serve, _) = listener
            .accept()
            .map_err(|e| refused("accept on loopback", e))?;
        for socket in [&ask, &serve] {
            socket
                .set_nodelay(true)
                .map_err(|e| refused("set no delay on loopback", e))?;
        }
        asking.push(ask);
        serving.push(serve);
    }
    Ok((asking, serving))
}

fn refused(action: &'static str, source: io::Error) -> DeviceError {
    DeviceError::Socket { action, source }
}
