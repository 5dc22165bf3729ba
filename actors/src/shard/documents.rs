//! Topics as documents, for streams that asked for what changes in them.
//!
//! Whoever comes to a lane is shown the documents as the lane has them; from there each change is spelt once, for all of
//! its readers. History comes in whole documents, as what a change was made to is not kept.

use glint::{Event, Stamp, Zone};
use wire::{Control, Place, Rendering, Standings};

use super::core::Core;
use super::lanes::Numbering;
use super::slots::{Slot, Stage};

/// What documents are shown with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub(super) numbering: Numbering,
    pub(super) epoch: u64,
    pub(super) stamp: Stamp,
    pub(super) zone: Zone,
}

impl Slot {
    /// Shows the documents to which changes will come from here on.
    pub(super) fn push_documents(&mut self, standings: &Standings, show: Show, out: &mut Vec<u8>) {
        if !self.patched {
            return;
        }
        let known = |topic| Some((topic, standings.of(topic)?));
        for (topic, document) in self.view.topics().filter_map(known) {
            let control = Control::Document {
                document,
                sid: show.numbering.sid(show.epoch, topic),
                stamp: show.stamp,
            };
            control.push(self.form, show.zone, &mut self.control_seq, out);
        }
    }

    /// Spells an event for this slot alone.
    pub(super) fn spell(&self, event: &Event, place: Place, zone: Zone, out: &mut Vec<u8>) {
        let rendering = Rendering::new(event, zone);
        match self.patched {
            true => rendering.push_alone(self.form, place, out),
            false => rendering.push(self.form, place, out),
        }
    }
}

impl Core {
    pub(super) fn as_now(&self, numbering: Numbering) -> Show {
        Show {
            numbering,
            epoch: self.tail.epoch(),
            stamp: self.clock.now(),
            zone: self.settings.zone,
        }
    }

    /// Shows a stream its documents once more, when it has lost one. What it has not read yet of its lane is older: it
    /// passes over changes to anything else until one fits.
    pub(super) fn show_again(&mut self, id: usize, serial: u64, numbering: Numbering) {
        let show = self.as_now(numbering);
        let Some(slot) = self.slots.get_mut(id) else {
            return;
        };
        if slot.serial != serial || slot.ended || matches!(slot.stage, Stage::Replay(_)) {
            return;
        }
        let mut aside = std::mem::take(&mut slot.aside);
        slot.push_documents(&self.standings, show, &mut aside);
        slot.aside = aside;
        self.wake_one(id);
    }
}
