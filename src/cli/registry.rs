//! `registry pull` and `registry push`: two sets of URLs learn their difference, and one gets what it lacks.

mod place;
mod remote;

use anyhow::{Result, bail};
use registry::reconcile::{Index, Search};

use self::place::Place;
use self::remote::Remote;
use super::args::{RegistryArgs, RegistryVerb};
use super::out::{Out, note};
use super::{EXIT_FAILURE, EXIT_OK};

/// Ranges that are asked about at once.
const RANGES: usize = 256;
/// How many times a comparison may begin anew, since the list it began with was held no longer.
const TRIES: usize = 3;

/// Compares and copies.
pub(super) fn run(verb: &RegistryVerb) -> Result<u8> {
    let (RegistryVerb::Pull(args) | RegistryVerb::Push(args)) = verb;
    let remote = Remote::new(&args.url);
    let mut place = Place::open(&args.with)?;
    let index = place.index()?;
    let difference = compare(&remote, &index)?;
    let (lacking, surplus, asked) = (
        difference.lacking.len(),
        difference.surplus.len(),
        difference.asked,
    );
    let mut out = Out::new();
    let moved = match verb {
        RegistryVerb::Pull(_) => pull(&remote, &mut place, &difference)?,
        RegistryVerb::Push(_) => push(&remote, &index, &difference)?,
    };
    out.line(format_args!(
        "{lacking} lacking, {surplus} beyond, {asked} questions; {moved} URLs moved"
    ))?;
    out.flush()?;
    finish(args, place.skipped())
}

fn finish(args: &RegistryArgs, skipped: usize) -> Result<u8> {
    if skipped == 0 {
        return Ok(EXIT_OK);
    }
    note(format_args!(
        "{skipped} lines of {} have no payload and were passed over",
        args.with
    ));
    Ok(EXIT_FAILURE)
}

/// What the sides do not have in common.
struct Difference {
    /// The list of the remote that was compared.
    seal: String,
    lacking: Vec<u128>,
    surplus: Vec<u128>,
    asked: usize,
}

fn compare(remote: &Remote, index: &Index) -> Result<Difference> {
    for _ in 0..TRIES {
        let mut search = Search::new(index);
        let mut seal: Option<String> = None;
        let mut asked = 0;
        let found = loop {
            let ranges = search.ask(RANGES);
            if ranges.is_empty() {
                break true;
            }
            asked += 1;
            let Some(answer) = remote.ask(seal.as_deref(), &ranges)? else {
                break false;
            };
            answer.answers.iter().for_each(|answer| search.hear(answer));
            seal = Some(answer.seal);
        };
        if let (true, Some(seal)) = (found, seal) {
            let Search {
                lacking, surplus, ..
            } = search;
            return Ok(Difference {
                seal,
                lacking,
                surplus,
                asked,
            });
        }
    }
    bail!("the registry changes faster than it can be compared; try again later")
}

fn pull(remote: &Remote, place: &mut Place, difference: &Difference) -> Result<usize> {
    let mut moved = 0;
    for wanted in difference.lacking.chunks(remote::URLS) {
        let urls = remote.fetch(&difference.seal, wanted)?;
        moved += urls.len();
        place.add(&urls)?;
    }
    Ok(moved)
}

fn push(remote: &Remote, index: &Index, difference: &Difference) -> Result<usize> {
    let mut moved = 0;
    let urls: Vec<String> = difference
        .surplus
        .iter()
        .filter_map(|known| index.url(*known))
        .map(ToString::to_string)
        .collect();
    for urls in urls.chunks(remote::URLS) {
        remote.upload(urls)?;
        moved += urls.len();
    }
    Ok(moved)
}
