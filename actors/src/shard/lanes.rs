//! Lanes by what they carry, and the numbers of their frames.
//!
//! A lane belongs to one view in one form: the filter is evaluated once per event and view, and a reader's bytes are
//! always contiguous. In numbered forms a view of whole topics has the numbers of the topics, the same for everybody who
//! met as many gaps; a filtered one has a stream of its own.

use std::collections::HashMap;
use std::sync::Arc;

use glint::{Event, Topic};
use lane::{Cursor, Lane};
use sieve::View;
use slab::Slab;
use wire::chunk::push_chunk;
use wire::{
    Change, Form, Place, Rendering, Standings, Stream, TOPIC_LIVES, sid_of_topic, sid_of_view,
};

use super::outlet::Copies;

/// What the readers of a shared lane have in common: the life of their topics is the last part.
type Key = (Arc<View>, Spelling, u8);

/// Lanes of one worker.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: lane::Limits,
    max: usize,
    slab: Slab<ViewLane>,
    shared: HashMap<Key, usize>,
}

/// How the frames of a lane are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spelling {
    pub(super) form: Form,
    /// Whether each frame is a chunk of HTTP/1.1: for streams that write to their sockets themselves.
    pub(super) in_chunks: bool,
    /// Whether topics that are documents come as what changes in them.
    pub(super) patched: bool,
}

/// A lane with its readers.
#[derive(Debug)]
pub(super) struct ViewLane {
    pub(super) lane: Lane,
    /// Slots that have read everything and wait.
    pub(super) parked: Vec<usize>,
    /// Frames that the sockets of slow readers took a part of.
    pub(super) copies: Copies,
    view: Arc<View>,
    spelling: Spelling,
    numbering: Numbering,
    /// Where the lane ended at the last round.
    ended_at: Cursor,
    readers: usize,
    is_shared: bool,
    /// The version of the document of each topic that all readers have, where it is one.
    held: [Option<u64>; Topic::ALL.len()],
}

/// How the frames of a stream are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// As the topics are, in one of the lives of their sids.
    Topics { life: u8 },
    /// On a sid of its own, after `base` frames that were sent before.
    Own { sid: u64, base: u64 },
}

impl Numbering {
    /// Returns the numbering of a stream of its own, with a sid that `serial` has not made before.
    pub(super) fn fresh(epoch: u64, serial: &mut u64) -> Numbering {
        *serial += 1;
        Numbering::Own {
            sid: sid_of_view(epoch, *serial),
            base: 0,
        }
    }

    /// Returns the numbering of a stream after a gap: on sids that it has not had, since a strict reader takes no frame
    /// of a sid any more that jumped. With more gaps than topics have lives, it is a stream of its own.
    pub(super) fn after_gap(self, epoch: u64, serial: &mut u64) -> Numbering {
        match self {
            Numbering::Topics { life } if life + 1 < TOPIC_LIVES => {
                Numbering::Topics { life: life + 1 }
            }
            _ => Numbering::fresh(epoch, serial),
        }
    }

    fn life(self) -> u8 {
        match self {
            Numbering::Topics { life } => life,
            Numbering::Own { .. } => 0,
        }
    }

    /// Returns the numbers of the event that comes after `frames` frames.
    pub(super) fn place(self, event: &Event, frames: u64) -> Place {
        match self {
            Numbering::Topics { life } => Place {
                sid: sid_of_topic(event.offset.epoch, event.topic(), life),
                seq: event.topic_seq,
            },
            Numbering::Own { sid, base } => Place {
                sid,
                seq: base + frames + 1,
            },
        }
    }

    /// Returns this numbering after `frames` more frames.
    pub(super) fn after(self, frames: u64) -> Numbering {
        match self {
            Numbering::Topics { .. } => self,
            Numbering::Own { sid, base } => Numbering::Own {
                sid,
                base: base + frames,
            },
        }
    }

    /// Returns the sid of the frames of a topic.
    pub(super) fn sid(self, epoch: u64, topic: Topic) -> u64 {
        match self {
            Numbering::Topics { life } => sid_of_topic(epoch, topic, life),
            Numbering::Own { sid, .. } => sid,
        }
    }

    /// Returns the directory of a stream that is numbered like this.
    pub(super) fn streams(self, view: &View, epoch: u64) -> Vec<Stream> {
        let whole = |topic| Stream {
            sid: sid_of_topic(epoch, topic, self.life()),
            topics: vec![topic],
            filtered: false,
        };
        match self {
            Numbering::Topics { .. } => view.topics().map(whole).collect(),
            Numbering::Own { sid, .. } => vec![Stream {
                sid,
                topics: view.topics().collect(),
                filtered: true,
            }],
        }
    }
}

impl Lanes {
    pub(super) fn new(limits: lane::Limits, max: usize) -> Lanes {
        Lanes {
            limits,
            max,
            slab: Slab::new(),
            shared: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn window_bytes(&self) -> usize {
        self.slab
            .iter()
            .map(|(_, lane)| lane.lane.window_bytes_used())
            .sum()
    }

    pub(super) fn get_mut(&mut self, id: usize) -> &mut ViewLane {
        &mut self.slab[id]
    }

    /// Returns the numbering of a lane from its beginning.
    pub(super) fn numbering(&self, id: usize) -> Numbering {
        self.slab[id].numbering
    }

    /// Returns the view of a lane, for its readers to share.
    pub(super) fn view(&self, id: usize) -> Arc<View> {
        self.slab[id].view.clone()
    }

    /// Tells whether a stream that comes out of history would find a lane now.
    pub(super) fn has_room(
        &self,
        view: &Arc<View>,
        spelling: Spelling,
        numbering: Numbering,
    ) -> bool {
        self.slab.len() < self.max
            || (matches!(numbering, Numbering::Topics { .. })
                && self
                    .shared
                    .contains_key(&(view.clone(), spelling, numbering.life())))
    }

    /// Gives the lane that everybody with this view shares another reader, or opens it: it then begins after `floor`.
    /// `None` at the bound.
    pub(super) fn join(
        &mut self,
        view: &Arc<View>,
        spelling: Spelling,
        numbering: Numbering,
        floor: u64,
        standings: &Standings,
    ) -> Option<usize> {
        let key = (view.clone(), spelling, numbering.life());
        if let Some(&id) = self.shared.get(&key) {
            self.slab[id].readers += 1;
            return Some(id);
        }
        let id = self.open(view, spelling, numbering, floor, standings)?;
        self.slab[id].is_shared = true;
        self.shared.insert(key, id);
        Some(id)
    }

    /// Opens a lane for one reader alone, which is told how topics stand. `None` at the bound.
    pub(super) fn open(
        &mut self,
        view: &Arc<View>,
        spelling: Spelling,
        numbering: Numbering,
        floor: u64,
        standings: &Standings,
    ) -> Option<usize> {
        if self.slab.len() >= self.max {
            return None;
        }
        let lane = Lane::new(self.limits, floor);
        Some(self.slab.insert(ViewLane {
            ended_at: lane.head(),
            lane,
            parked: Vec::new(),
            copies: Copies::default(),
            view: view.clone(),
            spelling,
            numbering,
            readers: 1,
            is_shared: false,
            held: Topic::ALL.map(|topic| standings.of(topic).map(|document| document.version)),
        }))
    }

    /// Takes a reader away; a lane without readers goes.
    pub(super) fn leave(&mut self, id: usize) {
        let lane = &mut self.slab[id];
        lane.readers -= 1;
        if lane.readers > 0 {
            return;
        }
        let lane = self.slab.remove(id);
        if lane.is_shared {
            self.shared
                .remove(&(lane.view, lane.spelling, lane.numbering.life()));
        }
    }

    /// Empties the lanes that have been quiet since the last round, and whose readers have had everything. Who comes back
    /// to one with a place in it is told what it missed from memory, as it would be with an older place.
    pub(super) fn rest(&mut self) {
        for (_, lane) in &mut self.slab {
            let before = std::mem::replace(&mut lane.ended_at, lane.lane.head());
            if before == lane.ended_at && lane.parked.len() == lane.readers {
                lane.lane.trim(0);
            }
        }
    }

    /// Spells an event into every lane that wants it, and moves who waits there to `to_wake`.
    pub(super) fn append(
        &mut self,
        event: &Event,
        change: Option<&Change>,
        rendering: &Rendering<'_>,
        to_wake: &mut Vec<usize>,
    ) {
        for (_, lane) in &mut self.slab {
            if !lane.view.matches(event) {
                continue;
            }
            let place = lane.numbering.place(event, lane.lane.head().number());
            let Spelling {
                form,
                in_chunks,
                patched,
            } = lane.spelling;
            let change = change.filter(|_| patched);
            let held = &mut lane.held[event.topic().index()];
            let before = change.and_then(|change| change.before.as_ref());
            // A filter may have kept a change from the readers: they cannot have what this one is made to.
            let has_before = before.is_some_and(|before| *held == Some(before.version));
            if let Some(change) = change {
                *held = Some(change.after.version);
            }
            let spell = |out: &mut Vec<u8>| match change {
                Some(change) => rendering.push_change(form, place, change, has_before, out),
                None => rendering.push(form, place, out),
            };
            lane.lane.append(event.offset.seq, |out| match in_chunks {
                true => push_chunk(out, spell),
                false => spell(out),
            });
            to_wake.append(&mut lane.parked);
        }
    }
}
