//! Keys of agents: made here, known at a broker.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use glint::json::{self, Value, object};
use ureq::{Body, http::Response};

use super::args::{KeysAt, KeysVerb};
use super::http::{agent, reason};
use super::out::{Out, note};
use crate::cli::EXIT_OK;
use crate::keyfile;

/// Where the token of administrators is.
const TOKEN: &str = "GLINTCAST__ADMIN__TOKEN";
/// Where a broker has its keys.
const KEYS: &str = "/api/v1/accord/public-keys";
/// The keys of a broker fit into this.
const LIST_MAX_BYTES: u64 = 64 << 20;

/// Does what a verb says.
pub(super) fn run(verb: &KeysVerb) -> Result<u8> {
    match verb {
        KeysVerb::New { file } => new(file),
        KeysVerb::Enrol { at, .. } => tell(at, KEYS, &enrolment(verb)?),
        KeysVerb::Revoke { id, reason, at } => {
            let path = format!("{KEYS}/{}/revoke", escaped(id));
            let mut body = String::new();
            object(&mut body, |object| {
                object.text("reason", reason);
            });
            tell(at, &path, &body)
        }
        KeysVerb::List { at } => list(at),
    }
}

fn new(file: &Path) -> Result<u8> {
    let public = keyfile::make(file)?.public();
    note(format_args!(
        "the private key is in {}; keep it there",
        file.display()
    ));
    let mut line = String::new();
    object(&mut line, |object| {
        object
            .text("public_key_base64", &public.to_base64())
            .text("agent_id_hash", &public.agent_id_hash());
    });
    let mut out = Out::new();
    out.line(line)?;
    out.flush()?;
    Ok(EXIT_OK)
}

fn enrolment(verb: &KeysVerb) -> Result<String> {
    let KeysVerb::Enrol {
        id,
        key,
        public,
        agent,
        description,
        expires,
        ..
    } = verb
    else {
        bail!("only enrol has an enrolment");
    };
    let public = match (key, public) {
        (Some(file), _) => keyfile::load(file)?.public().to_base64(),
        (None, Some(public)) => public.clone(),
        (None, None) => bail!("give --key or --public"),
    };
    let mut body = String::new();
    object(&mut body, |object| {
        object.text("key_id", id).text("public_key_base64", &public);
        let optional = [
            ("agent_id_hash", agent),
            ("description", description),
            ("expires_at", expires),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                object.text(name, value);
            }
        }
    });
    Ok(body)
}

fn tell(at: &KeysAt, path: &str, body: &str) -> Result<u8> {
    let mut request = agent()
        .post(at.to.join(path))
        .header("content-type", "application/json");
    if let Some(token) = std::env::var_os(TOKEN) {
        let token = token
            .to_str()
            .with_context(|| format!("{TOKEN} is not UTF-8"))?;
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let answer = request.send(body);
    let answer = answer.map_err(|err| anyhow::anyhow!("{}", at.to.explain(&err)))?;
    print(&said(answer)?)
}

fn list(at: &KeysAt) -> Result<u8> {
    let answer = agent().get(at.to.join(KEYS)).call();
    let answer = answer.map_err(|err| anyhow::anyhow!("{}", at.to.explain(&err)))?;
    let text = said(answer)?;
    let value = json::parse(&text).context("the broker answered something that is no JSON")?;
    let mut out = Out::new();
    if let Some(Value::Array(keys)) = value.get("keys") {
        for key in keys {
            out.line(key.to_ascii())?;
        }
    }
    out.flush()?;
    Ok(EXIT_OK)
}

fn said(answer: Response<Body>) -> Result<String> {
    if !answer.status().is_success() {
        bail!("{}", reason(answer));
    }
    let mut body = answer.into_body();
    let limited = body.with_config().limit(LIST_MAX_BYTES);
    limited.read_to_string().context("the answer broke off")
}

fn print(text: &str) -> Result<u8> {
    let mut out = Out::new();
    out.line(text)?;
    out.flush()?;
    Ok(EXIT_OK)
}

/// A key id as one segment of a path.
fn escaped(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_one_segment_of_a_path() {
        assert_eq!(escaped("agent-a"), "agent-a");
        assert_eq!(escaped("a/b c%é"), "a%2Fb%20c%25%C3%A9");
    }
}
