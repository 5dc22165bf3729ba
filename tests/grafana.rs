//! Dashboards and alerts show what the broker measures: no panel is empty for a misspelt name, and nothing that the
//! broker counts of its own is shown nowhere.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::BTreeSet;

use support::{Broker, parse};

const DASHBOARD: &str = include_str!("../grafana/dashboards/glintcast.json");
const ALERTS: &str = include_str!("../grafana/alerts.rules.yml");

/// The names that begin with `prefix`, each without what Prometheus adds for a histogram.
fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with(prefix));
    words
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn measured() -> BTreeSet<String> {
    let answer = Broker::start().get("/metrics");
    let text = answer.text().to_owned();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    families
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_metric_that_is_shown_is_measured() {
    let measured = measured();
    // And it is JSON, or Grafana would show nothing at all.
    parse(DASHBOARD);
    for text in [DASHBOARD, ALERTS] {
        let mut shown = names(text, "glintcast_");
        shown.extend(names(text, "process_"));
        assert!(shown.len() > 3, "{shown:?}");
        let unknown: Vec<&String> = shown.difference(&measured).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn every_metric_of_the_broker_is_shown() {
    let shown = names(DASHBOARD, "glintcast_");
    let own = measured()
        .into_iter()
        .filter(|name| name.starts_with("glintcast_"));
    let missing: Vec<String> = own.filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "put them on the dashboard: {missing:?}");
}
