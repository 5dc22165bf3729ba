//! A server as a process of its own, on a core of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of the server, and that of the client.
const CORES: (usize, usize) = (0, 1);

/// A running server; one that was started here is killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    pids: Vec<usize>,
    address: SocketAddr,
}

impl Server {
    /// Starts a server, which says on its first line where it listens.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Server> {
        // A child has the cores of whoever starts it.
        pin(CORES.0);
        let child = Command::new(program)
            .args(arguments)
            .env("GLINTCAST__LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        pin(CORES.1);
        let mut child = child?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("a pipe")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://");
        Ok(Server {
            pids: vec![child.id() as usize],
            child: Some(child),
            address: address.context("the first line")?.parse()?,
        })
    }

    /// Takes a server that runs already, as these processes.
    pub(crate) fn running(address: SocketAddr, pids: Vec<usize>) -> Server {
        let child = None;
        Server {
            child,
            pids,
            address,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the processor time of all its threads in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> anyhow::Result<u64> {
        let mut nanos = 0;
        for pid in &self.pids {
            for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
                nanos += times.split(' ').next().context("a time")?.parse::<u64>()?;
            }
        }
        Ok(nanos)
    }

    /// Returns its share of the memory that it holds, in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        let mut kib = 0;
        for pid in &self.pids {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let line = line.context("Pss")?.trim();
            kib += line.trim_end_matches(" kB").parse::<u64>()?;
        }
        Ok(kib)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    // With one core there is nothing to choose.
    let _ = sched_setaffinity(None, &cores);
}

/// Takes as many open files as the system gives.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
