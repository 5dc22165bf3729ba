//! `publish`: JSON lines into a broker.
//!
//! Layout:
//! - `send`: one batch to the broker, and again if need be.
//! - `tally`: what became of the lines.

mod send;
mod tally;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::Path;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::PublishArgs;
use super::lines::{Line, Lines};
use super::out;
use super::pace::Pace;
use super::{EXIT_FAILURE, EXIT_OK};
use send::{Batch, Sender};
use tally::Tally;

const BUFFER_BYTES: usize = 64 * 1024;
/// A batch is sent before it grows beyond this, half of what a broker takes by default.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// With a rate, batches are sent at least so often.
const BATCHES_PER_SECOND: f64 = 10.0;

/// The input, and whether waiting for more of it can take its time.
struct Source {
    lines: Lines<BufReader<Box<dyn Read>>>,
    is_live: bool,
    length: Option<u64>,
}

/// One run.
struct Run {
    sender: Sender,
    tally: Arc<Mutex<Tally>>,
    pace: Option<Pace>,
    offered: u64,
    bar: ProgressBar,
}

/// Sends the lines of a file.
pub(super) fn run(args: &PublishArgs) -> Result<u8> {
    let mut source = open(&args.file)?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    report_on_interrupt(Arc::clone(&tally))?;
    let mut run = Run {
        sender: Sender::new(&args.to),
        tally: Arc::clone(&tally),
        pace: args.rate.map(Pace::new),
        offered: 0,
        bar: if args.quiet {
            ProgressBar::hidden()
        } else {
            bar(source.length)
        },
    };
    let outcome = run.all(&mut source, lines_per_batch(args));
    run.bar.finish_and_clear();
    let tally = lock(&tally);
    let is_clean = tally.refused() == 0 && outcome.is_ok();
    let has_nothing_to_tell = outcome.is_err() && tally.is_empty();
    if !(args.quiet && is_clean || has_nothing_to_tell) {
        out::note(&*tally);
    }
    outcome?;
    Ok(if is_clean { EXIT_OK } else { EXIT_FAILURE })
}

impl Run {
    fn all(&mut self, source: &mut Source, lines_max: usize) -> Result<()> {
        let mut batch = Batch::default();
        loop {
            // Lines that are here must not wait for lines that are not.
            if source.is_live && !source.lines.has_line() {
                self.send(&mut batch)?;
            }
            let line = source.lines.next();
            let Some(line) = line.context("cannot read the input")? else {
                break;
            };
            match line {
                Line::Blank => lock(&self.tally).blank(),
                Line::Unreadable(reason) => {
                    let number = source.lines.number();
                    lock(&self.tally).refuse(number, reason);
                }
                Line::Text(text) => {
                    if batch.bytes() + text.len() > BATCH_BYTES {
                        self.send(&mut batch)?;
                    }
                    batch.push(text);
                    batch.number_last(source.lines.number());
                }
            }
            if batch.len() >= lines_max {
                self.send(&mut batch)?;
            }
            self.bar.set_position(source.lines.consumed());
        }
        self.send(&mut batch)
    }

    /// Sends what the batch has, and empties it.
    fn send(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.len() == 0 {
            return Ok(());
        }
        if let Some(pace) = &self.pace {
            pace.until_due(self.offered);
        }
        self.offered += batch.len() as u64;
        lock(&self.tally).begin(batch.first(), batch.last());
        let answer = self.sender.send(batch);
        let mut tally = lock(&self.tally);
        match answer {
            Ok(answer) => tally.end(answer.accepted, answer.refused),
            Err(err) => {
                if !self.sender.is_unsure() {
                    tally.give_up();
                }
                return Err(err);
            }
        }
        let (accepted, refused) = (tally.accepted(), tally.refused());
        self.bar
            .set_message(format!("{accepted} accepted, {refused} refused"));
        batch.clear();
        Ok(())
    }
}

fn open(path: &Path) -> Result<Source> {
    if path.as_os_str() == "-" {
        let input = io::stdin();
        if input.is_terminal() {
            out::note("reading JSON lines from the terminal; Ctrl-D ends them");
        }
        return Ok(Source {
            lines: Lines::new(BufReader::with_capacity(BUFFER_BYTES, Box::new(input))),
            is_live: true,
            length: None,
        });
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let about = file.metadata().ok();
    let about = about.filter(std::fs::Metadata::is_file);
    Ok(Source {
        lines: Lines::new(BufReader::with_capacity(BUFFER_BYTES, Box::new(file))),
        is_live: about.is_none(),
        length: about.map(|about| about.len()),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a number too large gives the largest, which the minimum then cuts"
)]
fn lines_per_batch(args: &PublishArgs) -> usize {
    let by_rate = args.rate.map(|rate| (rate / BATCHES_PER_SECOND).ceil());
    let lines = by_rate.map_or(args.batch, |lines| args.batch.min(lines as u32));
    lines.max(1) as usize
}

/// Has Ctrl-C say what was sent so far before it ends the program.
fn report_on_interrupt(tally: Arc<Mutex<Tally>>) -> Result<()> {
    ctrlc::set_handler(move || {
        let tally = lock(&tally);
        out::note(format_args!("stopped\n{}", *tally));
        process::exit(i32::from(EXIT_FAILURE));
    })
    .context("cannot listen for Ctrl-C")
}

/// A bar on a terminal; elsewhere it is hidden by itself.
fn bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length),
            "{wide_bar} {bytes}/{total_bytes} {msg} {eta}",
        ),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
