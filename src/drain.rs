//! Leaving in good order.
//!
//! 1. `/readyz` says 503, so that nobody new is sent here.
//! 2. The emitter refuses glints from outside; what it took before is out already.
//! 3. Streams end, spread over a time, each with a farewell and its own time to come back.
//! 4. Sinks write what there is, as far as the grace allows; the log has the rest.
//! 5. Ordinary requests finish, and the server stops.
//!
//! A second signal ends the process at once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actors::emitter::Close;
use actors::hub::DrainAll;
use actors::sigils::Save;

use crate::edge::desk::Desk;

/// Share of the grace between saying that we leave and leaving, for load balancers to notice.
const NOTICE_SHARE: u32 = 10;
/// Share of the grace over which farewells are spread.
const SPREAD_SHARE: u32 = 4;

/// Lets everybody go. Returns how many streams had to be cut off.
pub async fn run(desk: &Desk, server: &ServerHandle, grace: Duration) -> u64 {
    tracing::info!(grace_seconds = grace.as_secs(), "stopping");
    let deadline = desk.clock.instant() + grace;
    desk.draining.store(true, Ordering::Release);
    tokio::time::sleep(grace / NOTICE_SHARE).await;
    if let Err(err) = desk.emitter.ask(Close, 0).await {
        tracing::warn!(%err, "the emitter did not hear that it is closed");
    }
    let left = deadline.saturating_duration_since(desk.clock.instant());
    // The rest of the grace is for the server's own end.
    let drain = DrainAll {
        spread: grace / SPREAD_SHARE,
        grace: left.mul_f64(0.75),
    };
    let cut_off = tokio::time::timeout_at(deadline, desk.hub.ask(drain, 0)).await;
    let cut_off = match cut_off {
        Ok(Ok(cut_off)) => cut_off,
        _ => desk.metrics.open_streams(),
    };
    if tokio::time::timeout_at(deadline, desk.sinks.finish())
        .await
        .is_err()
    {
        tracing::warn!(
            "a sink took longer than the grace; it goes on from the log at the next start"
        );
    }
    let is_graceful = cut_off == 0;
    // The log has it; with it in the vault the next start has less to read.
    if let Err(err) = desk.sigils.post.ask(Save, 0).await {
        tracing::warn!(%err, "the registry was not put into the vault");
    }
    if tokio::time::timeout_at(deadline, server.stop(is_graceful))
        .await
        .is_err()
    {
        tracing::warn!("the server took longer than the grace");
    }
    cut_off
}
