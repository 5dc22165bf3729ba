//! Subscribers of the seal, on a thread that does as little as it can with what it reads: a thousand of them must not be
//! what is measured.

use std::io::{ErrorKind, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::crowd;

/// Stands once in each event that is waited for. An event is small, and comes in one piece.
const NEWS: &str = "event: seal_update";

/// The subscribers. They leave when this is dropped.
#[derive(Debug)]
pub(crate) struct Ears {
    heard: mpsc::Receiver<Vec<Instant>>,
    is_over: Arc<AtomicBool>,
}

impl Ears {
    /// Has so many subscribe.
    pub(crate) async fn open(address: &str, count: usize) -> anyhow::Result<Ears> {
        let poll = Poll::new()?;
        let mut streams = Vec::with_capacity(count);
        for nth in 0..count {
            let mut stream = crowd::connect(address, nth).await?;
            let head = format!(
                "GET /stream?topics=seals&dialect=named HTTP/1.1\r\nhost: {address}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await?;
            let mut stream = TcpStream::from_std(stream.into_std()?);
            let registry = poll.registry();
            registry.register(&mut stream, Token(nth), Interest::READABLE)?;
            streams.push(stream);
        }
        let (sender, heard) = mpsc::channel(1);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        std::thread::spawn(move || listen(poll, &mut streams, &sender, &until));
        Ok(Ears { heard, is_over })
    }

    /// Waits until all have heard of the next change; returns when each did.
    pub(crate) async fn all(&mut self) -> anyhow::Result<Vec<Instant>> {
        self.heard.recv().await.context("subscribers hear")
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn listen(
    mut poll: Poll,
    streams: &mut [TcpStream],
    heard: &mpsc::Sender<Vec<Instant>>,
    is_over: &AtomicBool,
) {
    let (mut events, mut room) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
    let (news, count) = (Finder::new(NEWS), streams.len());
    let mut times = Vec::with_capacity(count);
    while !is_over.load(Ordering::Relaxed) {
        let polled = poll.poll(&mut events, Some(Duration::from_millis(100)));
        if polled.is_err_and(|err| err.kind() != ErrorKind::Interrupted) {
            return;
        }
        for event in &events {
            let stream = &mut streams[event.token().0];
            while let Ok(read @ 1..) = stream.read(&mut room) {
                let found = news.find_iter(&room[..read]).count();
                times.extend(std::iter::repeat_n(Instant::now(), found));
                if read < room.len() {
                    // It was all there was.
                    break;
                }
            }
        }
        // To wake who waits costs as much as to hear: once for all.
        if times.len() >= count && heard.blocking_send(std::mem::take(&mut times)).is_err() {
            return;
        }
    }
}
