//! What tests of rituals share: scripts in a directory, rules put in place, runs waited for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use glint::json::Value;

pub use super::dir::Dir;
use super::http::Answer;
use super::{Broker, eventually, parse, text_at};

/// Administration from this machine.
pub const OPEN: (&str, &str) = ("admin.open_on_loopback", "true");
/// What bodies are.
pub const JSON: &str = "application/json";

impl Dir {
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub fn script(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

pub fn put(broker: &Broker, path: &str, body: &str) -> Answer {
    broker.send("PUT", path, &[("Content-Type", JSON)], body.as_bytes())
}

pub fn set(broker: &Broker, path: &str, body: &str) {
    let answer = put(broker, path, body);
    assert_eq!(answer.status(), 200, "{path} {body}: {}", answer.text());
}

pub fn rules(broker: &Broker, text: &str) {
    let answer = broker.send("PUT", "/rituals/rules", &[], text.as_bytes());
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// The runs of a rule, newest first.
pub fn runs(broker: &Broker, rule: &str) -> Vec<Value<'static>> {
    let answer = broker
        .get(&format!("/rituals/runs?limit=500&rule={rule}"))
        .json();
    match answer.get("runs") {
        Some(Value::Array(runs)) => runs.clone(),
        other => panic!("no runs: {other:?}"),
    }
}

pub fn ended(broker: &Broker, rule: &str, count: usize) -> Vec<Value<'static>> {
    let mut found = Vec::new();
    eventually(&format!("{count} runs of {rule} end"), || {
        found = runs(broker, rule);
        let is_over = |run: &Value<'_>| matches!(text_at(run, &["status"]), "completed" | "failed");
        found.iter().filter(|run| is_over(run)).count() >= count
    });
    found
}

pub fn step<'v>(run: &'v Value<'_>) -> &'v Value<'static> {
    let Some(Value::Array(steps)) = run.get("steps") else {
        panic!("no steps in {}", run.to_ascii());
    };
    // Runs come from `parse`, which leaks.
    let step: &Value<'_> = &steps[0];
    Box::leak(Box::new(parse(&step.to_ascii())))
}

pub fn rule(name: &str, on: &str, more: &str, action: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\non = {on}\n{more}\naction = [{action}]\n\n")
}
