//! What an acknowledgement costs, beside what the disk asks for at least.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot run has nothing to measure"
)]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use ledger::{Options, Record, StdDisk, Writer};

const PAYLOAD: [u8; 220] = [b'x'; 220];
const GROUPS: [usize; 5] = [1, 16, 64, 100, 256];

fn main() {
    divan::main();
}

/// A directory of this run, beside the build's own files: on the disk that is measured.
fn dir(name: &str) -> PathBuf {
    let dir =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn records(count: usize) -> Vec<Record<'static>> {
    (0..count)
        .map(|_| Record {
            stamp: 1,
            topic: 0,
            topic_seq: 1,
            payload: &PAYLOAD,
        })
        .collect()
}

#[divan::bench(args = GROUPS)]
fn append_and_sync(bencher: Bencher<'_, '_>, group: usize) {
    let dir = dir("ledger");
    let disk = StdDisk::open(&dir).expect("a disk");
    let (mut writer, _) = Writer::open(Arc::new(disk), Options::default(), 1).expect("a log");
    let records = records(group);
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        writer.append(&records, 1).expect("appended");
        writer.commit(true).expect("committed");
    });
    let _ = std::fs::remove_dir_all(&dir);
}

#[divan::bench(args = GROUPS)]
fn plain_write_and_fdatasync(bencher: Bencher<'_, '_>, group: usize) {
    let dir = dir("floor");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("floor"))
        .expect("a file");
    let bytes = vec![b'x'; group * (PAYLOAD.len() + 25) + 64];
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        file.write_all(&bytes).expect("written");
        file.sync_data().expect("synced");
    });
    let _ = std::fs::remove_dir_all(&dir);
}

#[divan::bench(args = [1, 64])]
fn append_without_sync(bencher: Bencher<'_, '_>, group: usize) {
    let dir = dir("unsynced");
    let disk = StdDisk::open(&dir).expect("a disk");
    let (mut writer, _) = Writer::open(Arc::new(disk), Options::default(), 1).expect("a log");
    let records = records(group);
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        writer.append(&records, 1).expect("appended");
        writer.commit(false).expect("committed");
    });
    let _ = std::fs::remove_dir_all(&dir);
}

/// A place by number and one by time in a log of ten million records (2.5 GB while it runs). As a test, where only its
/// running is of interest, a hundredth of that does.
#[divan::bench(args = ["number", "time"], sample_count = 100, sample_size = 1)]
fn seek_in_ten_million(bencher: Bencher<'_, '_>, by: &str) {
    const GROUP: usize = 1000;
    let measured = std::env::args().any(|arg| arg == "--bench");
    let total: u64 = if measured { 10_000_000 } else { 100_000 };
    let dir = dir("seek");
    let disk = StdDisk::open(&dir).expect("a disk");
    let (mut writer, _) = Writer::open(Arc::new(disk), Options::default(), 1).expect("a log");
    for group in 0..total / GROUP as u64 {
        let stamp = (group * GROUP as u64) as i64;
        let record = |nth: usize| Record {
            stamp: stamp + nth as i64,
            topic: 0,
            topic_seq: 1,
            payload: &PAYLOAD,
        };
        let records: Vec<Record<'_>> = (0..GROUP).map(record).collect();
        writer.append(&records, 1).expect("appended");
        writer.commit(false).expect("committed");
    }
    let reader = writer.reader();
    let mut place = 1;
    bencher.bench_local(|| {
        // A stride that is prime to the length visits the log all over.
        place = (place + 7_368_787) % total;
        match by {
            "number" => drop(reader.read(place, u64::MAX, 1, 1).expect("readable")),
            _ => drop(reader.last_before(place as i64).expect("readable")),
        }
    });
    let _ = std::fs::remove_dir_all(&dir);
}
