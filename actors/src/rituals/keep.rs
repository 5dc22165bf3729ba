//! What is in the vault: the cursor with what the matcher remembers, what has begun and not ended, and rules put in place
//! by hand.

use std::collections::HashSet;
use std::fmt;

use glint::json::{self, Object, Value, object};
use glint::{Offset, Stamp, State};
use rites::matcher::{Cause, Saved, SavedRule};
use rites::{Firing, Rules};

use crate::vault::{SharedVault, VaultError};

const CURSOR: &str = "rituals/cursor";
const RULES: &str = "rituals/rules";
const PENDING: &str = "rituals/pending/";
/// Values read at once.
const PAGE: usize = 256;

pub(super) struct Keeper {
    vault: SharedVault,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    pub(super) fn new(vault: SharedVault) -> Keeper {
        Keeper { vault }
    }

    /// The rules that were put in place by hand, if they can still be read.
    pub(super) fn rules(&self) -> Result<Option<Rules>, VaultError> {
        let Some(bytes) = self.vault.get(RULES)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let rules = rites::read(&text);
        if let Err(problems) = &rules {
            tracing::error!(%problems, "the rules that were put in place by hand cannot be read any more; those of the file are at work");
        }
        Ok(rules.ok())
    }

    pub(super) fn keep_rules(&self, text: Option<&str>) -> Result<(), VaultError> {
        self.vault.put(&[(RULES, text.map(str::as_bytes))])
    }

    /// Where to go on, and with what. History from before the first start is none of our business.
    pub(super) fn cursor(&self, head: Offset) -> Result<(u64, Saved), VaultError> {
        let bytes = self.vault.get(CURSOR)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let saved = json::parse(&text).ok();
        let saved = saved
            .as_ref()
            .and_then(|value| Some((whole(value, "epoch")?, whole(value, "seq")?, value)));
        Ok(match saved {
            Some((epoch, seq, value)) if epoch == head.epoch as i64 => {
                ((seq.max(0) as u64).min(head.seq), read_saved(value))
            }
            // Another life of the log: the state goes on, the place does not.
            Some((_, _, value)) => (head.seq, read_saved(value)),
            None => (head.seq, Saved::default()),
        })
    }

    /// Puts the cursor away, and what fired before it: both or neither.
    pub(super) fn fired(
        &self,
        place: Offset,
        saved: &Saved,
        firings: &[Firing],
    ) -> Result<(), VaultError> {
        let cursor = write_saved(place, saved);
        let pending: Vec<(String, String)> = firings
            .iter()
            .map(|firing| {
                (
                    format!("{PENDING}{}", firing.key),
                    write_firing(firing, place.seq),
                )
            })
            .collect();
        let mut changes = vec![(CURSOR, Some(cursor.as_bytes()))];
        changes.extend(
            pending
                .iter()
                .map(|(key, text)| (key.as_str(), Some(text.as_bytes()))),
        );
        self.vault.put(&changes)
    }

    pub(super) fn ended(&self, key: &str) -> Result<(), VaultError> {
        self.vault.put(&[(&format!("{PENDING}{key}"), None)])
    }

    /// What has not ended, oldest first, each with a place before all that it says. Runs of rules that are no more, or are others now, are left out.
    pub(super) fn pending(&self, rules: &Rules) -> Result<Vec<(u64, Firing)>, VaultError> {
        let mut firings: Vec<(u64, Firing)> = Vec::new();
        for (_, bytes) in self.all()? {
            let text = String::from_utf8_lossy(&bytes);
            firings.extend(read_firing(&text, rules));
        }
        firings.sort_by_key(|(_, firing)| firing.stamp);
        Ok(firings)
    }

    /// Forgets what has not ended and can no longer be run.
    pub(super) fn forget_orphans(&self, known: &[(u64, Firing)]) -> Result<(), VaultError> {
        let known: HashSet<&str> = known.iter().map(|(_, firing)| &*firing.key).collect();
        for (key, _) in self.all()? {
            if !known.contains(key.strip_prefix(PENDING).unwrap_or_default()) {
                tracing::warn!(%key, "a run of a rule that is no more, or another now, is given up");
                self.vault.put(&[(&key, None)])?;
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<(String, Vec<u8>)>, VaultError> {
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            let after = all.last().map_or(String::new(), |(key, _)| key.clone());
            let page = self.vault.scan(PENDING, &after, PAGE)?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

fn write_saved(place: Offset, saved: &Saved) -> String {
    let mut out = String::new();
    object(&mut out, |object| {
        object.count("epoch", place.epoch).count("seq", place.seq);
        if let Some(state) = &saved.state {
            object.object("state", |object| write_state(object, state));
        }
        object.array("rules", &saved.rules, |rule, out| {
            json::object(out, |object| {
                object
                    .text("name", &rule.name)
                    .text("version", &rule.version)
                    .flag("beyond", rule.beyond);
                if let Some(fired) = rule.fired {
                    object.json("fired", &fired.0.to_string());
                }
                if let Some(slot) = rule.slot {
                    object.json("slot", &slot.to_string());
                }
            });
        });
    });
    out
}

fn write_state(object: &mut Object<'_>, state: &State) {
    object
        .text("phase", state.phase.as_str())
        .text("climate", state.climate.as_str());
    object
        .number("progress", state.progress)
        .number("usage", state.usage);
}

fn read_state(value: &Value<'_>) -> Option<State> {
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    Some(State {
        phase: word("phase")?.parse().ok()?,
        climate: word("climate")?.parse().ok()?,
        progress: number("progress")?,
        usage: number("usage")?,
    })
}

fn read_saved(value: &Value<'_>) -> Saved {
    let rules = match value.get("rules") {
        Some(Value::Array(rules)) => rules.as_slice(),
        _ => &[],
    };
    let rule = |value: &Value<'_>| {
        Some(SavedRule {
            name: value.get("name")?.as_str()?.into(),
            version: value.get("version")?.as_str()?.into(),
            beyond: value.get("beyond") == Some(&Value::Bool(true)),
            fired: whole(value, "fired").map(Stamp),
            slot: whole(value, "slot"),
        })
    };
    Saved {
        state: value.get("state").and_then(read_state),
        rules: rules.iter().filter_map(rule).collect(),
    }
}

fn write_firing(firing: &Firing, since: u64) -> String {
    let mut out = String::new();
    object(&mut out, |object| {
        object.count("since", since);
        object
            .text("rule", &firing.rule.name)
            .text("version", &firing.rule.version);
        object
            .text("key", &firing.key)
            .text("trigger", &firing.trigger);
        object
            .json("stamp", &firing.stamp.0.to_string())
            .count("depth", firing.depth.into());
        if let Some(offset) = firing.offset {
            object.display("offset", offset);
        }
        object.object("state", |object| write_state(object, &firing.state));
        let words = [
            ("id", &firing.glint.id),
            ("source", &firing.glint.source),
            ("phase", &firing.glint.phase),
        ];
        for (key, word) in words {
            if let Some(word) = word {
                object.text(key, word);
            }
        }
        object.text("text", &firing.glint.text);
    });
    out
}

fn read_firing(text: &str, rules: &Rules) -> Option<(u64, Firing)> {
    let value = json::parse(text).ok()?;
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    let (name, version) = (word("rule")?, word("version")?);
    let rule = rules
        .rules
        .iter()
        .find(|rule| *rule.name == *name && *rule.version == *version)?;
    let since = u64::try_from(whole(&value, "since")?).ok()?;
    let firing = Firing {
        rule: rule.clone(),
        key: word("key")?.into(),
        trigger: word("trigger")?.into(),
        offset: word("offset").and_then(|offset| offset.parse().ok()),
        stamp: Stamp(whole(&value, "stamp")?),
        state: read_state(value.get("state")?)?,
        depth: u32::try_from(whole(&value, "depth")?).ok()?,
        glint: Cause {
            id: word("id").map(Into::into),
            source: word("source").map(Into::into),
            phase: word("phase").map(Into::into),
            text: word("text")?.into(),
        },
    };
    Some((since, firing))
}

fn whole(value: &Value<'_>, key: &str) -> Option<i64> {
    match value.get(key)? {
        Value::Number(lexeme) => lexeme.parse().ok(),
        _ => None,
    }
}
