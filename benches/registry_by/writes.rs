//! The least that an announcement could take: one thread writes it to one socket after the other.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::SystemTime;

use anyhow::Context as _;

use super::ears::{self, Ears};

/// Bytes of an announcement that lists one URL, with what frames it.
const BYTES: usize = 460;

/// The sockets, and who listens at them.
#[derive(Debug)]
pub(crate) struct Writes {
    sockets: Vec<TcpStream>,
    frame: Vec<u8>,
    pub(crate) ears: Ears,
}

impl Writes {
    /// Has so many subscribe.
    pub(crate) async fn open(count: usize) -> anyhow::Result<Writes> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let coming = std::thread::spawn(move || accept(&listener, count));
        let ears = Ears::open(&address, count).await?;
        let sockets = coming.join().ok().context("they were let in")??;
        let mut frame = b"event: seal_update\ndata: ".to_vec();
        frame.resize(BYTES - 2, b'x');
        frame.extend(b"\n\n");
        Ok(Writes {
            sockets,
            frame,
            ears,
        })
    }

    /// Writes an announcement to all; returns when it began.
    pub(crate) fn announce(&mut self) -> anyhow::Result<SystemTime> {
        let began = ears::now();
        for socket in &mut self.sockets {
            socket.write_all(&self.frame)?;
        }
        Ok(began)
    }
}

fn accept(listener: &TcpListener, count: usize) -> std::io::Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let (mut socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        // The whole request: a socket that is closed with bytes in it cuts its client off.
        let _ = socket.read(&mut [0; 4096])?;
        sockets.push(socket);
    }
    Ok(sockets)
}
