//! From the body of an upload to its hits.

use actix_web::web::Bytes;
use glint::json::{JsonError, JsonFault};
use registry::{Base, Hit, read_document};

use super::parts;

/// What a file without a name is called.
const NAMELESS: &str = "krystal.json";

/// How a body is to be read.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// The content type, as it was sent.
    pub(super) content_type: String,
    /// Whether a body may be a document itself.
    pub(super) json: bool,
    /// Larger files are passed over.
    pub(super) file_max: usize,
    /// The origin of relative references.
    pub(super) base: Base,
}

/// What was in a body.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Files, those that were not read included.
    pub(super) files: usize,
    /// Files that were neither empty nor too large.
    pub(super) usable: usize,
    /// Files that are no JSON.
    pub(super) failed: usize,
    /// What is wrong with them.
    pub(super) errors: Vec<String>,
    /// What else there is to say.
    pub(super) notes: Vec<String>,
    /// The hits of all files.
    pub(super) hits: Vec<Hit>,
}

/// Reads a body.
///
/// # Errors
/// With the detail, if it is no multipart body where it should be one.
pub(super) fn read(body: &Bytes, manner: &Manner) -> Result<Batch, String> {
    let mut batch = Batch::default();
    let media_type = manner
        .content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if media_type.eq_ignore_ascii_case("multipart/form-data") {
        let boundary =
            parts::boundary(&manner.content_type).ok_or("Missing boundary in multipart.")?;
        for file in parts::files(body, &boundary)? {
            let name = if file.name.is_empty() {
                NAMELESS
            } else {
                &file.name
            };
            batch.note_type(name, file.media_type.as_deref());
            batch.take(name, file.body, manner);
        }
    } else if manner.json && media_type.eq_ignore_ascii_case("application/json") {
        batch.take("body", body, manner);
    }
    Ok(batch)
}

impl Batch {
    fn note_type(&mut self, name: &str, media_type: Option<&str>) {
        let silent = media_type.is_none_or(|media_type| {
            ["", "application/json", "application/octet-stream"]
                .iter()
                .any(|known| media_type.eq_ignore_ascii_case(known))
        });
        if !silent {
            let media_type = media_type.unwrap_or_default();
            self.notes.push(format!(
                "{name}: content type {media_type} is not JSON; it is read as JSON all the same"
            ));
        }
    }

    fn take(&mut self, name: &str, body: &[u8], manner: &Manner) {
        self.files += 1;
        let max = manner.file_max;
        if body.len() > max {
            self.notes.push(format!(
                "{name}: too large ({} bytes, the limit is {max})",
                body.len()
            ));
            self.notes.push(format!("{name}: skipped"));
            return;
        }
        if body.is_empty() {
            self.notes.push(format!("{name}: empty file"));
            self.notes.push(format!("{name}: skipped"));
            return;
        }
        self.usable += 1;
        match read_document(body, &manner.base) {
            Ok(hits) if self.hits.is_empty() => self.hits = hits,
            Ok(hits) => self.hits.extend(hits),
            Err(err) => {
                self.failed += 1;
                self.errors.push(format!("{name}: {}", fault(body, &err)));
            }
        }
    }
}

fn fault(body: &[u8], err: &JsonError) -> String {
    if err.fault == JsonFault::Utf8 {
        return format!("not valid UTF-8 (at byte {})", err.at);
    }
    let before = &body[..err.at.min(body.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    format!("invalid JSON ({} at line {line} col {column})", err.fault)
}
