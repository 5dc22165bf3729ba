//! Executables of one directory, without a shell: in a process group of their own, with a limit on time and on output.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use actors::rituals::hands::Done;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::Limits;

/// How long the output of a command that ended may still come: whoever it left behind is gone by then.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a command finds of the broker's own environment.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

pub(super) async fn run(
    limits: &Limits,
    program: &str,
    args: &[String],
    environment: &[(&'static str, String)],
    timeout: Duration,
) -> Done {
    let Some(dir) = &limits.commands else {
        return Done {
            ok: true,
            reason: "not run: commands are closed; set rituals.commands_dir".to_owned(),
            ..Done::default()
        };
    };
    let path = match allowed(dir, program) {
        Ok(path) => path,
        Err(reason) => return Done::never(reason),
    };
    let workdir = limits.workdir.as_deref().unwrap_or(dir);
    let mut command = Command::new(path);
    command
        .args(args)
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .current_dir(workdir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    match command.spawn() {
        Ok(child) => watch(child, timeout, limits.output_bytes).await,
        Err(err) => Done::failed(format!("{program} cannot be started: {err}")),
    }
}

/// The path of a program, if it is a file of the directory, and not elsewhere by a link.
fn allowed(dir: &Path, program: &str) -> Result<std::path::PathBuf, String> {
    let inside = |err: std::io::Error| format!("{program} is not in {}: {err}", dir.display());
    let dir_path = dir.canonicalize().map_err(inside)?;
    let path = dir_path.join(program).canonicalize().map_err(inside)?;
    if path.parent() != Some(&*dir_path) || !path.is_file() {
        return Err(format!("{program} is no file in {}", dir.display()));
    }
    Ok(path)
}

/// Kills a group when it is dropped, too: a run that is given up leaves nothing behind.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self.0
            && let Some(leader) = i32::try_from(leader)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
        {
            // A group that is gone already is what is wanted.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

async fn watch(mut child: Child, timeout: Duration, keep: usize) -> Done {
    let group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = tokio::spawn(async move {
        let (out, err) = tokio::join!(last(stdout, keep), last(stderr, keep));
        (out, err)
    });
    let ended = tokio::time::timeout(timeout, child.wait()).await;
    // The leader first ended or not: nobody of its group outlives it.
    drop(group);
    if ended.is_err() {
        let _ = child.wait().await;
    }
    let abort = output.abort_handle();
    let (out, err) = match tokio::time::timeout(LAST_WORDS, output).await {
        Ok(Ok(both)) => both,
        // Somebody left the group and holds the pipe.
        _ => {
            abort.abort();
            Default::default()
        }
    };
    told(ended, timeout, &out, &err)
}

fn told(
    ended: Result<std::io::Result<ExitStatus>, tokio::time::error::Elapsed>,
    timeout: Duration,
    out: &Tail,
    err: &Tail,
) -> Done {
    let mut output = out.text();
    let complaints = err.text();
    if !complaints.is_empty() {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        output.push_str(&complaints);
    }
    let done = match ended {
        Err(_) => Done::failed(format!(
            "killed with its children after {:.1} s; raise timeout_seconds, or have it do less",
            timeout.as_secs_f64()
        )),
        Ok(Err(err)) => Done::failed(format!("cannot be waited for: {err}")),
        Ok(Ok(status)) if status.success() => Done {
            ok: true,
            status: status.code(),
            ..Done::default()
        },
        Ok(Ok(status)) => Done {
            status: status.code(),
            ..Done::failed(format!("ended with {status}"))
        },
    };
    Done { output, ..done }
}

/// The last of an output, and how much there was.
#[derive(Debug, Default)]
struct Tail {
    kept: Vec<u8>,
    total: u64,
}

impl Tail {
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept).into_owned();
        let cut = self.total - self.kept.len() as u64;
        if cut == 0 {
            return text;
        }
        format!("[{cut} bytes before this]\n{text}")
    }
}

/// Reads to the end, keeping only the last bytes: a command that floods is not held up, nor kept.
async fn last(pipe: Option<impl AsyncRead + Unpin>, keep: usize) -> Tail {
    let mut tail = Tail::default();
    let Some(mut pipe) = pipe else {
        return tail;
    };
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count) = pipe.read(&mut chunk).await
        && count > 0
    {
        tail.total += count as u64;
        tail.kept.extend_from_slice(&chunk[..count]);
        if tail.kept.len() > 2 * keep {
            tail.kept.drain(..tail.kept.len() - keep);
        }
    }
    let over = tail.kept.len().saturating_sub(keep);
    tail.kept.drain(..over);
    tail
}
