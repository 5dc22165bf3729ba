//! The log against a list, under random appends, commits, crashes, starts and retention.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

use std::sync::Arc;

use ledger::testing::FaultyDisk;
use ledger::{Options, Page, Record, Writer};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    Commit,
    Crash { keep: usize },
    Start,
    Witness,
    Retain,
    Read { after: u64, count: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 1..6).prop_map(Step::Append),
        4 => Just(Step::Commit),
        1 => (0usize..400).prop_map(|keep| Step::Crash { keep }),
        1 => Just(Step::Start),
        1 => Just(Step::Witness),
        1 => Just(Step::Retain),
        4 => (0u64..200, 1usize..9).prop_map(|(after, count)| Step::Read { after, count }),
    ]
}

fn start(disk: &FaultyDisk, fill_bytes: u64) -> Writer {
    let options = Options {
        segment_bytes: 500,
        retain_records: 30,
        fill_bytes,
        ..Options::default()
    };
    Writer::open(Arc::new(disk.clone()), options, 1_000_000)
        .expect("opens")
        .0
}

/// The bytes of record `seq` that a step of `size` makes.
fn payload(seq: u64, size: u8) -> Vec<u8> {
    let mut bytes = seq.to_le_bytes().to_vec();
    bytes.resize(8 + usize::from(size), size);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_log_is_a_list_that_survives(
        steps in prop::collection::vec(step(), 1..80),
        fill in prop::sample::select(vec![0, 64, 300, 4096]),
    ) {
        let disk = FaultyDisk::default();
        let mut writer = start(&disk, fill);
        // All that was ever appended, and how much of it was committed.
        let (mut written, mut committed) = (Vec::<Vec<u8>>::new(), 0);
        for step in steps {
            match step {
                Step::Append(sizes) => {
                    let first = writer.next_seq();
                    let payloads: Vec<_> = (first..).zip(&sizes).map(|(seq, size)| payload(seq, *size)).collect();
                    let records: Vec<_> = (first..).zip(&payloads).map(|(seq, payload)| Record {
                        stamp: seq as i64,
                        topic: 0,
                        topic_seq: seq,
                        payload,
                    }).collect();
                    writer.append(&records, 0).expect("appends");
                    written.extend(payloads);
                }
                Step::Commit => {
                    writer.commit(true).expect("commits");
                    committed = written.len();
                }
                Step::Crash { keep } => {
                    disk.crash(keep);
                    writer = start(&disk, fill);
                    let left = writer.next_seq() as usize - 1;
                    prop_assert!(left >= committed, "{left} of {committed} committed records are left");
                    prop_assert!(left <= written.len());
                    written.truncate(left);
                    committed = left;
                }
                Step::Start => {
                    writer.commit(true).expect("commits");
                    writer = start(&disk, fill);
                    committed = written.len();
                    prop_assert_eq!(writer.next_seq() as usize, committed + 1);
                }
                Step::Witness => writer.witness(0).expect("writes"),
                Step::Retain => {
                    writer.retain(0).expect("retains");
                }
                Step::Read { after, count } => {
                    let reader = writer.reader();
                    let floor = reader.floor();
                    match reader.read(after, u64::MAX, count, usize::MAX).expect("reads") {
                        Page::Gone { floor: said } => prop_assert!(after < floor && said == floor),
                        Page::Head => prop_assert!(after as usize >= committed),
                        Page::Records(records) => {
                            prop_assert!(after >= floor && records.len() <= count);
                            for (nth, record) in records.iter().enumerate() {
                                prop_assert_eq!(record.seq, after + 1 + nth as u64);
                                prop_assert!(record.seq as usize <= committed);
                                prop_assert_eq!(&record.payload, &written[record.seq as usize - 1]);
                            }
                        }
                    }
                }
            }
        }
    }
}
