//! A PostgreSQL server of a test's own: in a directory of its own, on a socket within, gone after it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::eventually;

/// Where Debian keeps what is not on the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A test does not ask whether the database survives the machine, and what nobody waits for is fast.
const FAST: &[&str] = &["fsync=off", "autovacuum=off"];

/// A server that can be stopped and started.
pub struct Postgres {
    settings: &'static [&'static str],
    dir: PathBuf,
    bin: PathBuf,
    /// Whom it runs as, if this is root, which it refuses to run as.
    user: Option<(u32, u32)>,
    running: Option<Child>,
}

impl Postgres {
    /// Starts a server, if this machine has the binaries. Without them the test is skipped, and says so past the capture
    /// of the test harness.
    pub fn start(name: &str) -> Option<Postgres> {
        Postgres::with(name, FAST)
    }

    /// As [`Postgres::start`], with settings of the server's own, none of which is for speed.
    pub fn with(name: &str, settings: &'static [&'static str]) -> Option<Postgres> {
        let Some(bin) = binaries() else {
            let note = format!(
                "SKIPPED: {name}: no PostgreSQL here (Debian: apt-get install postgresql)\n"
            );
            let _ = std::io::stderr().write_all(note.as_bytes());
            return None;
        };
        // The path of a socket is short.
        let dir = PathBuf::from(format!("/tmp/gc-pg-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let user = (id(&["-u"]) == Some(0)).then(|| {
            let of = |flag| {
                id(&[flag, "postgres"])
                    .or_else(|| id(&[flag, "nobody"]))
                    .unwrap()
            };
            (of("-u"), of("-g"))
        });
        if let Some((user, group)) = user {
            chown(&dir, Some(user), Some(group)).unwrap();
        }
        let mut server = Postgres {
            settings,
            dir,
            bin,
            user,
            running: None,
        };
        let data = server.dir.join("data");
        let made = server
            .command("initdb")
            .args([
                "-A",
                "trust",
                "-N",
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.resume();
        Some(server)
    }

    /// What a broker is told.
    pub fn url(&self) -> String {
        let socket = self.dir.to_str().unwrap().replace('/', "%2F");
        format!("postgresql://postgres@{socket}/postgres")
    }

    /// Starts it again, and waits until it answers.
    pub fn resume(&mut self) {
        let log = fs::File::create(self.dir.join("log")).unwrap();
        let started = self
            .command("postgres")
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-k")
            .arg(&self.dir)
            .args(["-c", "listen_addresses="])
            .args(self.settings.iter().flat_map(|setting| ["-c", *setting]))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.running = Some(started);
        eventually("PostgreSQL answers", || {
            self.try_query("SELECT 1").is_some()
        });
    }

    /// Ends it in the middle of whatever it does, as a crash would.
    pub fn crash(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let pid = running.id().to_string();
        let sent = Command::new("kill").args(["-s", "QUIT", &pid]).status();
        assert!(sent.unwrap().success());
        running.wait().unwrap();
    }

    /// The answer to a query: lines of values with bars between them.
    pub fn query(&self, query: &str) -> String {
        self.try_query(query)
            .unwrap_or_else(|| panic!("no answer to {query}"))
    }

    /// As [`Postgres::query`]; none when it is refused or nobody answers.
    pub fn try_query(&self, query: &str) -> Option<String> {
        let answer = self
            .command("psql")
            .args(["-X", "-A", "-t", "-q", "-U", "postgres", "-h"])
            .arg(&self.dir)
            .args(["-d", "postgres", "-c", query])
            .output()
            .unwrap();
        let text = String::from_utf8(answer.stdout).unwrap();
        answer.status.success().then(|| text.trim_end().to_owned())
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match self.user {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={user}"), format!("--regid={group}")])
                    .arg("--clear-groups")
                    .arg(program);
                command
            }
        };
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let pid = running.id().to_string();
            let _ = Command::new("kill").args(["-s", "QUIT", &pid]).status();
            let _ = running.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn binaries() -> Option<PathBuf> {
    let has_all = |dir: &Path| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|name| dir.join(name).exists())
    };
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut debian: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    debian
        .into_iter()
        .rev()
        .chain(on_path)
        .find(|dir| has_all(dir))
}

fn id(args: &[&str]) -> Option<u32> {
    let answer = Command::new("id").args(args).output().ok()?;
    String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
}
