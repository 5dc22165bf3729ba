//! What a log promises, on a disk that fails.

#![expect(clippy::expect_used, reason = "what fails here is a failed promise")]

use std::io::ErrorKind;
use std::sync::Arc;

use ledger::recovery::OnDamage;
use ledger::testing::{Faults, FaultyDisk};
use ledger::{LedgerError, Options, Page, Reader, Record, Recovery, Writer, verify};

const NOW: i64 = 1_763_697_425_000_000;

fn open(disk: &FaultyDisk, options: Options) -> Result<(Writer, Recovery), LedgerError> {
    Writer::open(Arc::new(disk.clone()), options, NOW)
}

fn small() -> Options {
    Options {
        segment_bytes: 600,
        ..Options::default()
    }
}

/// Writes a group of records that say their own numbers, and commits it.
fn put(writer: &mut Writer, count: u64) -> Result<(), LedgerError> {
    stage(writer, count)?;
    writer.commit(true)
}

fn stage(writer: &mut Writer, count: u64) -> Result<(), LedgerError> {
    let first = writer.next_seq();
    let payloads: Vec<String> = (first..first + count)
        .map(|seq| format!("record {seq}"))
        .collect();
    let records: Vec<Record<'_>> = (first..)
        .zip(&payloads)
        .map(|(seq, payload)| Record {
            stamp: seq as i64 * 10,
            topic: (seq % 2) as u8,
            topic_seq: seq.div_ceil(2),
            payload: payload.as_bytes(),
        })
        .collect();
    writer.append(&records, NOW).map(drop)
}

/// Reads everything, and checks that each record says its own number.
fn all(reader: &Reader) -> Vec<u64> {
    let (mut seqs, mut after) = (Vec::new(), reader.floor());
    while let Page::Records(records) = reader.read(after, u64::MAX, 7, 1 << 20).expect("readable") {
        for record in records {
            assert_eq!(record.payload, format!("record {}", record.seq).as_bytes());
            assert_eq!(record.stamp, record.seq as i64 * 10);
            after = record.seq;
            seqs.push(record.seq);
        }
    }
    seqs
}

fn through(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn nobody_reads_what_was_not_committed() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    let reader = writer.reader();
    stage(&mut writer, 3).unwrap();
    assert_eq!(all(&reader), [] as [u64; 0]);
    writer.commit(true).unwrap();
    assert_eq!(all(&reader), through(3));
}

#[test]
fn what_was_committed_survives_a_crash_that_tears_the_rest_at_any_byte() {
    for fill_bytes in [0, 40, 4096] {
        let options = Options {
            fill_bytes,
            ..Options::default()
        };
        (0..)
            .take_while(|keep| !survives_a_tear(options, *keep))
            .for_each(drop);
    }
}

/// Tears the third group after so many bytes; tells whether it was whole then.
fn survives_a_tear(options: Options, keep: usize) -> bool {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, options).expect("opens");
    put(&mut writer, 3).expect("written");
    put(&mut writer, 2).expect("written");
    stage(&mut writer, 2).expect("written");
    let group = 64 + 2 * (25 + 8);
    disk.crash(keep);
    let (mut writer, recovery) = open(&disk, options).expect("opens");
    let whole = keep >= group;
    let context = format!("{keep} bytes kept, {} filled", options.fill_bytes);
    assert_eq!(recovery.last_seq, if whole { 7 } else { 5 }, "{context}");
    // Zeros at the end of what is kept cannot be told from those that were there.
    let torn = recovery.torn_bytes as usize;
    assert!(
        if whole {
            torn == 0
        } else {
            torn <= keep && torn + 8 >= keep
        },
        "{context}: {torn}"
    );
    assert_eq!(recovery.torn_reason.is_some(), torn > 0, "{context}");
    put(&mut writer, 1).expect("written");
    assert_eq!(all(&writer.reader()), through(recovery.last_seq + 1));
    assert_eq!(verify(&disk).expect("readable").faults, []);
    whole
}

#[test]
fn a_failed_sync_stops_the_writer_for_good() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    put(&mut writer, 2).unwrap();
    disk.fail(Faults {
        sync: Some((0, ErrorKind::Other)),
        ..Faults::default()
    });
    let err = put(&mut writer, 1).unwrap_err();
    assert_eq!(err.code(), "ledger_disk");
    assert!(
        err.to_string().contains("sync of 00000000000000000001.log"),
        "{err}"
    );
    assert_eq!(
        put(&mut writer, 1).unwrap_err().code(),
        "ledger_poisoned",
        "the next sync would say yes"
    );
    assert_eq!(all(&writer.reader()), through(2));
    disk.crash(0);
    assert_eq!(
        all(&open(&disk, Options::default()).unwrap().0.reader()),
        through(2)
    );
}

#[test]
fn what_a_failed_sync_left_behind_is_written_again_before_it_counts() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    put(&mut writer, 2).unwrap();
    disk.fail(Faults {
        sync: Some((0, ErrorKind::Other)),
        ..Faults::default()
    });
    put(&mut writer, 1).unwrap_err();
    // The process starts again, the machine does not: the third record reads well, and the disk does not have it.
    let (mut writer, recovery) = open(&disk, Options::default()).unwrap();
    assert_eq!(recovery.last_seq, 3);
    put(&mut writer, 1).unwrap();
    disk.crash(0);
    let (writer, _) = open(&disk, Options::default()).expect("nothing is damaged");
    assert_eq!(all(&writer.reader()), through(4));
}

#[test]
fn a_full_disk_stops_the_writer_and_leaves_what_was_acknowledged() {
    for short in [0, 1, 30, 64, 90] {
        let disk = FaultyDisk::default();
        let (mut writer, _) = open(&disk, Options::default()).unwrap();
        put(&mut writer, 4).unwrap();
        disk.fail(Faults {
            write: Some((0, ErrorKind::StorageFull)),
            short,
            ..Faults::default()
        });
        assert!(
            put(&mut writer, 2)
                .unwrap_err()
                .to_string()
                .contains("free space")
        );
        assert_eq!(put(&mut writer, 2).unwrap_err().code(), "ledger_poisoned");
        let (mut writer, recovery) = open(&disk, Options::default()).unwrap();
        assert_eq!((recovery.last_seq, recovery.torn_bytes), (4, short as u64));
        put(&mut writer, 1).unwrap();
        assert_eq!(all(&writer.reader()), through(5));
    }
}

#[test]
fn a_segment_that_was_being_begun_is_no_damage() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    while disk.read("00000000000000000001.log").len() < 600 {
        put(&mut writer, 1).unwrap();
    }
    let last = writer.next_seq() - 1;
    // The new segment's header is written; its sync fails, and the machine stops.
    disk.fail(Faults {
        sync: Some((1, ErrorKind::Other)),
        ..Faults::default()
    });
    put(&mut writer, 1).unwrap_err();
    let (mut writer, recovery) = open(&disk, small()).unwrap();
    assert_eq!(recovery.last_seq, last);
    put(&mut writer, 2).unwrap();
    assert_eq!(all(&writer.reader()), through(last + 2));
}

#[test]
fn every_flipped_bit_is_noticed_and_nothing_is_read_that_was_not_written() {
    for fill_bytes in [0, 100] {
        let options = Options {
            fill_bytes,
            ..Options::default()
        };
        let disk = FaultyDisk::default();
        let (mut writer, _) = open(&disk, options).unwrap();
        for _ in 0..4 {
            put(&mut writer, 2).unwrap();
        }
        writer.witness(NOW).unwrap();
        let good = disk.read(SEGMENT);
        let witness = 80 + 4 * (64 + 2 * (25 + 8));
        assert!(good.len() >= witness + 64);
        for bit in 0..good.len() * 8 {
            check_flip(&good, bit, options, witness);
        }
    }
}

const SEGMENT: &str = "00000000000000000001.log";

fn check_flip(good: &[u8], bit: usize, options: Options, witness: usize) {
    let mut bytes = good.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    let disk = FaultyDisk::default();
    disk.put(SEGMENT, bytes);
    assert_eq!(
        verify(&disk).expect("readable").faults.len(),
        1,
        "bit {bit}"
    );
    match open(&disk, options) {
        // Behind the records there is nothing that anybody was told of.
        Ok((writer, recovery)) => {
            assert!(bit / 8 >= witness, "bit {bit} was passed over");
            assert!(recovery.torn_bytes > 0 && recovery.torn_reason.is_some());
            assert_eq!(all(&writer.reader()), through(8));
        }
        Err(err) => {
            assert!(bit / 8 < witness, "bit {bit}");
            assert_eq!(err.code(), "ledger_damaged");
            assert!(err.to_string().contains("quarantine"), "{err}");
        }
    }
}

#[test]
fn a_start_vouches_for_what_it_found_good() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    put(&mut writer, 2).unwrap();
    drop(writer);
    let (writer, _) = open(&disk, Options::default()).unwrap();
    drop(writer);
    let (len, mut bytes) = (disk.read(SEGMENT).len(), disk.read(SEGMENT));
    open(&disk, Options::default()).unwrap();
    assert_eq!(disk.read(SEGMENT).len(), len, "one witness is enough");
    bytes[80 + 64 + 30] ^= 1;
    disk.put(SEGMENT, bytes);
    let refused = open(&disk, Options::default()).err().expect("refused");
    assert_eq!(refused.code(), "ledger_damaged");
}

#[test]
fn a_log_without_syncs_is_synced_before_a_witness_says_so() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    stage(&mut writer, 3).unwrap();
    writer.commit(false).unwrap();
    writer.witness(NOW).unwrap();
    disk.crash(0);
    let (writer, recovery) = open(&disk, Options::default()).unwrap();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (3, 0));
    assert_eq!(all(&writer.reader()), through(3));
}

#[test]
fn room_is_filled_ahead_and_given_back_when_a_segment_is_closed() {
    let disk = FaultyDisk::default();
    let options = Options {
        fill_bytes: 250,
        ..small()
    };
    let (mut writer, _) = open(&disk, options).unwrap();
    put(&mut writer, 1).unwrap();
    let group = 64 + 25 + 8;
    assert_eq!(disk.read(SEGMENT).len(), 80 + group + 250);
    put(&mut writer, 1).unwrap();
    put(&mut writer, 1).unwrap();
    assert_eq!(
        disk.read(SEGMENT).len(),
        80 + group + 250,
        "what fits needs no more room"
    );
    let reader = writer.reader();
    assert_eq!(reader.bytes(), (80 + 3 * group) as u64);
    for _ in 0..20 {
        put(&mut writer, 1).unwrap();
    }
    let names = segment_names(&disk);
    assert!(names.len() > 2);
    for name in &names[..names.len() - 1] {
        let last = disk.read(name).pop();
        assert!(
            last.is_some_and(|byte| byte.is_ascii_digit()),
            "{name} ends with its last record"
        );
    }
    assert_eq!(all(&reader), through(23));
    drop(writer);
    let (writer, recovery) = open(&disk, options).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.last_seq), (0, 23));
    assert_eq!(all(&writer.reader()), through(23));
    assert_eq!(verify(&disk).unwrap().faults, []);
}

#[test]
fn a_disk_too_full_to_be_filled_ahead_still_takes_what_fits() {
    let disk = FaultyDisk::default();
    let options = Options {
        fill_bytes: 1000,
        ..Options::default()
    };
    let (mut writer, _) = open(&disk, options).unwrap();
    disk.fail(Faults {
        write: Some((1, ErrorKind::StorageFull)),
        short: 10,
        ..Faults::default()
    });
    put(&mut writer, 2).unwrap();
    put(&mut writer, 2).unwrap();
    disk.crash(0);
    let (writer, _) = open(&disk, options).unwrap();
    assert_eq!(all(&writer.reader()), through(4));
}

#[test]
fn damage_in_the_middle_is_put_aside_when_told_so_and_a_new_epoch_begins() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    let epoch = writer.epoch();
    for _ in 0..30 {
        put(&mut writer, 1).unwrap();
    }
    let name = "00000000000000000001.log";
    let mut bytes = disk.read(name);
    bytes[200] ^= 1;
    disk.put(name, bytes.clone());
    assert_eq!(
        open(&disk, small()).err().expect("refused").code(),
        "ledger_damaged"
    );
    let options = Options {
        on_damage: OnDamage::Quarantine,
        ..small()
    };
    let (mut writer, recovery) = open(&disk, options).unwrap();
    assert!(writer.epoch() > epoch);
    assert!(
        recovery.quarantined.contains(&format!("{name}.damaged")),
        "{recovery:?}"
    );
    assert_eq!(
        disk.read(&format!("{name}.damaged")),
        bytes,
        "nothing is thrown away"
    );
    put(&mut writer, 2).unwrap();
    assert_eq!(all(&writer.reader()), through(2));
}

#[test]
fn a_missing_segment_is_a_hole_and_no_silence() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    for _ in 0..40 {
        put(&mut writer, 1).unwrap();
    }
    let names = segment_names(&disk);
    assert!(names.len() > 3);
    ledger::Disk::remove(&disk, &names[1]).unwrap();
    assert_eq!(
        open(&disk, small()).err().expect("refused").code(),
        "ledger_hole"
    );
    assert_eq!(
        verify(&disk).unwrap().faults[0].what,
        "records are missing before this segment"
    );
}

#[test]
fn numbers_epoch_and_chain_go_on_after_each_start() {
    let disk = FaultyDisk::default();
    let mut chain = [0; 32];
    let mut epoch = 0;
    for start in 0..20 {
        let (mut writer, recovery) = open(&disk, small()).unwrap();
        if start > 0 {
            assert_eq!((writer.chain(), writer.epoch()), (chain, epoch));
        }
        assert_eq!(recovery.last_seq, start * 3);
        put(&mut writer, 2).unwrap();
        put(&mut writer, 1).unwrap();
        // A start would put it down.
        writer.witness(NOW).unwrap();
        (chain, epoch) = (writer.chain(), writer.epoch());
    }
    let report = verify(&disk).unwrap();
    assert_eq!(
        (report.records, report.range, report.chain, report.faults),
        (60, (1, 60), chain, vec![])
    );
}

#[test]
fn an_index_that_is_missing_or_wrong_is_made_again() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    for _ in 0..40 {
        put(&mut writer, 1).unwrap();
    }
    drop(writer);
    let names = ledger::Disk::list(&disk).unwrap();
    for (nth, name) in names
        .iter()
        .filter(|name| name.ends_with(".idx"))
        .enumerate()
    {
        if nth % 2 == 0 {
            ledger::Disk::remove(&disk, name).unwrap();
        } else {
            disk.put(name, b"rubbish".to_vec());
        }
    }
    let (writer, recovery) = open(&disk, small()).unwrap();
    assert!(recovery.reindexed > 2);
    assert_eq!(all(&writer.reader()), through(40));
    assert_eq!(
        open(&disk, small()).unwrap().1.reindexed,
        1,
        "only the first is looked at again, for the epoch"
    );
}

#[test]
fn records_are_found_by_time() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    for _ in 0..20 {
        put(&mut writer, 3).unwrap();
    }
    let reader = writer.reader();
    for seq in 1..=60 {
        assert_eq!(reader.last_before(seq * 10).unwrap(), seq as u64 - 1);
        assert_eq!(reader.last_before(seq * 10 - 9).unwrap(), seq as u64 - 1);
    }
    assert_eq!(reader.last_before(601).unwrap(), 60);
    assert_eq!(reader.last_before(i64::MIN).unwrap(), 0);
}

#[test]
fn what_is_over_a_limit_is_forgotten_in_whole_segments_and_readers_are_told() {
    let disk = FaultyDisk::default();
    let options = Options {
        retain_records: 20,
        ..small()
    };
    let (mut writer, _) = open(&disk, options).unwrap();
    let reader = writer.reader();
    for _ in 0..60 {
        put(&mut writer, 1).unwrap();
    }
    let floor = writer.retain(NOW).unwrap();
    assert!((30..=40).contains(&floor), "{floor}");
    assert_eq!(
        reader.read(5, u64::MAX, 9, 99).unwrap(),
        Page::Gone { floor }
    );
    assert_eq!(all(&reader), (floor + 1..=60).collect::<Vec<_>>());
    let (writer, _) = open(&disk, options).unwrap();
    assert_eq!(writer.reader().floor(), floor);
    let by_age = Options {
        retain_micros: 1_000_000,
        ..small()
    };
    let (mut writer, _) = open(&disk, by_age).unwrap();
    let floor = writer.retain(10_000_000).unwrap();
    assert!(floor > 40 && floor < 60, "the open segment stays: {floor}");
}

#[test]
fn a_reader_beside_the_writer_sees_only_what_is_there_and_in_order() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    let reader = writer.reader();
    let reading = std::thread::spawn(move || {
        let mut after = 0;
        while after < 2000 {
            match reader.read(after, u64::MAX, 16, 1 << 16).expect("readable") {
                Page::Records(records) => {
                    for record in records {
                        assert_eq!(record.seq, after + 1);
                        assert_eq!(record.payload, format!("record {}", record.seq).as_bytes());
                        after = record.seq;
                    }
                }
                _ => std::thread::yield_now(),
            }
        }
    });
    for _ in 0..1000 {
        put(&mut writer, 2).unwrap();
    }
    reading.join().expect("the reader was content");
}

#[test]
fn a_log_can_be_read_without_being_opened_for_writing() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, small()).unwrap();
    for _ in 0..40 {
        put(&mut writer, 1).unwrap();
    }
    let name = segment_names(&disk).pop().unwrap();
    let mut bytes = disk.read(&name);
    bytes.extend_from_slice(b"torn");
    disk.put(&name, bytes.clone());
    assert_eq!(all(&Reader::open(&disk).unwrap()), through(40));
    assert_eq!(disk.read(&name), bytes, "nothing was mended");
}

fn segment_names(disk: &FaultyDisk) -> Vec<String> {
    let mut names = ledger::Disk::list(disk).expect("a list");
    names.retain(|name| name.ends_with(".log"));
    names.sort();
    names
}

#[test]
fn a_group_that_cannot_be_is_refused_and_harms_nothing() {
    let disk = FaultyDisk::default();
    let (mut writer, _) = open(&disk, Options::default()).unwrap();
    assert_eq!(
        writer.append(&[], NOW).unwrap_err().code(),
        "ledger_empty_group"
    );
    put(&mut writer, 1).unwrap();
    assert_eq!(all(&writer.reader()), through(1));
}
