//! Recorded glints: too large and too personal to be part of the project, so a machine may have them or not.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The directory that `GLINTCAST_FIXTURES` names. Without it `what` is skipped, and says so past the capture of the
/// test harness, so that a green run never looks like more than it is.
pub fn directory(what: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("GLINTCAST_FIXTURES") else {
        let note =
            format!("SKIPPED {what}: GLINTCAST_FIXTURES names no directory with corpora/*.jsonl\n");
        let _ = std::io::stderr().write_all(note.as_bytes());
        return None;
    };
    Some(PathBuf::from(directory))
}

/// The recorded glints of that directory, sorted by name.
pub fn corpora(directory: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(directory.join("corpora")).expect("corpora");
    let mut files: Vec<PathBuf> = listing
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpora in {}", directory.display());
    files
}
