//! What one writes in an hour: a broadcast channel, and the streaming body of the HTTP library. It loses events for a
//! subscriber that does not keep up, and has neither history nor cursors.

use std::convert::Infallible;
use std::io::Write as _;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::stream;
use tokio::sync::broadcast::{self, Sender, error::RecvError};

/// Events that a subscriber may be behind.
const BEHIND: usize = 4096;

/// Serves until it is killed.
pub(crate) fn serve() -> anyhow::Result<()> {
    super::process::raise_open_files();
    let (sender, _) = broadcast::channel::<Bytes>(BEHIND);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(sender.clone()))
            .route("/stream", web::get().to(subscribe))
            .route("/glints", web::post().to(publish))
    })
    .workers(1)
    .max_connections(100_000)
    .tcp_nodelay(true)
    .listen(listener)?
    .run();
    Ok(actix_web::rt::System::new().block_on(server)?)
}

async fn subscribe(sender: Data<Sender<Bytes>>) -> HttpResponse {
    let events = stream::unfold(sender.subscribe(), |mut receiver| async {
        loop {
            match receiver.recv().await {
                Ok(event) => return Some((Ok::<_, Infallible>(event), receiver)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let greeting = stream::once(async { Ok(Bytes::from_static(b": hello\n\n")) });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(futures_util::StreamExt::chain(greeting, Box::pin(events)))
}

async fn publish(sender: Data<Sender<Bytes>>, body: Bytes) -> HttpResponse {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&body);
    event.extend_from_slice(b"\n\n");
    // Without a subscriber there is nobody to miss it.
    let _ = sender.send(event.into());
    HttpResponse::Ok().finish()
}
