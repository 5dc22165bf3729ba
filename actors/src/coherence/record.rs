//! Temporal memory: signatures of sources as records that follow from each other.
//!
//! A record is one line of JSON. Its last two members are the hash of the record before it and its own: SHA-256 over
//! that hash and everything of the line before `, "hash"`. Whoever changes, drops or adds a record breaks the chain.

use coherence::{Arcs, Carrier, Params, Row, Rule, Source, Standing};
use glint::Stamp;
use glint::hex::{self, Hex};
use glint::json::{Object, Value, object, parse};
use sha2::{Digest as _, Sha256};

use super::say;

/// The hash before the first record.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where the chain has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The number of the last record; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Box<str>,
}

impl Default for Chain {
    fn default() -> Chain {
        Chain {
            seq: 0,
            hash: GENESIS.into(),
        }
    }
}

impl Chain {
    /// Writes a record: what `write` puts into it, and its links.
    pub fn record(&mut self, kind: &str, at: Stamp, write: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = String::with_capacity(1536);
        let seq = self.seq + 1;
        object(&mut out, |object| {
            object
                .text("kind", kind)
                .count("seq", seq)
                .json("at_us", &at.0.to_string());
            write(object);
            object.text("prev_hash", &self.hash);
        });
        // The brace that closes it comes after its hash.
        out.pop();
        let hash = hash(&self.hash, &out);
        out.push_str(&format!(", \"hash\": \"{hash}\"}}"));
        *self = Chain {
            seq,
            hash: hash.into(),
        };
        out
    }

    /// Goes on from a record that is kept already.
    pub fn follow(&mut self, text: &str) {
        if let Some(links) = Links::of(text).filter(|links| links.seq >= self.seq) {
            *self = Chain {
                seq: links.seq,
                hash: links.hash,
            };
        }
    }
}

/// Writes the signature of a source into a record.
pub fn signature(
    object: &mut Object<'_>,
    row: &Row<'_>,
    through: u64,
    node: &str,
    why: &str,
    arcs: &Arcs,
) {
    let params = row.params;
    object
        .text("node", node)
        .text("why", why)
        .count("through", through);
    object.object("kernel", |object| {
        object
            .json("period_us", &params.carrier.period_us().to_string())
            .json("epoch_us", &params.carrier.epoch_us().to_string())
            .json("master_tau_us", &params.master_tau_us.to_string())
            .json("emissary_tau_us", &params.emissary_tau_us.to_string())
            .count("slots", params.slots.into());
    });
    say::row(object, row, row.source.at_us(), arcs);
    let master = row.source.master(params, row.source.at_us());
    say::pair(object, "t", master.t);
    object
        .number("cycles", master.cycles)
        .display("accumulators", Hex(&row.source.to_bytes()))
        .display("standing", Hex(&row.standing.to_bytes()));
}

/// A signature that was read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Whose.
    pub source: Box<str>,
    /// When it was taken.
    pub at: Stamp,
    /// The last event that is in it.
    pub through: u64,
    /// What was known.
    pub state: Source,
    /// What was said.
    pub standing: Standing,
    /// What it was measured with.
    pub params: Params,
}

impl Signature {
    /// Reads a signature from a record of kind `signature`; nothing, if it is of another kind or cannot have been.
    #[must_use]
    pub fn of(text: &str) -> Option<Signature> {
        let value = parse(text).ok()?;
        if value.get("kind").and_then(Value::as_str) != Some("signature") {
            return None;
        }
        let kernel = value.get("kernel")?;
        let carrier = Carrier::new(whole(kernel, "period_us")?, whole(kernel, "epoch_us")?).ok()?;
        let (slow, fast) = (
            whole(kernel, "master_tau_us")?,
            whole(kernel, "emissary_tau_us")?,
        );
        let slots = u8::try_from(whole(kernel, "slots")?).ok()?;
        let standing = bytes(value.get("standing")?.as_str()?)?;
        Some(Signature {
            source: value.get("source")?.as_str()?.into(),
            at: Stamp(whole(&value, "at_us")?),
            through: u64::try_from(whole(&value, "through")?).ok()?,
            state: Source::from_bytes(&bytes(value.get("accumulators")?.as_str()?)?).ok()?,
            standing: Standing::from_bytes(standing.try_into().ok()?),
            params: Params::lenient(carrier, slow, fast, slots, Rule::default()).ok()?,
        })
    }
}

/// Checks records, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    /// Records that were looked at.
    pub records: u64,
    /// Records that are not what they were, or do not follow from the one before, with why.
    pub faults: Vec<(u64, &'static str)>,
    last: Option<(u64, Box<str>)>,
}

/// Faults that are remembered one by one.
const FAULTS_MAX: usize = 100;

impl Verifier {
    /// Looks at the next record, which stands at `place` of the order.
    pub fn check(&mut self, place: u64, text: &str) {
        self.records += 1;
        if let Err(why) = self.look(text)
            && self.faults.len() < FAULTS_MAX
        {
            self.faults.push((place, why));
        }
    }

    fn look(&mut self, text: &str) -> Result<(), &'static str> {
        let links = Links::of(text).ok_or("it has no links")?;
        let before = self.last.replace((links.seq, links.hash.clone()));
        if hash(&links.before, links.body) != *links.hash {
            return Err("its hash is another");
        }
        // The first that is seen may follow on one that the log has forgotten.
        if let Some((seq, hash)) = before {
            if seq + 1 != links.seq {
                return Err("it does not have the next number");
            }
            if hash != links.before {
                return Err("it does not follow from the record before it");
            }
        }
        let is_signature = text.starts_with("{\"kind\": \"signature\"");
        if is_signature && Signature::of(text).is_none() {
            return Err("its accumulators are impossible");
        }
        Ok(())
    }

    /// Returns the hash of the last record.
    #[must_use]
    pub fn head(&self) -> Option<&str> {
        self.last.as_ref().map(|(_, hash)| &**hash)
    }
}

/// The links of a record.
struct Links<'t> {
    seq: u64,
    /// What is hashed.
    body: &'t str,
    before: Box<str>,
    hash: Box<str>,
}

impl Links<'_> {
    fn of(text: &str) -> Option<Links<'_>> {
        let (body, rest) = text.rsplit_once(", \"hash\": \"")?;
        let hash = rest.strip_suffix("\"}")?;
        let value = parse(text).ok()?;
        Some(Links {
            seq: u64::try_from(whole(&value, "seq")?).ok()?,
            body,
            before: value.get("prev_hash")?.as_str()?.into(),
            hash: hash.into(),
        })
    }
}

fn whole(value: &Value<'_>, key: &str) -> Option<i64> {
    match value.get(key)? {
        Value::Number(lexeme) => lexeme.parse().ok(),
        _ => None,
    }
}

fn hash(before: &str, body: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(before.as_bytes());
    hasher.update(b"\n");
    hasher.update(body.as_bytes());
    Hex(&hasher.finalize()).to_string()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    hex::read(digits, &mut bytes).map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use coherence::{Engine, Limits};

    use super::*;

    fn records(count: usize) -> Vec<String> {
        let params = Params::of(Carrier::new(60_000_000, 0).unwrap()).unwrap();
        let limits = Limits {
            sources: 9,
            contracts: 9,
        };
        let (mut engine, mut chain) = (Engine::new(params, limits), Chain::default());
        let arcs = Arcs::new(&[("inhale", 1.0), ("hold", 1.0)]);
        let record = |n: usize| {
            engine.note("a \"quoted\" n\u{e4}me", n as i64 * 60_000_000);
            let row = engine.rows().next().unwrap();
            chain.record("signature", Stamp(n as i64), |object| {
                signature(object, &row, n as u64, "node", "cycle", &arcs);
            })
        };
        (1..=count).map(record).collect()
    }

    fn faults(records: &[String]) -> Vec<&'static str> {
        let mut verifier = Verifier::default();
        for (place, record) in records.iter().enumerate() {
            verifier.check(place as u64, record);
        }
        verifier.faults.into_iter().map(|(_, why)| why).collect()
    }

    #[test]
    fn a_signature_reads_back_bit_by_bit() {
        let records = records(12);
        let read = Signature::of(&records[11]).expect("a signature");
        assert_eq!(
            (&*read.source, read.through, read.at),
            ("a \"quoted\" n\u{e4}me", 12, Stamp(12))
        );
        let again = Hex(&read.state.to_bytes()).to_string();
        assert!(records[11].contains(&again));
        assert!(read.standing.is_collapsed());
        assert!(records.iter().all(|record| record.is_ascii()));
    }

    #[test]
    fn whoever_touches_a_record_is_found_out() {
        let good = records(5);
        assert!(faults(&good).is_empty());
        assert!(faults(&good[2..]).is_empty(), "older ones may be forgotten");
        let mut dropped = good.clone();
        dropped.remove(2);
        assert_eq!(faults(&dropped), ["it does not have the next number"]);
        let mut swapped = good.clone();
        swapped.swap(1, 2);
        assert_eq!(faults(&swapped).len(), 3);
        // Any digit of a record, by the one that follows it.
        for place in (0..good[2].len()).step_by(7) {
            if good[2].as_bytes()[place].is_ascii_digit() {
                let mut touched = good.clone();
                let digit = if &good[2][place..=place] == "3" {
                    "4"
                } else {
                    "3"
                };
                touched[2].replace_range(place..=place, digit);
                assert!(!faults(&touched).is_empty(), "{place}: {}", touched[2]);
            }
        }
    }

    #[test]
    fn accumulators_that_cannot_be_are_no_signature() {
        let record = &records(1)[0];
        let start = record.find("\"accumulators\": \"").unwrap() + 17;
        let mut touched = record.clone();
        touched.replace_range(start..start + 16, "7ff8000000000000");
        assert_eq!(Signature::of(&touched), None);
    }

    #[test]
    fn a_chain_goes_on_from_what_is_kept() {
        let records = records(3);
        let mut chain = Chain::default();
        for record in &records {
            chain.follow(record);
        }
        let next = chain.record("note", Stamp(9), |_| {});
        let all: Vec<String> = records.into_iter().chain([next]).collect();
        assert!(faults(&all).is_empty());
    }
}
