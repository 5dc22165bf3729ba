//! Subscribers of the seal: when an event was at the socket of each.
//!
//! The kernel says when (`SO_TIMESTAMPNS`, see socket(7)), and they read it afterwards. On the machine of the broker a
//! thousand subscribers that read at once would take the processors from it, and their own turns would be measured.

use std::io::{ErrorKind, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use memchr::memmem::Finder;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::crowd;

/// Stands once in each event that is waited for. An event is small, and comes in one piece.
const NEWS: &str = "event: seal_update";
/// How long they wait before they read: the broker has reached all of them by then.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// The subscribers. They leave when this is dropped, or are seen off.
#[derive(Debug)]
pub(crate) struct Ears {
    heard: mpsc::Receiver<Vec<SystemTime>>,
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
            setsockopt(&stream, ReceiveTimestampns, &true)?;
            let registry = poll.registry();
            registry.register(&mut stream, Token(nth), Interest::READABLE)?;
            streams.push(stream);
        }
        let (sender, heard) = mpsc::channel(1);
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        std::thread::spawn(move || {
            listen(poll, &streams, &sender, &until);
            drop(streams);
        });
        Ok(Ears { heard, is_over })
    }

    /// Waits until the next change has been at the socket of each; returns when.
    pub(crate) async fn all(&mut self) -> anyhow::Result<Vec<SystemTime>> {
        self.heard.recv().await.context("subscribers hear")
    }

    /// Has them leave, and waits until the last of them is gone.
    pub(crate) async fn leave(mut self) -> anyhow::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        ensure!(
            self.heard.recv().await.is_none(),
            "one hears something more"
        );
        Ok(())
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// The time by the clock that the kernel's timestamps are of.
#[expect(clippy::disallowed_methods, reason = "nothing here is tested")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "it has a thread of its own to wait on"
)]
fn listen(
    mut poll: Poll,
    streams: &[TcpStream],
    heard: &mpsc::Sender<Vec<SystemTime>>,
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
        if !events.is_empty() {
            std::thread::sleep(AFTERWARDS);
        }
        for event in &events {
            while let Ok((text, at)) = receive(&streams[event.token().0], &mut room) {
                let found = news.find_iter(text).count();
                times.extend(std::iter::repeat_n(at, found));
            }
        }
        if times.len() >= count && heard.blocking_send(std::mem::take(&mut times)).is_err() {
            return;
        }
    }
}

/// Receives what there is, and when the last of it came.
fn receive<'r>(stream: &TcpStream, room: &'r mut [u8]) -> nix::Result<(&'r [u8], SystemTime)> {
    let mut notes = cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(room)];
    let got = recvmsg::<()>(
        stream.as_raw_fd(),
        &mut parts,
        Some(&mut notes),
        MsgFlags::empty(),
    )?;
    let came = got.cmsgs()?.find_map(|note| match note {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    let (length, came) = (got.bytes, came.filter(|_| got.bytes > 0));
    let at = SystemTime::UNIX_EPOCH + came.ok_or(Errno::ENODATA)?;
    Ok((&room[..length], at))
}
