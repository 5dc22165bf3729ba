//! One run, from its first word to its last.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use glint::json::object;
use glint::{RefusalKind, Zone};
use rites::rule::Action;
use rites::{Firing, template};

use super::board::Step;
use super::hands::{Done, Job, Order};
use super::{Partners, say};
use crate::emitter::{Commit, Entry};
use crate::phase::{Notice, Set};
use crate::puller::{Pull, Puller};

/// Longest wait before another attempt.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
/// How often an emitter that is full is asked again.
const COMMIT_TRIES: u32 = 20;
const COMMIT_WAIT: Duration = Duration::from_millis(250);
/// Events of an archive that are read at once.
const PAGE: usize = 1024;
/// Longest text of the environment: the system takes 128 KiB.
const MAX_CONTEXT_BYTES: usize = 64 << 10;
/// Most bytes of an archive.
const MAX_ARCHIVE_BYTES: usize = 256 << 20;

/// What a run works with.
pub(super) struct Tools {
    pub(super) partners: Partners,
    pub(super) zone: Zone,
}

/// Does what a firing says, and tells whether that it ended was said, and is kept.
pub(super) async fn run(tools: Tools, firing: Firing, announced: bool) -> bool {
    let clock = tools.partners.clock.clone();
    let started = clock.instant();
    tools.partners.board.started(&firing, clock.now());
    if !announced {
        let begins = vec![
            say::triggered(&firing, tools.zone),
            say::status(&firing, "active", 0.0, &[], 0),
        ];
        if !tools.commit(begins).await {
            tools.partners.board.given_up(&firing);
            return false;
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut glints: Vec<Entry> = Vec::new();
    let count = firing.rule.actions.len();
    for (nth, action) in firing.rule.actions.iter().enumerate() {
        let began = clock.instant();
        let (done, attempts) = tools.act(action, nth, &firing, &mut glints).await;
        let ok = done.ok;
        steps.push(Step {
            action: action.kind(),
            done,
            attempts,
            millis: millis(clock.instant().duration_since(began)),
        });
        if !ok {
            break;
        }
        // Between two actions only: the last word says the rest.
        if nth + 1 < count {
            let progress = (nth + 1) as f64 / count as f64;
            let elapsed = millis(clock.instant().duration_since(started));
            tools
                .commit(vec![say::status(
                    &firing, "active", progress, &steps, elapsed,
                )])
                .await;
        }
    }
    let ok = steps.iter().all(|step| step.done.ok);
    let elapsed = millis(clock.instant().duration_since(started));
    if !ok {
        glints.clear();
    }
    let status = if ok { "completed" } else { "failed" };
    glints.push(say::status(&firing, status, 1.0, &steps, elapsed));
    let said = tools.commit(glints).await;
    tools
        .partners
        .board
        .ended(&firing, ok, steps, elapsed, clock.now());
    said
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Tools {
    /// Has entries kept, all or none. An emitter that is full is asked again.
    async fn commit(&self, entries: Vec<Entry>) -> bool {
        for _ in 0..COMMIT_TRIES {
            let commit = Commit {
                entries: entries.clone(),
            };
            let weight = commit.weight_bytes();
            match self.partners.emitter.ask(commit, weight).await {
                Ok(Ok(_)) => return true,
                Ok(Err(err)) | Err(err) if err.kind == RefusalKind::Busy => {
                    tracing::debug!(%err, "what a ritual says must wait");
                    tokio::time::sleep(COMMIT_WAIT).await;
                }
                Ok(Err(err)) | Err(err) => {
                    tracing::warn!(%err, "what a ritual says is not kept");
                    return false;
                }
            }
        }
        false
    }

    /// Does one action, and tells after how many attempts.
    async fn act(
        &self,
        action: &Action,
        nth: usize,
        firing: &Firing,
        glints: &mut Vec<Entry>,
    ) -> (Done, u32) {
        match action {
            Action::Emit(emit) => {
                glints.push(say::glint(firing, emit, nth));
                (Done::well("posted with the end of the run"), 1)
            }
            Action::Throttle { module, seconds } => {
                let until = self
                    .partners
                    .clock
                    .now()
                    .plus_micros(*seconds as i64 * 1_000_000);
                self.partners
                    .throttles
                    .set(&firing.rule.name, module, until);
                (Done::well(format!("{module} waits until {until}")), 1)
            }
            Action::Set {
                climate,
                caesura,
                quiet_ms,
            } => {
                let set = Set {
                    climate: *climate,
                    quiet: quiet_ms.map(|ms| (firing.state.phase, Duration::from_millis(ms))),
                    ..Set::default()
                };
                (self.set(set, caesura.as_deref(), firing), 1)
            }
            Action::Webhook { url } => {
                let mut body = String::new();
                object(&mut body, |body| {
                    body.text("key", &firing.key)
                        .text("rule", &firing.rule.name);
                    body.display("time", firing.stamp);
                    body.object("context", |context| say::context(context, firing));
                });
                self.attempts(
                    Job::Webhook {
                        url: url.to_string(),
                        body,
                    },
                    firing,
                )
                .await
            }
            Action::Command { program, args } => {
                let job = Job::Command {
                    program: program.to_string(),
                    args: args.iter().map(|arg| template::fill(arg, firing)).collect(),
                    environment: environment(firing),
                };
                self.attempts(job, firing).await
            }
            Action::Archive { last } => match self.lines(*last, firing) {
                Ok(lines) => {
                    let name = format!("{}-{}.ndjson", firing.rule.name, firing.key);
                    self.attempts(Job::Archive { name, lines }, firing).await
                }
                Err(done) => (done, 1),
            },
        }
    }

    fn set(&self, set: Set, caesura: Option<&str>, firing: &Firing) -> Done {
        let phase = &self.partners.phase;
        let told = phase.tell(set, size_of::<Set>());
        let told = told.and_then(|()| {
            let Some(message) = caesura else {
                return Ok(());
            };
            let message = template::fill(message, firing);
            let weight = message.len();
            phase.tell(Notice::Caesura(message), weight)
        });
        match told {
            Ok(()) => Done::well(""),
            Err(err) => Done::failed(err),
        }
    }

    /// The events up to the trigger, as `glintcast replay` prints them.
    fn lines(&self, last: u64, firing: &Firing) -> Result<Vec<String>, Done> {
        let until = firing
            .offset
            .unwrap_or_else(|| self.partners.tail.head())
            .seq;
        let mut puller = Puller::new(self.partners.tail.clone(), until.saturating_sub(last));
        let (mut lines, mut bytes) = (Vec::new(), 0);
        while puller.position() < until && bytes < MAX_ARCHIVE_BYTES {
            match puller.pull(PAGE) {
                Ok(Pull::Events(events)) => {
                    let wanted = events
                        .iter()
                        .filter(|event| event.offset.seq <= until && event.topic().is_public());
                    for event in wanted {
                        let line = wire::plain(event);
                        bytes += line.len();
                        lines.push(line);
                    }
                }
                Ok(Pull::Gone { .. }) => {}
                Ok(Pull::Head) => break,
                Err(err) => return Err(Done::failed(err)),
            }
        }
        Ok(lines)
    }

    /// Tries as often as the rule says, each time after twice the wait, with jitter so that many do not come at once.
    async fn attempts(&self, job: Job, firing: &Firing) -> (Done, u32) {
        let rule = &firing.rule;
        let order = Order {
            job,
            key: firing.key.to_string(),
            timeout: Duration::from_millis(rule.timeout_ms),
        };
        let mut wait = Duration::from_millis(rule.retry.backoff_ms);
        for attempt in 1.. {
            let done = self.partners.hands.attempt(order.clone()).await;
            if done.ok || !done.retry || attempt > rule.retry.times {
                return (done, attempt);
            }
            tracing::info!(rule = %rule.name, attempt, reason = %done.reason, "a ritual is tried again");
            let jitter = (RandomState::new().hash_one(attempt) % 512) as f64 / 1024.0;
            tokio::time::sleep(wait.mul_f64(0.75 + jitter)).await;
            wait = (wait * 2).min(MAX_BACKOFF);
        }
        (Done::never("no attempt was made"), 0)
    }
}

/// What existing ritual scripts read.
fn environment(firing: &Firing) -> Vec<(&'static str, String)> {
    let mut context = String::new();
    object(&mut context, |context| say::context(context, firing));
    if context.len() > MAX_CONTEXT_BYTES {
        // A longer one would keep the command from starting.
        context.clear();
        object(&mut context, |context| {
            context.text("trigger", &firing.trigger).flag("cut", true);
        });
    }
    vec![
        ("SPIRAL_PHASE", firing.state.phase.as_str().to_owned()),
        ("SPIRAL_CLIMATE", firing.state.climate.as_str().to_owned()),
        ("SPIRAL_USAGE", firing.state.usage.to_string()),
        ("SPIRAL_TRIGGER", firing.trigger.to_string()),
        ("SPIRAL_CONTEXT", context),
        ("GLINTCAST_RITUAL", firing.rule.name.to_string()),
        ("GLINTCAST_KEY", firing.key.to_string()),
    ]
}
