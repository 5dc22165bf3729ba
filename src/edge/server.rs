//! Listens, and makes the application of each worker.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::{NormalizePath, TrailingSlash, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, web};
use actix_web_lab::middleware::CatchPanic;
use actors::hub::Enrol;
use actors::shard::{self, Shard};
use actors::warden::Warden;
use socket2::SockRef;

use super::desk::{Desk, Worker};
use super::transport::Transport;
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
/// Time for a client to close after the last answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that the system may hold unsent for one connection.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 32 * 1024;

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
) -> io::Result<Server> {
    let next_worker = Arc::new(AtomicU64::new(0));
    let (shard, stall) = (settings.shard, settings.shard.stall);
    let address = listener.local_addr()?;
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let service = move || {
        let number = next_worker.fetch_add(1, Ordering::Relaxed);
        let shard = shard::Settings {
            worker: number,
            ..shard
        };
        let app = app(hire(shard, &desk, &warden)).into_factory();
        let app = app.map_err(|err: actix_web::Error| err.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .h1_allow_half_closed(false)
            .h1_write_buffer_size(WRITE_BUFFER_BYTES)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|transport: &Transport, data| {
                data.insert(transport.berth());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let accept = fn_service(move |socket: TcpStream| async move {
            let peer = socket.peer_addr().ok();
            if let Err(err) = prepare(&socket, stall) {
                tracing::debug!(%err, "a socket that is gone already");
            }
            Ok((Transport::new(socket), peer))
        });
        accept.and_then(http)
    };
    let server = builder
        .workers(settings.workers)
        .backlog(BACKLOG)
        .max_concurrent_connections(settings.shard.streams_max + SPARE_CONNECTIONS)
        .shutdown_timeout(settings.stop_grace.as_secs().max(1))
        .disable_signals()
        .listen("edge", listener, service)?;
    Ok(server.run())
}

/// Makes the application of a worker.
fn app(
    worker: Worker,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(worker)
        .wrap(from_fn(cors::allow))
        .wrap(NormalizePath::new(TrailingSlash::MergeOnly))
        .wrap(CatchPanic::default())
        .configure(routes::configure)
        .default_service(web::to(|| async {
            HttpResponse::new(StatusCode::NOT_FOUND)
        }))
}

/// Sets what the system does for a connection.
///
/// Events are small and wait for nothing. What a slow client has not taken waits in the lane that all share rather than in
/// megabytes of its own, and a client that takes nothing for too long is gone.
fn prepare(socket: &TcpStream, stall: Duration) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.set_tcp_user_timeout(Some(stall))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
    Ok(())
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
