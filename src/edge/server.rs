//! Listens, and makes the application of each worker.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use actix_web_lab::middleware::CatchPanic;
use actors::hub::Enrol;
use actors::shard::{self, Shard};
use actors::warden::Warden;

use super::desk::{Desk, Worker};
use super::{cors, routes};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// Connections of one worker beyond its streams: publishers, dashboards that poll.
const SPARE_CONNECTIONS: usize = 10_000;
/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a connection without a request is closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Bytes that one stream may have buffered in its connection; a burst would otherwise leave 46 KiB behind for each.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// What the server runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Worker threads.
    pub workers: usize,
    /// What each shard runs on; its worker number is filled in.
    pub shard: shard::Settings,
    /// Time that ordinary requests get at the end.
    pub stop_grace: Duration,
}

/// Starts workers on `listener`.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn start(
    listener: TcpListener,
    settings: &Settings,
    desk: Arc<Desk>,
    warden: Warden,
) -> std::io::Result<Server> {
    let next_worker = Arc::new(AtomicU64::new(0));
    let shard = settings.shard;
    let connections = shard.streams_max + SPARE_CONNECTIONS;
    let server = HttpServer::new(move || {
        let number = next_worker.fetch_add(1, Ordering::Relaxed);
        let worker = hire(
            shard::Settings {
                worker: number,
                ..shard
            },
            &desk,
            &warden,
        );
        App::new()
            .app_data(worker)
            .wrap(from_fn(cors::allow))
            .wrap(NormalizePath::new(TrailingSlash::MergeOnly))
            .wrap(CatchPanic::default())
            .configure(routes::configure)
            .default_service(web::to(|| async {
                HttpResponse::new(StatusCode::NOT_FOUND)
            }))
    })
    .workers(settings.workers)
    .backlog(BACKLOG)
    .max_connections(connections)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .h1_allow_half_closed(false)
    .h1_write_buffer_size(WRITE_BUFFER_BYTES)
    .tcp_nodelay(true)
    .shutdown_timeout(settings.stop_grace.as_secs().max(1))
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

/// Starts the shard of this thread and reports it for work.
fn hire(settings: shard::Settings, desk: &Arc<Desk>, warden: &Warden) -> Worker {
    let (clock, tail, state) = (desk.clock.clone(), desk.tail.clone(), desk.state.clone());
    let tripwire = warden.tripwire("shard");
    let (handle, bell, shard) =
        Shard::start_here(settings, clock, tail, state, &desk.metrics, tripwire);
    if let Err(err) = desk.hub.tell(Enrol { bell, shard }, 0) {
        tracing::error!(%err, "a worker could not enrol; its streams will stay silent");
    }
    Worker::new(desk.clone(), handle)
}
