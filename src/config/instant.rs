//! What a breath counts from, as settings write it.

use glint::Stamp;
use glint::phase::Anchor;
use thiserror::Error;

/// Neither a known word nor an instant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(r#"write "start-hour", "midnight" or an instant such as "2026-01-01T06:00:00Z""#)]
pub(super) struct BadAnchor;

/// Reads what a breath counts from.
pub(super) fn anchor(text: &str) -> Result<Anchor, BadAnchor> {
    match text {
        "start-hour" => Ok(Anchor::StartHour),
        "midnight" => Ok(Anchor::Midnight),
        _ => text
            .parse::<Stamp>()
            .map(Anchor::Fixed)
            .map_err(|_| BadAnchor),
    }
}
