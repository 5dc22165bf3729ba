//! A guest: somebody who asks for something else while the server hands events to thousands.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
/// Time between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(2);

/// A guest at the table.
pub(crate) struct Guest {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Vec<Duration>>>,
}

impl Guest {
    /// Asks from now on, one request after the other on one connection.
    pub(crate) fn of(address: SocketAddr) -> Guest {
        let is_over = Arc::new(AtomicBool::new(false));
        let told = is_over.clone();
        Guest {
            is_over,
            thread: std::thread::spawn(move || ask(address, &told)),
        }
    }

    /// Stops, and returns the time that 99 of 100 answers took at most, in milliseconds.
    pub(crate) fn leave(self) -> anyhow::Result<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        let waited = self.thread.join();
        let mut waited = waited.map_err(|_| anyhow::anyhow!("the guest died"))??;
        waited.sort_unstable();
        let nth = waited.len() * 99 / 100;
        let p99 = waited.get(nth.min(waited.len().saturating_sub(1)));
        Ok(p99.map_or(f64::NAN, |p99| p99.as_secs_f64() * 1000.0))
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn ask(address: SocketAddr, is_over: &AtomicBool) -> std::io::Result<Vec<Duration>> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let mut waited = Vec::new();
    let mut answer = [0; 4096];
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        connection.write_all(REQUEST)?;
        if connection.read(&mut answer)? == 0 {
            break;
        }
        waited.push(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    Ok(waited)
}
