//! The way of a batch: what of it is new is told, committed, and answered when it is kept.

use actix::prelude::*;
use attest::Kept;
use attest::dedup::Verdict;
use glint::{Name, Offset, Refusal, RefusalKind};

use super::{Accord, lost, refusal};
use crate::emitter::{Commit, Entry, Receipt};
use crate::mail::Letter;

/// Seconds after which an office that is behind has caught up.
const BEHIND_RETRY_SECONDS: u32 = 1;

/// Takes the traces of a batch: all that are new, or none.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Outcome>, Refusal>")]
pub struct Take {
    /// The traces, verified, as they will be kept.
    pub traces: Vec<Kept>,
}

impl Take {
    /// Returns the weight of the message in a mailbox, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let weight = |kept: &Kept| kept.text.len() + 2 * kept.tuples.len() + size_of::<Kept>();
        self.traces.iter().map(weight).sum()
    }
}

/// What became of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was kept, here.
    Stored(Offset),
    /// It was kept before, here.
    Duplicate(Offset),
    /// Another content was kept before, here, that claims the same. This one is not kept.
    Conflict(Offset),
}

impl Outcome {
    /// Returns the word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Stored(_) => "stored",
            Outcome::Duplicate(_) => "duplicate",
            Outcome::Conflict(_) => "conflict",
        }
    }

    /// Returns the place of what was kept.
    #[must_use]
    pub fn offset(self) -> Offset {
        match self {
            Outcome::Stored(at) | Outcome::Duplicate(at) | Outcome::Conflict(at) => at,
        }
    }
}

/// A batch on its way.
#[derive(Debug, Default)]
struct Begun {
    traces: Vec<(Kept, Verdict)>,
    entries: Vec<Entry>,
}

impl Accord {
    /// Tells what is new, and marks it as on its way.
    fn begin(&mut self, traces: Vec<Kept>) -> Result<Begun, Refusal> {
        let ring = self.cell.read();
        for kept in &traces {
            let now = self.clock.now();
            ring.active(&kept.key_id, now).map_err(refusal)?;
        }
        if self.index.is_behind() {
            let detail = "too many traces wait to be remembered; send again later";
            let refusal = Refusal::new(RefusalKind::Busy, "accord_behind", detail);
            return Err(refusal.retry_after(BEHIND_RETRY_SECONDS));
        }
        let mut begun = Begun::default();
        for mut kept in traces {
            let verdict = self.index.judge(&kept).map_err(|err| {
                self.fail(&err);
                lost()
            })?;
            if verdict == Verdict::New {
                let mut entry = Entry::new(Name::TraceCommitted, std::mem::take(&mut kept.text));
                entry.id = Some(kept.content.to_string().into());
                entry.source = Some(kept.agent_id_hash.as_str().into());
                begun.entries.push(entry);
            }
            begun.traces.push((kept, verdict));
        }
        Ok(begun)
    }

    /// Says what became of each, now that it is known what became of the new ones.
    fn finish(
        &mut self,
        traces: &[(Kept, Verdict)],
        receipt: Result<Receipt, Refusal>,
    ) -> Result<Vec<Outcome>, Refusal> {
        let receipt = receipt.inspect_err(|refusal| {
            // Of what is late nobody knows; reading on will tell.
            if refusal.code != "office_late" {
                for (kept, _) in traces
                    .iter()
                    .filter(|(_, verdict)| *verdict == Verdict::New)
                {
                    self.index.forget(kept);
                }
            }
        })?;
        let mut places = receipt.items.iter();
        let new = traces
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::New);
        for ((kept, _), item) in new.zip(&mut places) {
            self.index.place(kept, item.offset.seq);
            self.counters.rows.inc_by(kept.rows.into());
        }
        // Before the answer: nobody is to read "all is saved" of a trace that is acknowledged and not yet saved.
        self.show();
        let mut outcomes = Vec::with_capacity(traces.len());
        for (kept, verdict) in traces {
            let outcome = self.outcome(kept, *verdict)?;
            let counter = self.counters.traces.with_label_values(&[outcome.as_str()]);
            counter.inc();
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn outcome(&mut self, kept: &Kept, verdict: Verdict) -> Result<Outcome, Refusal> {
        let content = match verdict {
            Verdict::Conflict { content, .. } => content,
            Verdict::New | Verdict::Duplicate { .. } => kept.content,
        };
        let known = match verdict {
            Verdict::Duplicate { seq } | Verdict::Conflict { seq, .. } if seq > 0 => Some(seq),
            _ => self.index.seq_of(kept.identity, content),
        };
        let seq = match known {
            // It was on its way when this came, ahead of this, and so is there now.
            Some(0) => {
                self.read_to_the_end().map_err(|err| {
                    self.fail(&err);
                    lost()
                })?;
                self.index.seq_of(kept.identity, content)
            }
            known => known,
        };
        let Some(seq) = seq.filter(|seq| *seq > 0) else {
            let detail = "the same trace was on its way and was not kept; send it again";
            return Err(Refusal::new(RefusalKind::Busy, "trace_lost", detail).retry_after(1));
        };
        let offset = Offset {
            epoch: self.epoch,
            seq,
        };
        Ok(match verdict {
            Verdict::New => Outcome::Stored(offset),
            Verdict::Duplicate { .. } => Outcome::Duplicate(offset),
            Verdict::Conflict { .. } => {
                tracing::warn!(agent = kept.agent_id_hash, trace = kept.trace_id, at = %offset, "an agent signed two contents for one claim");
                Outcome::Conflict(offset)
            }
        })
    }
}

impl Handler<Letter<Take>> for Accord {
    type Result = ResponseActFuture<Self, Result<Vec<Outcome>, Refusal>>;

    fn handle(&mut self, letter: Letter<Take>, _: &mut Self::Context) -> Self::Result {
        let (take, place) = letter.open();
        let emitter = self.emitter.clone();
        let begun = match self.begin(take.traces) {
            Ok(begun) => begun,
            Err(refusal) => return Box::pin(fut::err(refusal)),
        };
        let commit = Commit {
            entries: begun.entries,
        };
        let weight = commit.weight_bytes();
        let kept = async move {
            let _place = place;
            // Asked also when nothing is new: what this repeats may still be on its way, and goes first.
            emitter.ask(commit, weight).await?
        };
        let traces = begun.traces;
        Box::pin(
            kept.into_actor(self)
                .map(move |receipt, office, _| office.finish(&traces, receipt)),
        )
    }
}
