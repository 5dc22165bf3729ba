//! The other side of a comparison: a broker, or a file with a URL a line.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use registry::Base as Origin;
use registry::reconcile::Index;
use registry::scan::hit;
use registry::seal::fingerprint;

use super::remote::{Remote, URLS};
use crate::cli::http::Base;

/// Where the other set of URLs is.
pub(super) enum Place {
    /// In a broker.
    Broker(Remote),
    /// In a file.
    File {
        path: PathBuf,
        /// Lines without a payload.
        skipped: usize,
    },
}

impl Place {
    pub(super) fn open(text: &str) -> Result<Place> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let base: Base = text
                .parse()
                .map_err(|err: String| anyhow::anyhow!("{text}: {err}"))?;
            return Ok(Place::Broker(Remote::new(&base)));
        }
        let path = PathBuf::from(text);
        Ok(Place::File { path, skipped: 0 })
    }

    pub(super) fn skipped(&self) -> usize {
        match self {
            Place::Broker(_) => 0,
            Place::File { skipped, .. } => *skipped,
        }
    }

    /// Reads all of it.
    pub(super) fn index(&mut self) -> Result<Index> {
        let mut keys: Vec<Arc<str>> = match self {
            Place::Broker(remote) => remote.all()?.into_iter().map(Arc::from).collect(),
            Place::File { path, skipped } => {
                let (keys, without) = read(path)?;
                *skipped = without;
                keys
            }
        };
        keys.sort_unstable();
        keys.dedup();
        Ok(Index::of(
            keys.into_iter().map(|key| (fingerprint(&key), key)),
        ))
    }

    /// Adds URLs.
    pub(super) fn add(&mut self, urls: &[String]) -> Result<()> {
        match self {
            Place::Broker(remote) => urls.chunks(URLS).try_for_each(|urls| remote.upload(urls)),
            Place::File { path, .. } => {
                let shown = path.display().to_string();
                let file = OpenOptions::new().create(true).append(true).open(&*path);
                let mut file = file.with_context(|| shown.clone())?;
                let mut lines = urls.join("\n");
                lines.push('\n');
                file.write_all(lines.as_bytes()).with_context(|| shown)
            }
        }
    }
}

/// Reads the keys of a file; one that is not there has none.
fn read(path: &PathBuf) -> Result<(Vec<Arc<str>>, usize)> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(err) => return Err(err).with_context(|| path.display().to_string()),
    };
    let origin = Origin::default();
    let (mut keys, mut skipped) = (Vec::new(), 0);
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| path.display().to_string())?;
        match hit(&line, &origin) {
            Some(hit) => keys.push(hit.key),
            None => skipped += usize::from(!line.trim().is_empty()),
        }
    }
    Ok((keys, skipped))
}
