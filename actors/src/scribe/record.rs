//! An event as the payload of a record.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version, 1 |
//! | 1 | name, its place in [`Name::ALL`] |
//! | 1 | flags: 1 id, 2 source, 4 phase, 8 repeats an id, 16 key |
//! | | for each of id, source, phase that is there: 4 bytes of length, text |
//! | | with a key: 4 bytes of length, text, 32 bytes of content, 4 bytes of the number of events of the offer |
//! | | the payload of the event, to the end |

use glint::{Event, Name, Offset, Stamp};
use ledger::RecordRef;

use super::Remembered;

const VERSION: u8 = 1;
const ID: u8 = 1;
const SOURCE: u8 = 2;
const PHASE: u8 = 4;
const REPEATS: u8 = 8;
const KEY: u8 = 16;

/// Appends an event; with a key if it is the first of an offer that had one.
pub(super) fn push(event: &Event, key: Option<&Remembered>, out: &mut Vec<u8>) {
    let words = [
        (ID, &event.id),
        (SOURCE, &event.source),
        (PHASE, &event.phase),
    ];
    let mut flags = if event.repeats_id { REPEATS } else { 0 };
    flags |= words
        .iter()
        .filter(|(_, word)| word.is_some())
        .fold(0, |flags, (flag, _)| flags | flag);
    flags |= if key.is_some() { KEY } else { 0 };
    let name = Name::ALL
        .iter()
        .position(|name| *name == event.name)
        .unwrap_or(0);
    out.extend_from_slice(&[VERSION, name as u8, flags]);
    for (_, word) in words {
        if let Some(word) = word {
            push_text(word, out);
        }
    }
    if let Some(key) = key {
        push_text(&key.key, out);
        out.extend_from_slice(&key.content);
        out.extend_from_slice(&key.events.to_le_bytes());
    }
    out.extend_from_slice(event.text.as_bytes());
}

/// Reads an event; `None` when it is none of this version.
pub(super) fn read(epoch: u64, record: &RecordRef) -> Option<(Event, Option<Remembered>)> {
    let (&[version, name, flags], mut rest) = record.payload.split_first_chunk::<3>()?;
    if version != VERSION {
        return None;
    }
    let mut word = |flag: u8| (flags & flag != 0).then(|| take_text(&mut rest));
    let (id, source, phase) = (word(ID), word(SOURCE), word(PHASE));
    let key = if flags & KEY != 0 {
        Some(take_key(&mut rest)?)
    } else {
        None
    };
    let event = Event {
        name: *Name::ALL.get(usize::from(name))?,
        offset: Offset {
            epoch,
            seq: record.seq,
        },
        topic_seq: record.topic_seq,
        stamp: Stamp(record.stamp),
        id: id.map(|id| id.ok_or(())).transpose().ok()?,
        repeats_id: flags & REPEATS != 0,
        source: source.map(|source| source.ok_or(())).transpose().ok()?,
        phase: phase.map(|phase| phase.ok_or(())).transpose().ok()?,
        text: std::str::from_utf8(rest).ok()?.into(),
    };
    Some((event, key))
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take_text(rest: &mut &[u8]) -> Option<Box<str>> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = after;
    Some(std::str::from_utf8(text).ok()?.into())
}

fn take_key(rest: &mut &[u8]) -> Option<Remembered> {
    let key = take_text(rest)?;
    let (content, after) = rest.split_first_chunk::<32>()?;
    let (events, after) = after.split_first_chunk::<4>()?;
    *rest = after;
    Some(Remembered {
        key,
        content: *content,
        events: u32::from_le_bytes(*events),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let key = Remembered {
            key: "k1".into(),
            content: [7; 32],
            events: 3,
        };
        for (id, phase, key) in [
            (Some("a"), None, None),
            (None, Some("hold"), Some(key)),
            (Some("☍"), Some(""), None),
        ] {
            let event = Event {
                name: Name::PhaseUpdate,
                offset: Offset { epoch: 5, seq: 9 },
                topic_seq: 4,
                stamp: Stamp(77),
                id: id.map(Into::into),
                repeats_id: id.is_some(),
                source: None,
                phase: phase.map(Into::into),
                text: "{\"a\": 1}".into(),
            };
            let mut payload = Vec::new();
            push(&event, key.as_ref(), &mut payload);
            let record = RecordRef {
                seq: 9,
                stamp: 77,
                topic: 1,
                topic_seq: 4,
                payload,
            };
            assert_eq!(read(5, &record), Some((event, key)));
        }
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_none() {
        let read = |payload: &[u8]| {
            read(
                1,
                &RecordRef {
                    seq: 1,
                    stamp: 0,
                    topic: 0,
                    topic_seq: 1,
                    payload: payload.to_vec(),
                },
            )
        };
        for payload in [
            &[][..],
            &[1],
            &[2, 0, 0],
            &[1, 99, 0],
            &[1, 0, 1, 9, 0, 0, 0, b'x'],
            &[1, 0, 16, 1, 0, 0, 0, b'k'],
        ] {
            assert_eq!(read(payload), None, "{payload:?}");
        }
    }
}
