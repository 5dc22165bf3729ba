//! What holds for every upload, with a slow model as the judge.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod model;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::Model;
use proptest::prelude::*;
use registry::reconcile::Search;
use registry::url::canonical;
use registry::{Base, Mode, Quota, Registry, read_document};
use serde_json::{Value, json};

/// A few small worlds of URLs that name each other, so that collisions are the rule.
fn payload() -> impl Strategy<Value = String> {
    let pulse = prop_oneof![
        6 => (-3..9_i32).prop_map(|pulse| pulse.to_string()),
        1 => prop::sample::select(vec![
            "null", "true", "1e3", "1.5", "\" 7.0 \"", "\"1_0\"", "\"x\"", "[]", "170141183460469231731687303715884105728",
        ]).prop_map(str::to_owned),
    ];
    let name = prop::sample::select(vec![
        "pulse",
        "u",
        "beat",
        "b",
        "stepIndex",
        "s",
        "step",
        "step_index",
    ]);
    let numbers = prop::collection::vec((name, pulse), 0..3);
    let links = prop::collection::vec(
        (
            prop::sample::select(vec!["originUrl", "parentUrl", "origin_url", "parent_url"]),
            link(1),
        ),
        0..3,
    );
    let other = prop::sample::select(vec![
        "",
        "\"c\":\"Root\"",
        "\"kaiSignature\":5",
        "\"phikey\":\"\"",
        "\"x\":{\"y\":[1,\"é\"]}",
        "\"x\":\"😀\"",
    ]);
    (numbers, links, other).prop_map(|(numbers, links, other)| {
        let mut members: Vec<String> = numbers
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        members.extend(
            links
                .into_iter()
                .map(|(name, link)| format!("\"{name}\":{}", Value::from(link))),
        );
        if !other.is_empty() {
            members.push(other.to_owned());
        }
        format!("{{{}}}", members.join(","))
    })
}

fn token(json: String, kind: u8) -> String {
    match kind {
        0 => URL_SAFE_NO_PAD.encode(json),
        1 => STANDARD.encode(json),
        2 => format!("c:{}", URL_SAFE_NO_PAD.encode(json)),
        3 => percent(&json),
        4 => percent(&percent(&STANDARD.encode(json))),
        _ => json,
    }
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn plain() -> impl Strategy<Value = String> {
    (0..4_u8, -1..4_i32).prop_map(|(name, pulse)| {
        let token = URL_SAFE_NO_PAD.encode(format!("{{\"pulse\":{pulse}}}"));
        format!("https://peer.example/s/{name}?p={token}")
    })
}

/// What links and chains name.
fn link(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        6 => plain(),
        1 => prop::sample::select(vec![
            "", "  ", "https://peer.example/s/none", "/p~eyJwdWxzZSI6N30", "HTTPS://Peer.Example/s/0?p=eyJwdWxzZSI6MH0",
            "eyJwdWxzZSI6MTEsIm4iOjF9", "s//x?p=eyJwdWxzZSI6N30",
        ]).prop_map(str::to_owned),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    prop_oneof![3 => leaf, 1 => chained(depth - 1)].boxed()
}

fn chained(depth: u32) -> impl Strategy<Value = String> {
    let member = (link(depth), 0..3_u8)
        .prop_map(|(link, escapes)| (0..escapes).fold(link, |link, _| percent_reserved(&link)));
    (
        plain(),
        prop::collection::vec(member, 1..4),
        prop::bool::ANY,
    )
        .prop_map(|(leaf, members, in_query)| {
            let adds: Vec<String> = members
                .iter()
                .map(|member| format!("add={member}"))
                .collect();
            format!(
                "{leaf}{}{}",
                if in_query { '&' } else { '#' },
                adds.join("&")
            )
        })
}

fn percent_reserved(text: &str) -> String {
    let escape = |ch: char| {
        if ":/?#&=%+".contains(ch) {
            format!("%{:02X}", ch as u32)
        } else {
            ch.to_string()
        }
    };
    text.chars().map(escape).collect()
}

/// Everything that could be a string of a batch. No malformed authorities: the model does not know them.
fn text() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec![
        "https://peer.example",
        "HTTPS://U:P@Peer.Example:443",
        "http://h",
        "//h",
        "",
        "ftp:",
    ]);
    let path = prop::sample::select(vec![
        "/s/a",
        "/s/b/",
        "/a/../s//x",
        "/stream/p/",
        "/stream/p~",
        "/p~",
        "/stream/c/0123456789abcdef",
        "/stream/x",
        "s//./x",
        "/..//s/y",
        "http:/s/z",
        "",
    ]);
    let key = prop::sample::select(vec![
        "?p=",
        "?t=",
        "?x=1&root=",
        "?token=",
        "#p=",
        "##t=",
        "?#p=",
        "?p=zzzz&t=",
        "?%70=",
        "",
    ]);
    let tail = prop::sample::select(vec![
        "",
        "",
        "",
        "&",
        "#",
        "?",
        " ",
        "&p=",
        "&add=eyJwdWxzZSI6MTEsIm4iOjF9",
        "\t&a=%zz\n",
    ]);
    let carried = (host, path, key, payload(), 0..6_u8, tail);
    prop_oneof![
        4 => carried.prop_map(|(host, path, key, json, kind, tail)| format!("{host}{path}{key}{}{tail}", token(json, kind))),
        3 => chained(2),
        2 => plain(),
        1 => (payload(), 0..3_u8).prop_map(|(json, kind)| format!(" {}\u{1f}", token(json, kind))),
        1 => "[ -~]{0,30}".prop_map(|text| text.replace(['[', ']'], "")),
    ]
}

fn document() -> impl Strategy<Value = Value> {
    let item = prop_oneof![
        3 => text().prop_map(Value::String),
        1 => prop::collection::vec(text(), 0..3).prop_map(|texts| json!({"url": texts, "pulse": 3})),
    ];
    prop::collection::vec(item, 0..6).prop_map(Value::Array)
}

fn upload(registry: &mut Registry, document: &Value) -> (usize, usize) {
    let (base, _) = registry.rules();
    let hits = read_document(document.to_string().as_bytes(), base).unwrap();
    let delta = registry.merge(hits, &Quota::NONE).unwrap();
    registry.apply(&delta);
    (delta.total, delta.imported)
}

fn urls(registry: &Registry) -> Vec<String> {
    registry
        .snapshot()
        .list()
        .iter()
        .map(|entry| entry.url.to_string())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The same counts, the same order, the same links, upload after upload.
    #[test]
    fn uploads_do_what_the_wire_facts_say(documents in prop::collection::vec(document(), 1..5)) {
        let mut registry = Registry::new(Base::default(), Mode::Compatible);
        let mut model = Model::default();
        for document in &documents {
            let (total, imported) = upload(&mut registry, document);
            (model.total, model.imported) = (0, 0);
            model.upload(document);
            prop_assert_eq!((total, imported), (model.total, model.imported));
            prop_assert_eq!(urls(&registry), model.order());
            for (url, fields) in &model.entries {
                let entry = registry.get(url).unwrap();
                let links = [&entry.links.origin, &entry.links.parent].map(|link| Value::from(link.as_deref()));
                prop_assert_eq!(links, [fields["originUrl"].clone(), fields["parentUrl"].clone()], "{}", url);
                prop_assert_eq!([entry.rank.pulse, entry.rank.beat, entry.rank.step], model.rank(url));
            }
        }
    }

    /// Merging the hits that had an effect once more, in their order, gives the same registry: they can be a log.
    #[test]
    fn what_had_an_effect_is_enough(documents in prop::collection::vec(document(), 1..5), closure: bool) {
        let mode = if closure { Mode::Closure } else { Mode::Compatible };
        let mut registry = Registry::new(Base::default(), mode);
        let mut again = Registry::new(Base::default(), mode);
        for document in &documents {
            let hits = read_document(document.to_string().as_bytes(), &Base::default()).unwrap();
            let delta = registry.merge(hits, &Quota::NONE).unwrap();
            prop_assert_eq!(delta.is_empty(), delta.effective.is_empty());
            registry.apply(&delta);
            let kept = Value::from(delta.effective.iter().map(|url| url.to_string()).collect::<Vec<_>>());
            upload(&mut again, &kept);
            prop_assert_eq!(again.sum(), registry.sum());
            let (one, other) = (again.snapshot(), registry.snapshot());
            prop_assert_eq!(one.list().iter().collect::<Vec<_>>(), other.list().iter().collect::<Vec<_>>());
        }
    }

    /// Kept URLs and links are the whole state.
    #[test]
    fn a_registry_is_restored_from_urls_and_links(documents in prop::collection::vec(document(), 1..4)) {
        let mut registry = Registry::new(Base::default(), Mode::Compatible);
        for document in &documents {
            upload(&mut registry, document);
        }
        let now = registry.snapshot();
        let kept = now.list().iter().map(|entry| (entry.url.clone(), entry.links.clone()));
        let restored = Registry::restore(Base::default(), Mode::Compatible, kept).unwrap();
        let again = restored.snapshot();
        prop_assert_eq!(again.seal(), now.seal());
        prop_assert_eq!((again.sum(), again.latest_pulse(), again.url_bytes()), (now.sum(), now.latest_pulse(), now.url_bytes()));
    }

    /// With closure the order of uploads does not matter, nor how they are cut, nor that some come twice.
    #[test]
    fn closure_does_not_depend_on_order(documents in prop::collection::vec(document(), 1..5)) {
        let mut one = Registry::new(Base::default(), Mode::Closure);
        let mut other = Registry::new(Base::default(), Mode::Closure);
        for document in &documents {
            upload(&mut one, document);
        }
        for document in documents.iter().rev() {
            for item in document.as_array().unwrap().iter().rev() {
                upload(&mut other, item);
            }
            upload(&mut other, document);
        }
        prop_assert_eq!(one.snapshot().seal(), other.snapshot().seal());
        let links = |registry: &Registry| -> Vec<_> {
            registry.snapshot().list().iter().map(|entry| entry.links.clone()).collect()
        };
        prop_assert_eq!(links(&one), links(&other));
    }

    /// A canonical URL is canonical, but where dropping an empty query or fragment bared white space.
    #[test]
    fn canonical_urls_stay_what_they_are(text in prop_oneof![text(), any::<String>(), "[a-z]{0,5}:?[/?#@:%.\\[\\] a-z]{0,20}"]) {
        let base = Base::default();
        if let Ok(Some(url)) = canonical(&text, &base) && !url.ends_with(|ch: char| ch.is_whitespace() || ch < ' ') {
            prop_assert_eq!(canonical(&url, &base), Ok(Some(url)));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Two registries learn exactly what each of them lacks.
    #[test]
    fn a_search_finds_the_whole_difference(
        common in 0..3000_usize,
        ours in prop::collection::btree_set(10_000..20_000_usize, 0..40),
        theirs in prop::collection::btree_set(20_000..30_000_usize, 0..40),
    ) {
        let url = |number: usize| {
            let token = URL_SAFE_NO_PAD.encode(format!("{{\"pulse\":{number}}}"));
            format!("https://peer.example/s/{number}?p={token}")
        };
        let make = |own: &std::collections::BTreeSet<usize>| {
            let mut registry = Registry::new(Base::default(), Mode::Compatible);
            let all: Vec<String> = (0..common).chain(own.iter().copied()).map(url).collect();
            upload(&mut registry, &Value::from(all));
            registry.snapshot()
        };
        let (here, there) = (make(&ours), make(&theirs));
        let mut search = Search::new(here.index());
        let mut asked = 0;
        loop {
            let ranges = search.ask(64);
            if ranges.is_empty() {
                break;
            }
            asked += ranges.len();
            for range in &ranges {
                if let Some(answer) = there.index().answer(range) {
                    search.hear(&answer);
                }
            }
        }
        let found = |found: &[u128], index: &registry::reconcile::Index| {
            let mut urls: Vec<String> = found.iter().map(|known| index.url(*known).unwrap().to_string()).collect();
            urls.sort();
            urls
        };
        let expected = |own: std::collections::BTreeSet<usize>| {
            let mut urls: Vec<String> = own.into_iter().map(url).collect();
            urls.sort();
            urls
        };
        let difference = ours.len() + theirs.len();
        prop_assert_eq!(found(&search.surplus, here.index()), expected(ours));
        prop_assert_eq!(found(&search.lacking, there.index()), expected(theirs));
        prop_assert!(asked <= 1 + difference * 4, "{} ranges asked for a difference of {}", asked, difference);
    }
}
