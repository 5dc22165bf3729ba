//! A disk that fails as disks do, for tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

/// A disk in memory that loses what was not synced, and fails when told to. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Bytes>>>,
    /// Names that a crash leaves.
    durable: BTreeMap<String, Arc<Mutex<Bytes>>>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// What a failed sync left unwritten for good, unless it is written again.
    forgotten: std::ops::Range<usize>,
}

impl Bytes {
    /// From the first byte that a sync would change to the last that it would make another than zero.
    fn unsynced(&self) -> std::ops::Range<usize> {
        let synced = |at: usize| self.synced.get(at).copied();
        let changed = |at: &usize| synced(*at) != Some(self.now[*at]);
        let begin = (0..self.now.len()).find(changed).unwrap_or(self.now.len());
        let end = (begin..self.now.len())
            .rfind(|at| synced(*at).unwrap_or(0) != self.now[*at])
            .map_or(begin, |last| last + 1);
        begin..end
    }
}

/// What fails, counted from now on; each fault happens once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The write after so many good ones fails.
    pub write: Option<(u32, io::ErrorKind)>,
    /// How much of the write that fails is written all the same.
    pub short: usize,
    /// The sync after so many good ones fails.
    pub sync: Option<(u32, io::ErrorKind)>,
}

impl FaultyDisk {
    /// Makes things fail from now on.
    pub fn fail(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Stops the machine: what was not synced is lost, but for the first `keep` bytes of it in each file.
    pub fn crash(&self, keep: usize) {
        let mut state = self.lock();
        state.files = state.durable.clone();
        state.faults = Faults::default();
        for file in state.files.values() {
            let mut bytes = hold(file);
            let begin = bytes.unsynced().start;
            let end = (begin + keep).min(bytes.now.len());
            let kept = bytes.now.get(begin..end).unwrap_or_default().to_vec();
            let mut after = bytes.synced.clone();
            if after.len() < end {
                after.resize(end, 0);
            }
            after[begin..begin + kept.len()].copy_from_slice(&kept);
            bytes.now.clone_from(&after);
            bytes.forgotten = 0..0;
            bytes.synced = after;
        }
    }

    /// Returns the bytes of a file.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        self.lock()
            .files
            .get(name)
            .map(|file| hold(file).now.clone())
            .unwrap_or_default()
    }

    /// Puts bytes into a file, durably, as damage does.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.lock();
        let file = Arc::new(Mutex::new(Bytes {
            now: bytes.clone(),
            synced: bytes,
            forgotten: 0..0,
        }));
        state.files.insert(name.to_owned(), file.clone());
        state.durable.insert(name.to_owned(), file);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, bytes: Arc<Mutex<Bytes>>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            disk: self.clone(),
            bytes,
        })
    }
}

fn hold(file: &Mutex<Bytes>) -> MutexGuard<'_, Bytes> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Arc::new(Mutex::new(Bytes::default()));
        state.files.insert(name.to_owned(), bytes.clone());
        drop(state);
        Ok(self.file(bytes))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let bytes = self.lock().files.get(name).cloned();
        bytes
            .map(|bytes| self.file(bytes))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.lock()
            .files
            .remove(name)
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state
            .files
            .remove(from)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.durable = state.files.clone();
        Ok(())
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    bytes: Arc<Mutex<Bytes>>,
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(hold(&self.bytes).now.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let bytes = hold(&self.bytes);
        let from = bytes.now.get(at as usize..).unwrap_or_default();
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let short = state.faults.short;
        let failed = due(&mut state.faults.write);
        drop(state);
        let written = if failed.is_some() {
            &bytes[..short.min(bytes.len())]
        } else {
            bytes
        };
        let mut held = hold(&self.bytes);
        let end = at as usize + written.len();
        if held.now.len() < end {
            held.now.resize(end, 0);
        }
        held.now[at as usize..end].copy_from_slice(written);
        if at as usize <= held.forgotten.start && end >= held.forgotten.end {
            held.forgotten = 0..0;
        }
        failed.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        hold(&self.bytes).now.truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let failed = due(&mut self.disk.lock().faults.sync);
        let mut bytes = hold(&self.bytes);
        if let Some(kind) = failed {
            // The system forgets that they are to be written: they read well and are never synced.
            bytes.forgotten = bytes.unsynced();
            return Err(kind.into());
        }
        let forgotten = bytes.forgotten.clone();
        let mut synced = bytes.now.clone();
        for at in forgotten
            .filter(|at| *at < synced.len())
            .collect::<Vec<_>>()
        {
            synced[at] = 0;
        }
        bytes.synced = synced;
        Ok(())
    }
}

fn due(fault: &mut Option<(u32, io::ErrorKind)>) -> Option<io::ErrorKind> {
    match fault {
        Some((0, kind)) => {
            let kind = *kind;
            *fault = None;
            Some(kind)
        }
        Some((left, _)) => {
            *left -= 1;
            None
        }
        None => None,
    }
}
