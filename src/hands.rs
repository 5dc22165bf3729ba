//! What rituals do outside of the broker: the drivers behind [`actors::rituals::hands`].
//!
//! Layout:
//! - `command`: executables of one directory.
//! - `webhook`: signed calls, never to addresses inside unless that is allowed.
//! - `archive`: events to a file.

mod archive;
mod command;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use actors::rituals::hands::{Doing, Done, Hands, Job, Order};
use ureq::tls::RootCerts;

pub use webhook::trust;

use crate::config::Secret;

/// What the drivers run on.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Where commands are; none runs nothing.
    pub commands: Option<PathBuf>,
    /// Where commands run; where they are, when nothing is said.
    pub workdir: Option<PathBuf>,
    /// Where archives go; none keeps nothing.
    pub archives: Option<PathBuf>,
    /// What calls are signed with.
    pub secret: Secret,
    /// Whether calls may go to private addresses and to this machine.
    pub private: bool,
    /// Who vouches for the servers that are called.
    pub trust: RootCerts,
    /// What is kept of the output of a command, and of the answer to a call.
    pub output_bytes: usize,
}

/// The drivers.
#[derive(Debug, Clone)]
pub struct Drivers {
    limits: Arc<Limits>,
}

impl Drivers {
    /// Makes the drivers.
    #[must_use]
    pub fn new(limits: Limits) -> Drivers {
        Drivers {
            limits: Arc::new(limits),
        }
    }
}

impl Hands for Drivers {
    fn attempt(&self, order: Order) -> Doing {
        let limits = self.limits.clone();
        Box::pin(async move {
            let Order { job, key, timeout } = order;
            match job {
                Job::Command {
                    program,
                    args,
                    environment,
                } => command::run(&limits, &program, &args, &environment, timeout).await,
                Job::Webhook { url, body } => {
                    blocking(move || webhook::call(&limits, &url, &body, &key, timeout)).await
                }
                Job::Archive { name, lines } => {
                    blocking(move || archive::write(&limits, &name, &lines)).await
                }
            }
        })
    }
}

/// Does what blocks where nobody waits for it. The number of runs bounds the number of threads.
async fn blocking(work: impl FnOnce() -> Done + Send + 'static) -> Done {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|err| Done::failed(format!("the job broke off: {err}")))
}
