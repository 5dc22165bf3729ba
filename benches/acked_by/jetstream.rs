//! JetStream of `nats-server`, over as much of its protocol as it takes to publish and hear the acknowledgement
//! (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// A server that can be started.
pub(crate) struct Nats {
    program: String,
    /// Whether it can sync before it acknowledges.
    syncs: bool,
}

/// Looks for a server, and says what is there.
pub(crate) fn find() -> Option<Nats> {
    let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    let version = Blocking::new(&program).arg("--version").output().ok();
    let Some(version) = version.filter(|output| output.status.success()) else {
        println!("SKIPPED: JetStream, as there is no nats-server (apt-get install nats-server)");
        return None;
    };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let dir = crate::dir("nats").ok()?;
    let config = dir.join("test.conf");
    std::fs::write(&config, settings(0, &dir, true)).ok()?;
    let checked = Blocking::new(&program)
        .args(["-t", "-c"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let syncs = checked.is_ok_and(|status| status.success());
    let _ = std::fs::remove_dir_all(&dir);
    if syncs {
        println!("JetStream of {version}, sync_interval: always");
    } else {
        println!(
            "SKIPPED: JetStream in its honest mode, as {version} knows no sync_interval (2.10 does). \
             What is shown acknowledges before the disk has it"
        );
    }
    Some(Nats { program, syncs })
}

fn settings(port: u16, dir: &Path, syncs: bool) -> String {
    let sync = if syncs { "sync_interval: always" } else { "" };
    format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\"\n {sync} }}\n",
        dir.display()
    )
}

/// Acknowledged messages a second, as large as the glints of this bench, of one connection a publisher.
pub(crate) async fn acked(
    nats: &Nats,
    publishers: usize,
    batch: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    let dir = crate::dir("jetstream")?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = start(nats, port, &dir).await?;
    let mut control = Connection::open(port, 0).await?;
    let stream = r#"{"name":"bench","subjects":["bench"],"storage":"file","retention":"limits"}"#;
    let answer = control
        .ask("$JS.API.STREAM.CREATE.bench", stream, 1)
        .await?;
    ensure!(!answer.contains("\"error\""), "no stream: {answer}");
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for nth in 1..=publishers {
        tasks.spawn_local(async move {
            let (mut connection, glint) = (Connection::open(port, nth).await?, crate::glint());
            let mut acked = 0;
            while began.elapsed() < time {
                let answer = connection.ask("bench", &glint, batch).await?;
                ensure!(answer.contains("\"seq\""), "not acknowledged: {answer}");
                acked += batch;
            }
            anyhow::Ok(acked)
        });
    }
    let mut acked = 0;
    while let Some(ended) = tasks.join_next().await {
        acked += ended??;
    }
    let rate = acked as f64 / began.elapsed().as_secs_f64();
    server.kill().await?;
    let _ = std::fs::remove_dir_all(&dir);
    Ok(rate)
}

async fn start(nats: &Nats, port: u16, dir: &Path) -> anyhow::Result<Child> {
    let config = dir.join("server.conf");
    std::fs::write(&config, settings(port, dir, nats.syncs))?;
    let server = Command::new(&nats.program)
        .arg("-c")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(server);
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("nats-server does not listen")
}

/// A client with an inbox.
struct Connection {
    stream: BufReader<TcpStream>,
    inbox: String,
    line: String,
}

impl Connection {
    async fn open(port: u16, nth: usize) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream: BufReader::new(stream),
            inbox: format!("_INBOX.bench.{nth}"),
            line: String::new(),
        };
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {} 1\r\nPING\r\n",
            connection.inbox
        );
        connection.stream.write_all(hello.as_bytes()).await?;
        while connection.read_line().await? != "PONG" {}
        Ok(connection)
    }

    /// Publishes `times`, waits for as many answers, and returns the last of them.
    async fn ask(&mut self, subject: &str, payload: &str, times: usize) -> anyhow::Result<String> {
        let length = payload.len();
        let publish = format!("PUB {subject} {} {length}\r\n{payload}\r\n", self.inbox);
        self.stream
            .write_all(publish.repeat(times).as_bytes())
            .await?;
        let mut answer = Vec::new();
        for _ in 0..times {
            answer = self.answer().await?;
        }
        Ok(String::from_utf8(answer)?)
    }

    async fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            let line = self.read_line().await?;
            if line == "PING" {
                self.stream.write_all(b"PONG\r\n").await?;
                continue;
            }
            let Some(words) = line.strip_prefix("MSG ") else {
                continue;
            };
            let length: usize = words.rsplit(' ').next().context("a length")?.parse()?;
            let mut payload = vec![0; length + 2];
            self.stream.read_exact(&mut payload).await?;
            payload.truncate(length);
            return Ok(payload);
        }
    }

    async fn read_line(&mut self) -> anyhow::Result<String> {
        self.line.clear();
        ensure!(self.stream.read_line(&mut self.line).await? > 0, "cut off");
        Ok(self.line.trim_end().to_owned())
    }
}
