//! Any bytes as an upload: never a panic, and the registry that comes of it agrees with itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::{Base, Mode, Quota, Registry, read_document};

fuzz_target!(|bytes: &[u8]| {
    let base = Base::default();
    let Ok(hits) = read_document(bytes, &base) else {
        return;
    };
    for mode in [Mode::Compatible, Mode::Closure] {
        let mut registry = Registry::new(base.clone(), mode);
        let delta = registry.merge(hits.clone(), &Quota::NONE).expect("no quota");
        registry.apply(&delta);
        let now = registry.snapshot();
        let kept = now.list().iter().map(|entry| (entry.url.clone(), entry.links.clone()));
        let restored = Registry::restore(base.clone(), mode, kept).expect("what was kept comes back");
        assert_eq!(restored.snapshot().seal(), now.seal());
        assert_eq!(restored.sum(), registry.sum());
        let mut state = String::new();
        registry::render::state(&now, &base, &mut state);
        serde_json::from_str::<serde_json::Value>(&state).map_or_else(
            |err| assert!(err.to_string().contains("recursion"), "{err}: {state}"),
            drop,
        );
    }
});
