#[macro_use]
mod house;

use ::coherence::{Contract, Mode, Verdict};
use glint::json::{Value, parse};
use glint::{Draft, Name};
use uuid::Uuid;

use self::house::{House, START, changes, pass, pass_ms, settings};
use super::record::Verifier;
use super::*;
use crate::emitter::{Offer, Once, Tray};

timeless!(
    a_source_that_keeps_time_is_said_to_with_what_a_rule_needs,
    async {
        let house = House::new().await;
        house.beat("cron", 12, 6).await;
        house.settle().await;
        assert_eq!(house.state("cron").await, "coherent");
        let said = house.named(Name::CoherenceCollapse);
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].source.as_deref(), Some("cron"));
        assert_eq!(
            said[0].phase.as_deref(),
            Some("hold"),
            "a tenth of the cycle is in its second part"
        );
        let value = parse(&said[0].text).expect("JSON");
        for member in [
            "source",
            "change",
            "from",
            "to",
            "reason",
            "coherence",
            "evidence",
            "preferred_phase",
            "t_sync",
            "moved_seconds",
            "timestamp",
        ] {
            assert!(value.get(member).is_some(), "{member} of {}", said[0].text);
        }
        let cause = value.get("cause").and_then(Value::as_f64).expect("a cause") as u64;
        let glint = house
            .events()
            .into_iter()
            .find(|event| event.offset.seq == cause);
        assert_eq!(glint.expect("the glint").name, Name::GlintEmission);
        // One witness record a change, and the sums of each cycle.
        assert_eq!(changes(&house.named(Name::WitnessMacro)), ["collapse"]);
        assert!(house.named(Name::WitnessMeso).len() >= 20);
        assert!(house.named(Name::CoherenceUpdate).len() >= 10);
        let state = house
            .ask(Ask::Micro {
                since: 0,
                limit: 100,
            })
            .await;
        assert!(matches!(state.get("records"), Some(Value::Array(records)) if records.len() == 12));
    }
);

timeless!(
    the_gate_sets_apart_whoever_breaks_a_contract_and_lets_it_back,
    async {
        for (mode, name) in [
            (Mode::Observe, Name::GlintEmission),
            (Mode::Flag, Name::GlintEmission),
            (Mode::Quarantine, Name::GlintQuarantined),
            (Mode::Dissipate, Name::GlintDissipated),
        ] {
            let house = House::new().await;
            house.contract("cron", mode).await;
            house.beat("cron", 40, 6).await;
            house.beat("cron", 4, 36).await;
            house.settle().await;
            let seq = house.post("cron").await;
            let event = house
                .events()
                .into_iter()
                .find(|event| event.offset.seq == seq);
            assert_eq!(event.expect("kept").name, name, "{mode:?}");
            assert_eq!(house.state("cron").await, "incoherent");
            let other = house.post("another").await;
            let event = house
                .events()
                .into_iter()
                .find(|event| event.offset.seq == other);
            assert_eq!(
                event.expect("kept").name,
                Name::GlintEmission,
                "nobody else is touched"
            );
            house.beat("cron", 40, 6).await;
            house.settle().await;
            let seq = house.post("cron").await;
            let event = house
                .events()
                .into_iter()
                .find(|event| event.offset.seq == seq);
            assert_eq!(event.expect("kept").name, Name::GlintEmission, "{mode:?}");
            let said = house.named(Name::CoherenceQuarantine).len();
            assert_eq!(said, usize::from(mode == Mode::Quarantine));
        }
    }
);

timeless!(
    the_gate_judges_the_time_of_the_broker_and_never_the_senders,
    async {
        let house = House::new().await;
        for n in 0..40_u64 {
            // On time by its own clock, and anywhere by ours.
            let claimed = START.plus_micros(n as i64 * 60_000_000);
            let text = format!("{{\"source\": \"liar\", \"timestamp\": \"{claimed}\"}}");
            let draft = Draft::read(text.as_bytes(), 1024, Uuid::nil()).expect("a glint");
            let offer = Offer {
                drafts: vec![draft],
                once: Once::Content,
            };
            let tray = Tray::new(house.emitter.clone(), house.order.clone());
            let receipt = tray.offer(offer).await.expect("an emitter");
            receipt.expect("taken");
            pass(37 + (n * 17) % 41).await;
        }
        house.settle().await;
        assert_eq!(house.state("liar").await, "nascent");
        let whole = house.ask(Ask::Source("liar".into())).await;
        let coherence = whole
            .get("coherence")
            .and_then(Value::as_f64)
            .expect("a number");
        assert!(coherence < 0.5, "{coherence}");
    }
);

timeless!(
    a_flood_is_held_back_where_a_contract_says_so_and_only_there,
    async {
        let house = House::new().await;
        house.contract("flood", Mode::Flag).await;
        let mut refused = None;
        for _ in 0..2_000 {
            house.post("free").await;
            match house.try_post("flood").await {
                Ok(_) => {}
                Err(refusal) => {
                    refused = Some(refusal);
                    break;
                }
            }
            pass_ms(1).await;
        }
        let refusal = refused.expect("held back");
        assert_eq!(refusal.code, "source_bursting");
        let seconds = refusal.retry_after_seconds.expect("a time to come back");
        assert!((1..=60).contains(&seconds));
        house.settle().await;
        assert!(changes(&house.named(Name::CoherenceBurst)).contains(&"burst".to_owned()));
        pass(u64::from(seconds) + 5).await;
        house.post("flood").await;
    }
);

timeless!(
    a_person_decides_and_that_is_witnessed_before_it_is_said_to_be_done,
    async {
        let house = House::new().await;
        house.post("cron").await;
        house.settle().await;
        house.act(Act::Hold("cron".into())).await.expect("held");
        assert_eq!(changes(&house.named(Name::WitnessMacro)), ["quarantine"]);
        let held = [house.post("cron").await, house.post("cron").await];
        let quarantined: Vec<u64> = house
            .named(Name::GlintQuarantined)
            .iter()
            .map(|event| event.offset.seq)
            .collect();
        assert_eq!(quarantined, held);
        // Delivered once, as they came, and measured once.
        house.settle().await;
        let promote = || Act::Promote {
            after: 0,
            until: u64::MAX,
            source: Some("cron".into()),
        };
        let count = |value: Value<'_>| value.get("promoted").and_then(Value::as_f64);
        assert_eq!(
            count(house.act(promote()).await.expect("promoted")),
            Some(2.0)
        );
        assert_eq!(
            count(house.act(promote()).await.expect("promoted")),
            Some(0.0)
        );
        house.settle().await;
        let emitted = house.named(Name::GlintEmission);
        assert_eq!(emitted.len(), 3);
        assert_eq!(emitted[1].text, house.named(Name::GlintQuarantined)[0].text);
        let whole = house.ask(Ask::Source("cron".into())).await;
        assert_eq!(
            whole.get("events").map(Value::to_ascii).as_deref(),
            Some("3")
        );
        house
            .act(Act::Release("cron".into()))
            .await
            .expect("released");
        house.post("cron").await;
        assert_eq!(house.named(Name::GlintQuarantined).len(), 2);
        house.act(Act::Reset("cron".into())).await.expect("reset");
        let unknown = house
            .act(Act::Reset("nobody".into()))
            .await
            .expect_err("unknown");
        assert_eq!(unknown.code, "source_unknown");
    }
);

timeless!(
    the_memory_is_a_chain_and_what_it_holds_is_what_is_live,
    async {
        let house = House::new().await;
        house.beat("cron", 12, 6).await;
        house.beat("other", 3, 30).await;
        house.settle().await;
        let signatures = house.named(Name::MemorySignature);
        assert!(signatures.len() >= 14, "{}", signatures.len());
        let mut verifier = Verifier::default();
        for event in &signatures {
            verifier.check(event.offset.seq, &event.text);
        }
        assert_eq!(verifier.faults, []);
        // Any signature and the glints after it give what the newest one has.
        let mine = signatures
            .iter()
            .filter(|event| event.source.as_deref() == Some("cron"));
        let mine: Vec<_> = mine
            .filter_map(|event| record::Signature::of(&event.text))
            .collect();
        let newest = mine.last().expect("a signature");
        for signature in &mine {
            let mut state = signature.state;
            for event in house.named(Name::GlintEmission) {
                let later =
                    event.offset.seq > signature.through && event.offset.seq <= newest.through;
                if later && event.source.as_deref() == Some("cron") {
                    state.observe(&signature.params, event.stamp.0, 1.0);
                }
            }
            assert_eq!(state.to_bytes(), newest.state.to_bytes());
        }
    }
);

timeless!(
    a_restart_finds_everything_again_and_says_nothing_twice,
    async {
        let house = House::new().await;
        house.contract("cron", Mode::Quarantine).await;
        house.beat("cron", 12, 6).await;
        house.post("late").await;
        house.settle().await;
        house.act(Act::Hold("late".into())).await.expect("held");
        house.settle().await;
        let before = (
            house.named(Name::CoherenceCollapse).len(),
            changes(&house.named(Name::WitnessMacro)),
        );
        let live = house.ask(Ask::Source("cron".into())).await;
        // The office ends as a process does: what it had not saved is not there.
        let again = House::over(house.clock.clone(), house.tail.clone(), house.vault.clone()).await;
        pass(2).await;
        again.settle().await;
        let restored = again.ask(Ask::Source("cron".into())).await;
        for member in ["events", "state", "coherence", "evidence", "contract"] {
            let text = |value: &Value<'_>| value.get(member).map(Value::to_ascii);
            assert_eq!(text(&restored), text(&live), "{member}");
        }
        let after = (
            again.named(Name::CoherenceCollapse).len(),
            changes(&again.named(Name::WitnessMacro)),
        );
        assert_eq!(after, before);
        assert_eq!(
            again
                .gate
                .judge(Some("late"), again.clock.now())
                .expect("held")
                .verdict,
            Verdict::Quarantine
        );
    }
);

timeless!(
    what_time_brought_about_is_not_said_again_after_a_restart,
    async {
        let house = House::new().await;
        house.beat("cron", 12, 6).await;
        // Silent, then dormant, and long enough for other events to come after what was said of that.
        pass(60 * 60).await;
        house.beat("other", 3, 30).await;
        house.settle().await;
        let before = changes(&house.named(Name::WitnessMacro));
        assert_eq!(before, ["collapse", "silence", "release"]);
        let again = House::over(house.clock.clone(), house.tail.clone(), house.vault.clone()).await;
        pass(2).await;
        again.settle().await;
        assert_eq!(changes(&again.named(Name::WitnessMacro)), before);
    }
);

timeless!(an_engine_that_gives_up_opens_the_gate_and_says_so, async {
    let house = House::new().await;
    house.contract("cron", Mode::Dissipate).await;
    house.post("cron").await;
    house.settle().await;
    house.act(Act::Hold("cron".into())).await.expect("held");
    let now = house.clock.now();
    assert!(house.gate.judge(Some("cron"), now).is_some());
    house.addr.send(Sabotage).await.expect("an office");
    assert!(house.gate.judge(Some("cron"), now).is_none());
    let why = house.gate.open_since(now).expect("open");
    assert!(why.contains("gave up"), "{why}");
    let seq = house.post("cron").await;
    let event = house
        .events()
        .into_iter()
        .find(|event| event.offset.seq == seq);
    assert_eq!(event.expect("kept").name, Name::GlintEmission);
    let refusal = house
        .office
        .ask(Ask::Summary, 0)
        .await
        .expect("an office")
        .expect_err("down");
    assert_eq!(refusal.code, "coherence_failed");
    assert_eq!(house.metrics.gate_open.get(), 1);
});

timeless!(nodes_that_tell_each_other_come_to_the_same, async {
    let houses = [House::new().await, House::new().await, House::new().await];
    // Each sees a part of one stream.
    for n in 0..30_u64 {
        houses[n as usize % 3].post("shared").await;
        pass(7 + n % 5).await;
    }
    for house in &houses {
        house.settle().await;
    }
    let now = houses[0].clock.now();
    let mut texts = Vec::new();
    for (place, house) in houses.iter().enumerate() {
        let own = house.ask(Ask::Mesh).await;
        let Some(Value::Array(entries)) = own.get("entries") else {
            panic!("no entries");
        };
        let mut entry = entry_of(&entries[0]).expect("an entry");
        entry.node = format!("node{place}").into();
        texts.push(entry);
    }
    let mut said = Vec::new();
    for order in [[0, 1, 2], [2, 0, 1]] {
        let mut mesh = Mesh::new(settings(60_000_000).params, settings(60_000_000).mesh);
        for place in order {
            mesh.merge(texts[place].clone()).expect("merged");
            mesh.merge(texts[place].clone()).expect("merged again");
        }
        said.push(mesh.read(now.0, |_| 1.0));
    }
    assert!((said[0].t - said[1].t).abs() < 1e-12);
    let mut whole = ::coherence::Source::default();
    let mut params = settings(60_000_000).params;
    params.slots = 0;
    let mut times: Vec<i64> = houses
        .iter()
        .flat_map(|house| house.named(Name::GlintEmission))
        .map(|event| event.stamp.0)
        .collect();
    times.sort_unstable();
    for at in times {
        whole.observe(&params, at, 1.0);
    }
    assert!((said[0].t - whole.master(&params, now.0).t).abs() < 1e-12);
    // And over the office itself.
    let times = (now, now);
    let answer = houses[0]
        .act(Act::Exchange {
            entry: texts[1].clone(),
            times,
        })
        .await
        .expect("taken");
    assert_eq!(answer.get("merged").and_then(Value::as_str), Some("taken"));
    let again = houses[0]
        .act(Act::Exchange {
            entry: texts[1].clone(),
            times,
        })
        .await
        .expect("stale");
    assert_eq!(again.get("merged").and_then(Value::as_str), Some("stale"));
    let mut other = texts[2].clone();
    other.period_us = 1_000_000;
    let refusal = houses[0]
        .act(Act::Exchange {
            entry: other,
            times,
        })
        .await
        .expect_err("refused");
    assert_eq!(refusal.code, "kernels_differ");
});

timeless!(
    the_table_of_sources_is_bounded_and_can_be_read_in_pages,
    async {
        let house = House::new().await;
        for n in 0..130 {
            house.post(&format!("s{n:03}")).await;
        }
        house.settle().await;
        let ask = |skip| Ask::Sources {
            state: Some("nascent".into()),
            order: Order::Last,
            skip,
            limit: 60,
        };
        let page = house.ask(ask(0)).await;
        assert_eq!(
            page.get("total").map(Value::to_ascii).as_deref(),
            Some("100")
        );
        assert_eq!(page.get("more"), Some(&Value::Bool(true)));
        let rest = house.ask(ask(60)).await;
        assert!(matches!(rest.get("items"), Some(Value::Array(items)) if items.len() == 40));
        assert_eq!(rest.get("more"), Some(&Value::Bool(false)));
        let left = house.named(Name::MemorySignature);
        let evicted = left
            .iter()
            .filter(|event| event.text.contains("\"why\": \"evicted\""));
        assert_eq!(
            evicted.count(),
            10,
            "whoever goes leaves a signature, as many as a cycle may write"
        );
        assert_eq!(house.metrics.evictions.get(), 30);
    }
);

#[test]
fn contracts_are_read_and_what_is_wrong_is_named() {
    let read = |text: &str| contract_of(&parse(text).expect("JSON"));
    let locked =
        read(r#"{"expect": "locked", "arc": [0.9, 0.1], "mode": "flag"}"#).expect("a contract");
    assert_eq!(locked.mode, Mode::Flag);
    let periodic = read(r#"{"expect": "periodic", "period_us": 1000000}"#).expect("a contract");
    assert!(periodic.is_periodic());
    assert_eq!(read("{}").expect("a contract"), Contract::default());
    for (text, field) in [
        (r#"{"mode": "shout"}"#, "mode"),
        (r#"{"expect": "periodic"}"#, "period_us"),
        (r#"{"expect": "maybe"}"#, "expect"),
        (r#"{"expect": "locked", "arc": [1]}"#, "arc"),
        (r#"{"expect": "locked", "arc": [0, 7]}"#, "arc.to"),
        (r#"{"modus": "flag"}"#, "modus"),
        ("[]", "contract"),
    ] {
        let refusal = read(text).expect_err(text);
        assert_eq!(refusal.field.as_deref(), Some(field), "{text}");
    }
}
