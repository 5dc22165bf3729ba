//! Questions, and their answers as JSON.

use ::coherence::{Condition, Entry, Mesh, Overlay, Reading, Row};
use actix::prelude::*;
use glint::json::{Object, object};
use glint::{Refusal, RefusalKind, Stamp};

use super::witness::Cycle;
use super::{Coherence, say};

/// A question.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, Refusal>")]
pub enum Ask {
    /// How the node as a whole keeps time.
    Summary,
    /// The table of sources.
    Sources {
        /// Only those in this state, or under this overlay.
        state: Option<Box<str>>,
        /// In which order.
        order: Order,
        /// How many are passed over.
        skip: usize,
        /// How many at most.
        limit: usize,
    },
    /// Everything about a source.
    Source(Box<str>),
    /// Micro records after an event.
    Micro {
        /// The event.
        since: u64,
        /// How many at most.
        limit: usize,
    },
    /// The mesh: what all nodes saw together.
    Mesh,
}

/// An order of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Name,
    /// Most coherent first.
    Coherence,
    /// Most evidence first.
    Evidence,
    /// Heard last first.
    Last,
    /// Furthest above its own rate first.
    Burst,
}

impl Order {
    /// All orders with their words.
    pub const ALL: [(&'static str, Order); 5] = [
        ("source", Order::Name),
        ("coherence", Order::Coherence),
        ("evidence", Order::Evidence),
        ("last", Order::Last),
        ("burst", Order::Burst),
    ];
}

/// Bytes of one table.
const TABLE_BYTES: usize = 4 << 20;

impl Coherence {
    pub(super) fn answer(&self, ask: &Ask) -> Result<String, Refusal> {
        let now = self.tools.clock.now();
        match ask {
            Ask::Summary => Ok(self.summary(now)),
            Ask::Sources {
                state,
                order,
                skip,
                limit,
            } => Ok(self.sources(state.as_deref(), *order, *skip, *limit, now)),
            Ask::Source(name) => self.source(name, now),
            Ask::Micro { since, limit } => Ok(list("records", &self.witness.list(*since, *limit))),
            Ask::Mesh => Ok(self.mesh_text(now)),
        }
    }

    fn summary(&self, now: Stamp) -> String {
        let mut out = String::with_capacity(1024);
        object(&mut out, |object| {
            object
                .display("timestamp", now)
                .text("node", &self.settings.node);
            self.totals(object, now);
            object.count(
                "lag_events",
                self.tools.tail.head().seq.saturating_sub(self.measured),
            );
            object.flag("approximate", self.approximate);
            object.object("gate", |object| {
                let open = self.tools.gate.open_since(now);
                object.text("state", if open.is_some() { "open" } else { "judging" });
                if let Some(why) = open {
                    object.text("why", &why);
                }
                object.count("sources", self.tools.gate.len() as u64);
            });
            object.object("memory", |object| {
                object
                    .count("signatures", self.memory.seq)
                    .text("head", &self.memory.hash);
            });
        });
        out
    }

    /// Returns the payload of `coherence.update`.
    pub(super) fn update(&self, cycle: Cycle, now: Stamp) -> String {
        let mut out = String::with_capacity(1024);
        object(&mut out, |object| {
            object
                .json("cycle", &cycle.number.to_string())
                .count("events", cycle.events)
                .count("counted", cycle.counted);
            self.totals(object, now);
            object.display("timestamp", now);
        });
        out
    }

    fn totals(&self, object: &mut Object<'_>, now: Stamp) {
        let (pooled, params) = self.engine.pooled();
        let (master, emissary) = (pooled.master(params, now.0), pooled.emissary(params, now.0));
        let numbers = kernel_numbers(&master, &emissary, self);
        object.number("coherence", master.coherence);
        object.object("master", |object| say::reading(object, &master));
        object.object("emissary", |object| say::reading(object, &emissary));
        object.object("sync", |object| say::sync(object, &numbers));
        let (order, coherent) = self.engine.order();
        object.object("order", |object| {
            match order {
                Some(order) => object.number("parameter", order),
                None => object.json("parameter", "null"),
            };
            object.count("sources", coherent as u64);
            // Sources without any order come to this by chance alone.
            object.number("floor", 1.0 / (coherent.max(1) as f64).sqrt());
        });
        let (conditions, overlays) = self.engine.census();
        object.object("sources", |object| {
            object.count("held", self.engine.len() as u64);
            for (condition, count) in Condition::ALL.into_iter().zip(conditions) {
                object.count(condition.as_str(), count as u64);
            }
            for (overlay, count) in Overlay::ALL.into_iter().zip(overlays) {
                object.count(overlay.as_str(), count as u64);
            }
        });
        object.object("carrier", |object| {
            object.json("period_us", &params.carrier.period_us().to_string());
            object.json("epoch_us", &params.carrier.epoch_us().to_string());
        });
    }

    fn sources(
        &self,
        state: Option<&str>,
        order: Order,
        skip: usize,
        limit: usize,
        now: Stamp,
    ) -> String {
        let is = |row: &Row<'_>| {
            state.is_none_or(|state| {
                let overlay = Overlay::ALL
                    .into_iter()
                    .find(|overlay| overlay.as_str() == state);
                overlay.map_or(row.standing.condition().as_str() == state, |overlay| {
                    row.standing.has(overlay)
                })
            })
        };
        let mut rows: Vec<Row<'_>> = self.engine.rows().filter(is).collect();
        rows.sort_by(|a, b| a.name.cmp(b.name));
        let key = |row: &Row<'_>| match order {
            Order::Name => 0.0,
            Order::Coherence => row.source.kernels().0.read(1.0).coherence,
            Order::Evidence => row.source.kernels().0.read(1.0).evidence,
            Order::Last => row.source.heard_us() as f64,
            Order::Burst => row.source.burst(now.0),
        };
        if order != Order::Name {
            rows.sort_by_cached_key(|row| std::cmp::Reverse(Sortable(key(row))));
        }
        let (mut out, mut bytes, mut shown) = (String::new(), 0, skip);
        let mut items = Vec::new();
        for row in rows.iter().skip(skip).take(limit) {
            let mut item = String::with_capacity(512);
            object(&mut item, |object| {
                say::row(object, row, now.0, &self.settings.arcs)
            });
            bytes += item.len();
            items.push(item);
            shown += 1;
            if bytes > TABLE_BYTES {
                break;
            }
        }
        object(&mut out, |object| {
            object.array("items", &items, |item, out| out.push_str(item));
            object
                .count("total", rows.len() as u64)
                .flag("more", shown < rows.len());
            object.text("next", &shown.to_string());
        });
        out
    }

    fn source(&self, name: &str, now: Stamp) -> Result<String, Refusal> {
        let row = self.engine.get(name).ok_or_else(|| not_held(name))?;
        let mut out = String::with_capacity(2048);
        object(&mut out, |object| {
            say::whole(object, &row, now.0, &self.settings.arcs);
            object.display("timestamp", now);
        });
        Ok(out)
    }

    /// Shows the node as metrics.
    pub(super) fn show(&self) {
        let metrics = &self.tools.metrics;
        let (conditions, overlays) = self.engine.census();
        let words = Condition::ALL
            .map(Condition::as_str)
            .into_iter()
            .chain(Overlay::ALL.map(Overlay::as_str));
        for (word, count) in words.zip(conditions.into_iter().chain(overlays)) {
            metrics.sources.with_label_values(&[word]).set(count as i64);
        }
        let (pooled, params) = self.engine.pooled();
        let master = pooled.master(params, pooled.at_us());
        metrics.t_abs.set(master.t.abs());
        metrics.phase.set(master.t.arg());
        metrics.delta.set(pooled.sync().delta_vector);
        metrics.order.set(self.engine.order().0.unwrap_or(0.0));
        for (place, layer) in super::witness::LAYERS.into_iter().enumerate() {
            let made = metrics.witnessed.with_label_values(&[layer]);
            made.inc_by(self.witness.made[place].saturating_sub(made.get()));
            let dropped = metrics.witness_dropped.with_label_values(&[layer]);
            dropped.inc_by(self.witness.dropped[place].saturating_sub(dropped.get()));
        }
    }

    /// What this node would tell another.
    pub(super) fn own_entry(&self) -> Entry {
        let (pooled, params) = self.engine.pooled();
        let reading = pooled.kernels().0.read(1.0);
        let events = pooled.counts().0;
        Entry {
            node: self.settings.node.clone(),
            incarnation: self.incarnation,
            seq: events,
            tau_us: params.master_tau_us,
            period_us: params.carrier.period_us(),
            epoch_us: params.carrier.epoch_us(),
            t_ref_us: pooled.at_us(),
            whole: pooled.kernels().0.whole,
            power: reading.power,
            squares: reading.squares,
            events,
        }
    }

    fn mesh_text(&self, now: Stamp) -> String {
        let mut mesh: Mesh = self.mesh.clone();
        // Its own entry is as good as any, unless there are as many nodes as may be.
        let _ = mesh.merge(self.own_entry());
        let global = mesh.read(now.0, |_| 1.0);
        let nodes = mesh.entries().count();
        let mut out = String::with_capacity(1024);
        object(&mut out, |object| {
            object
                .text("node", &self.settings.node)
                .count("nodes", nodes as u64);
            object.text("scale_mode", scale_mode(nodes));
            say::pair(object, "t", global.t);
            object
                .number("coherence", global.coherence)
                .number("mass", global.mass)
                .number("evidence_at_least", global.evidence_at_least)
                .number("cycles_at_least", global.cycles_at_least)
                .number("phase_spread", global.spread);
            object.array("peers", &global.nodes, |(node, t, share), out| {
                glint::json::object(out, |object| {
                    object.text("node", node).number("weight", *share);
                    say::pair(object, "t", *t);
                });
            });
            object.array("entries", mesh.entries(), |entry, out| {
                glint::json::object(out, |object| write_entry(object, entry));
            });
            object.display("timestamp", now);
        });
        out
    }
}

/// Names a mesh by its size.
fn scale_mode(nodes: usize) -> &'static str {
    match nodes {
        0 | 1 => "solo",
        2 => "pair",
        3..10 => "micro",
        10..100 => "nano",
        100..1000 => "mini",
        _ => "standard",
    }
}

/// Writes an entry of the mesh as it goes from node to node.
pub(super) fn write_entry(object: &mut Object<'_>, entry: &Entry) {
    object
        .text("node", &entry.node)
        .count("incarnation", entry.incarnation)
        .count("seq", entry.seq)
        .json("tau_us", &entry.tau_us.to_string())
        .json("period_us", &entry.period_us.to_string())
        .json("epoch_us", &entry.epoch_us.to_string())
        .json("t_ref_us", &entry.t_ref_us.to_string());
    say::pair(object, "A", entry.whole.vector);
    object
        .number("B", entry.whole.mass)
        .number("V", entry.power)
        .number("U", entry.squares)
        .count("n", entry.events);
}

/// The pooled kernels as numbers: nobody has judged them, so the tolerance is the floor.
fn kernel_numbers(
    master: &Reading,
    emissary: &Reading,
    office: &Coherence,
) -> ::coherence::Numbers {
    let sync = ::coherence::Sync::of(master.t, emissary.t);
    let period = office.settings.params.carrier.period_us() as f64;
    ::coherence::Numbers {
        master: *master,
        emissary: *emissary,
        sync,
        tolerance: office.settings.params.sync_floor,
        moved_us: (sync.delta_angle / std::f64::consts::TAU * period).round() as i64,
        ..::coherence::Numbers::default()
    }
}

pub(super) fn not_held(name: &str) -> Refusal {
    let detail = format!(
        "nothing is known of a source {name:?}: it was not heard, or was heard too long ago"
    );
    Refusal::new(RefusalKind::NotFound, "source_unknown", detail).on("source")
}

pub(super) fn list(key: &str, items: &[String]) -> String {
    let mut out =
        String::with_capacity(items.iter().map(|item| item.len() + 2).sum::<usize>() + 32);
    object(&mut out, |object| {
        object.array(key, items, |item, out| out.push_str(item));
    });
    out
}

/// A number that sorts; none of ours is NaN.
#[derive(PartialEq)]
struct Sortable(f64);

impl Eq for Sortable {}

impl PartialOrd for Sortable {
    fn partial_cmp(&self, other: &Sortable) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sortable {
    fn cmp(&self, other: &Sortable) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
