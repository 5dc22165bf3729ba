//! The lane's promises, one by one.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lane::{Cursor, Fell, Join, Lane, Limits, Read, Run};

const SMALL: Limits = Limits {
    window_bytes: 40,
    page_bytes: 10,
};

fn push(lane: &mut Lane, mark: u64, frame: &str) {
    let wrote = lane.append(mark, |page| page.extend_from_slice(frame.as_bytes()));
    assert_eq!(wrote, frame.len());
}

fn run(lane: &Lane, cursor: Cursor, max_bytes: usize, max_frames: u32) -> Run<'_> {
    match lane.read(cursor, max_bytes, max_frames) {
        Read::Run(run) => run,
        other => panic!("no run at {cursor:?}: {other:?}"),
    }
}

fn fall(lane: &Lane, cursor: Cursor) -> Fell {
    match lane.read(cursor, usize::MAX, u32::MAX) {
        Read::Fell(fell) => fell,
        other => panic!("no fall at {cursor:?}: {other:?}"),
    }
}

#[test]
fn serves_one_run_per_page_as_long_as_the_limits_allow() {
    let mut lane = Lane::new(SMALL, 0);
    let start = lane.head();
    for (mark, frame) in [(1, "abc"), (2, "def"), (3, "ghi"), (4, "jkl")] {
        push(&mut lane, mark, frame);
    }
    let all = run(&lane, start, usize::MAX, u32::MAX);
    assert_eq!((all.bytes, all.frames, all.mark), (&b"abcdefghi"[..], 3, 3));
    assert_eq!(run(&lane, all.next, 100, 100).bytes, b"jkl");
    assert_eq!(run(&lane, start, 8, 100).bytes, b"abcdef");
    assert_eq!(run(&lane, start, 6, 100).bytes, b"abcdef");
    assert_eq!(run(&lane, start, 100, 1).bytes, b"abc");
    assert_eq!(run(&lane, start, 0, 0).bytes, b"abc");
    assert!(matches!(lane.read(lane.head(), 100, 100), Read::Idle));
}

#[test]
fn appends_nothing_when_the_writer_wrote_nothing() {
    let mut lane = Lane::new(SMALL, 7);
    push(&mut lane, 8, "0123456789");
    assert_eq!(lane.append(9, |_| {}), 0);
    assert_eq!((lane.frames_held(), lane.newest_mark()), (1, 8));
    assert_eq!(lane.join(8), Join::At(lane.head()));
    push(&mut lane, 9, "x");
    assert_eq!(run(&lane, lane.oldest(), 100, 100).bytes, b"0123456789");
}

#[test]
fn survives_a_writer_that_panics_half_way() {
    let mut lane = Lane::new(SMALL, 0);
    push(&mut lane, 1, "ab");
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        lane.append(2, |page| {
            page.extend_from_slice(b"torn");
            panic!("half way");
        })
    }));
    assert!(outcome.is_err());
    assert_eq!(lane.newest_mark(), 1);
    assert_eq!(run(&lane, lane.oldest(), 100, 100).bytes, b"ab");
    push(&mut lane, 2, "cd");
    assert_eq!(run(&lane, lane.oldest(), 100, 100).bytes, b"abcd");
}

#[test]
fn gives_an_oversize_frame_a_page_and_a_run_of_its_own() {
    let mut lane = Lane::new(SMALL, 0);
    let big = "B".repeat(33);
    push(&mut lane, 1, "a");
    push(&mut lane, 2, &big);
    push(&mut lane, 3, "c");
    let first = run(&lane, lane.oldest(), 5, 100);
    let second = run(&lane, first.next, 5, 100);
    assert_eq!(second.bytes, big.as_bytes());
    assert_eq!(run(&lane, second.next, 5, 100).bytes, b"c");
}

#[test]
fn keeps_the_newest_frame_even_if_it_alone_exceeds_the_window() {
    let mut lane = Lane::new(SMALL, 0);
    push(&mut lane, 1, "a");
    push(&mut lane, 2, &"B".repeat(99));
    assert_eq!((lane.frames_held(), lane.window_bytes_used()), (1, 99));
    push(&mut lane, 3, "c");
    assert_eq!((lane.frames_held(), lane.window_bytes_used()), (1, 1));
    assert_eq!(lane.floor(), 2);
}

#[test]
fn tells_a_fallen_reader_exactly_what_it_missed() {
    let mut lane = Lane::new(SMALL, 0);
    let start = lane.head();
    for mark in 1..=9 {
        push(&mut lane, mark, "01234");
    }
    // Nine frames of 5 are 45 bytes; one page of two frames had to go.
    let fell = fall(&lane, start);
    assert_eq!((fell.from, fell.to), (start, lane.oldest()));
    assert_eq!((fell.frames(), fell.floor), (2, 2));
    assert_eq!(run(&lane, fell.to, 5, 1).mark, 3);
}

#[test]
fn joins_after_the_mark_without_hole_or_repeat_when_eviction_cuts_a_mark() {
    let mut lane = Lane::new(SMALL, 0);
    // Marks 1 | 2 2, 2 2, 2 3, 3 4, and one more to evict the first page.
    for mark in [1, 2, 2, 2, 2, 3, 3, 4, 5] {
        push(&mut lane, mark, "01234");
    }
    assert_eq!(lane.floor(), 2);
    assert_eq!(run(&lane, lane.oldest(), 5, 1).mark, 2);
    assert_eq!(lane.join(1), Join::Evicted);
    let Join::At(cursor) = lane.join(2) else {
        panic!("a reader that has seen 2 needs only what is held");
    };
    assert_eq!(cursor.number(), 5);
    assert_eq!(run(&lane, cursor, 5, 1).mark, 3);
}

#[test]
fn joins_nobody_from_before_its_birth() {
    let mut lane = Lane::new(SMALL, 50);
    assert_eq!(lane.join(49), Join::Evicted);
    assert_eq!(lane.join(50), Join::At(lane.head()));
    let start = lane.head();
    push(&mut lane, 50, "late");
    push(&mut lane, 51, "new");
    assert_eq!(lane.join(49), Join::Evicted);
    let Join::At(cursor) = lane.join(50) else {
        panic!("all above the birth floor is held");
    };
    assert!(cursor > start);
    assert_eq!(run(&lane, cursor, 100, 100).bytes, b"new");
}

#[test]
fn repeats_nothing_to_a_reader_whose_replay_overtook_the_lane() {
    let mut lane = Lane::new(SMALL, 0);
    push(&mut lane, 1, "1");
    let Join::Ahead(mut cursor) = lane.join(3) else {
        panic!("3 is ahead of 1");
    };
    for (mark, frame) in [(2, "2"), (3, "3")] {
        push(&mut lane, mark, frame);
        cursor = lane.skip(cursor, 3);
        assert!(matches!(lane.read(cursor, 100, 100), Read::Idle));
    }
    push(&mut lane, 4, "4");
    cursor = lane.skip(cursor, 3);
    assert_eq!(run(&lane, cursor, 100, 100).bytes, b"4");
}

#[test]
fn reports_the_fall_of_a_skipping_reader_only_if_it_missed_something() {
    let mut lane = Lane::new(SMALL, 0);
    let start = lane.head();
    for mark in 1..=4 {
        push(&mut lane, mark, "0123456789");
    }
    push(&mut lane, 5, "x");
    assert_eq!(lane.floor(), 1);
    assert_eq!(lane.skip(start, 1), lane.oldest());
    assert_eq!(lane.skip(start, 0), start);
    assert_eq!(fall(&lane, start).frames(), 1);
}

#[test]
fn raises_a_mark_that_comes_late() {
    let mut lane = Lane::new(SMALL, 0);
    push(&mut lane, 5, "a");
    push(&mut lane, 3, "b");
    assert_eq!(run(&lane, lane.oldest(), 100, 100).mark, 5);
    assert_eq!(lane.join(4), Join::At(lane.oldest()));
}

#[test]
fn splits_a_partial_write_on_a_frame_boundary() {
    let mut lane = Lane::new(SMALL, 0);
    push(&mut lane, 1, "abc");
    push(&mut lane, 1, "de");
    push(&mut lane, 2, "fghi");
    let second = run(&lane, lane.oldest(), 100, 1).next;
    let run = run(&lane, second, 100, 100);
    let at = |written| {
        let progress = run.split(written);
        let (next, cut) = (progress.next.number(), (progress.cut, progress.rest));
        (next, progress.frames, cut, progress.mark)
    };
    let whole = (&b""[..], &b""[..]);
    assert_eq!(at(0), (1, 0, whole, None));
    assert_eq!(at(1), (2, 1, (&b"de"[..], &b"e"[..]), Some(1)));
    assert_eq!(at(2), (2, 1, whole, Some(1)));
    assert_eq!(at(3), (3, 2, (&b"fghi"[..], &b"ghi"[..]), Some(2)));
    assert_eq!(at(6), (3, 2, whole, Some(2)));
    assert_eq!(at(99), at(6));
}

#[test]
fn costs_little_memory_while_idle() {
    let own = mem::size_of::<Lane>();
    assert!(own <= 320, "a lane is {own} bytes");
    let mut lane = Lane::new(Limits::default(), 0);
    assert_eq!(lane.memory_bytes(), own);
    for mark in 1..=4 {
        lane.append(mark, |page| page.extend_from_slice(&[b'x'; 220]));
    }
    let memory = lane.memory_bytes();
    assert!(memory <= own + 1024 + 4 * 12, "four frames take {memory}");
    for mark in 5..=40 {
        lane.append(mark, |page| page.extend_from_slice(&[b'x'; 220]));
    }
    let memory = lane.memory_bytes();
    assert!(memory <= own + 16 * 1024 + 64 * 12, "forty take {memory}");
}

#[test]
fn takes_no_more_memory_once_its_window_is_full() {
    let limits = Limits::default();
    let mut lane = Lane::new(limits, 0);
    let mut fill = |frames: u64| {
        for nth in 0..frames {
            let length = 100 + (nth * 37 % 240) as usize;
            let mark = lane.newest_mark() + 1;
            lane.append(mark, |page| page.resize(page.len() + length, b'x'));
        }
        lane.memory_bytes()
    };
    let full = fill(20_000);
    // The window, the page being written, the spare, and the index (whose
    // vectors double, so up to twice 12 bytes for each of ~5,500 frames).
    let bound = limits.window_bytes + 2 * limits.page_bytes + 24 * 5_500;
    assert!(full <= bound, "{full} exceeds {bound}");
    let most = (0..50).map(|_| fill(1_000)).max();
    assert!(most.is_some_and(|most| most <= bound), "{most:?}");
}

#[test]
fn keeps_no_buffer_beyond_what_its_frame_needs() {
    let limits = Limits {
        window_bytes: 8 * 1024,
        page_bytes: 1024,
    };
    let mut lane = Lane::new(limits, 0);
    let start = lane.memory_bytes();
    // The second and third frames double the first's buffer before they move.
    lane.append(1, |page| page.resize(page.len() + 800, b'x'));
    lane.append(2, |page| page.resize(page.len() + 800, b'x'));
    lane.append(3, |page| page.resize(page.len() + 5_000, b'x'));
    let heap = lane.memory_bytes() - start;
    assert!(heap <= 1024 + 1024 + 5_000 + 700, "{heap}");
}

#[test]
fn keeps_one_evicted_page_for_reuse() {
    let limits = Limits::default();
    let mut lane = Lane::new(limits, 0);
    let start = lane.oldest();
    while lane.oldest() == start {
        lane.append(1, |page| page.extend_from_slice(&[b'x'; 220]));
    }
    let with_spare = lane.memory_bytes();
    lane.trim(usize::MAX);
    assert!(with_spare - lane.memory_bytes() >= limits.page_bytes);
}

#[test]
fn gives_its_memory_back_when_trimmed() {
    let mut lane = Lane::new(Limits::default(), 0);
    let own = lane.memory_bytes();
    for mark in 1..=10_000 {
        lane.append(mark, |page| page.extend_from_slice(&[b'x'; 220]));
    }
    let held = lane.head();
    lane.trim(300 * 1024);
    assert!(lane.window_bytes_used() <= 300 * 1024);
    assert!(lane.memory_bytes() < 420 * 1024);
    lane.trim(0);
    assert_eq!((lane.memory_bytes(), lane.frames_held()), (own, 0));
    assert_eq!((lane.head(), lane.oldest()), (held, held));
    assert_eq!((lane.floor(), lane.join(9_999)), (10_000, Join::Evicted));
    push(&mut lane, 10_001, "on");
    assert_eq!(run(&lane, held, 100, 100).bytes, b"on");
}

#[test]
fn takes_unkeepable_limits_as_the_nearest_keepable() {
    let limits = Limits {
        window_bytes: 0,
        page_bytes: 0,
    };
    let mut lane = Lane::new(limits, 0);
    for mark in 1..=5 {
        push(&mut lane, mark, "ab");
        assert_eq!((lane.frames_held(), lane.window_bytes_used()), (1, 2));
    }
}
