//! What one frame costs: to append, and to read.

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use lane::{Cursor, Lane, Limits, Read};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const FRAME: [u8; 220] = [b'x'; 220];
const READERS: usize = 1_000;
const BATCH: u64 = 1_000;

fn main() {
    divan::main();
}

fn lane_with(frames: u64) -> Lane {
    let mut lane = Lane::new(Limits::default(), 0);
    for mark in 1..=frames {
        lane.append(mark, |page| page.extend_from_slice(&FRAME));
    }
    lane
}

/// Appends to a lane whose window is full, so that pages are evicted and
/// recycled.
#[divan::bench]
fn append_220_bytes(bencher: Bencher<'_, '_>) {
    let mut lane = lane_with(20_000);
    let mut mark = lane.newest_mark();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            mark += 1;
            lane.append(mark, |page| page.extend_from_slice(black_box(&FRAME)));
        }
    });
}

/// Has 1,000 cursors, spread over the window, read once each; counts reads.
#[divan::bench(args = [1, 64])]
fn read_by_1000_cursors(bencher: Bencher<'_, '_>, frames: u32) {
    let lane = lane_with(20_000);
    let oldest = lane.oldest();
    let mut cursors = spread(&lane);
    bencher
        .counter(ItemsCount::new(READERS))
        .bench_local(|| sweep(&lane, &mut cursors, oldest, frames));
}

/// Has 1,000 cursors follow the head: each append, then one read by each.
#[divan::bench]
fn follow_the_head_by_1000_cursors(bencher: Bencher<'_, '_>) {
    let mut lane = lane_with(20_000);
    let mut mark = lane.newest_mark();
    let mut cursors = vec![lane.head(); READERS];
    bencher
        .counter(ItemsCount::new(READERS))
        .bench_local(move || {
            mark += 1;
            lane.append(mark, |page| page.extend_from_slice(black_box(&FRAME)));
            let oldest = lane.oldest();
            sweep(&lane, &mut cursors, oldest, 64);
        });
}

fn spread(lane: &Lane) -> Vec<Cursor> {
    let floor = lane.floor();
    let held = lane.frames_held();
    let at = |nth: u64| match lane.join(floor + nth * held / READERS as u64) {
        lane::Join::At(cursor) => cursor,
        _ => lane.oldest(),
    };
    (0..READERS as u64).map(at).collect()
}

fn sweep(lane: &Lane, cursors: &mut [Cursor], oldest: Cursor, frames: u32) {
    for cursor in cursors {
        match lane.read(*cursor, 64 * 1024, frames) {
            Read::Run(run) => {
                black_box(run.bytes);
                *cursor = run.next;
            }
            Read::Idle | Read::Fell(_) => *cursor = oldest,
        }
    }
}
