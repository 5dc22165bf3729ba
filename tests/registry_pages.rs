//! Whoever pages through the registry while others write gets pages of lists that really existed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use glint::json::object;
use registry::seal::seal;
use support::dir::Dir;
use support::sigils::{QUIET, merged_afresh, urls};
use support::{Broker, count_at, eventually, text_at};

/// What existing clients read at most: 24 pages.
const URLS: usize = 120_000;
const PAGE: usize = 5000;
const WRITERS: usize = 2;

/// Uploads some records of a name.
fn upload(broker: &Broker, name: &str, numbers: std::ops::Range<usize>) {
    let mut body = String::new();
    object(&mut body, |body| {
        // {"pulse":10} or {"pulse":20}: what is new is not at the end of the list.
        body.array("urls", numbers, |number, out| {
            let pulse = if number % 2 == 0 { "MTB9" } else { "MjB9" };
            out.push_str(&format!(
                r#""https://peer.example/s/{name}-{number}?p=eyJwdWxzZSI6{pulse}""#
            ));
        });
    });
    let answer = broker.post(QUIET, "application/json", body);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// A page as a client has it.
struct Page {
    seal: String,
    total: usize,
    offset: usize,
    urls: Vec<String>,
}

/// Reads all pages as existing clients do, or those of the list that the first was of.
fn pages(broker: &Broker, is_pinned: bool) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    loop {
        let offset = pages.len() * PAGE;
        let first = pages.first().filter(|_| is_pinned);
        let pin = first.map_or(String::new(), |first| format!("&seal={}", first.seal));
        let answer = broker.get(&format!("/sigils/urls?offset={offset}&limit={PAGE}{pin}"));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let urls = urls(&answer);
        let page = answer.json();
        let total = usize::try_from(count_at(&page, &["total"])).unwrap();
        let is_last = urls.len() < PAGE || offset + urls.len() >= total;
        let seal = text_at(&page, &["state_seal"]).to_owned();
        pages.push(Page {
            seal,
            total,
            offset,
            urls,
        });
        if is_last {
            return pages;
        }
    }
}

/// Has writers end, also when the test fails.
struct End<'t>(&'t AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn each_page_is_one_of_a_list_that_existed_while_others_write() {
    let dir = Dir::new("registry-pages");
    let broker = Broker::with(&[("data.dir", dir.text()), ("breath.tick_ms", "60000")]);
    for first in (0..URLS).step_by(URLS / 8) {
        upload(&broker, "base", first..first + URLS / 8);
    }
    let (done, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (free, pinned) = thread::scope(|scope| {
        let (broker, done, written) = (&broker, &done, &written);
        let _end = End(done);
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    upload(
                        broker,
                        &format!("new-{writer}"),
                        number * 10..number * 10 + 10,
                    );
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let is_on = || {
            let before = written.load(Ordering::Relaxed);
            eventually("writers write", || written.load(Ordering::Relaxed) > before);
        };
        is_on();
        let free = pages(broker, false);
        is_on();
        (free, pages(broker, true))
    });
    assert!(free.len() >= URLS / PAGE, "{}", free.len());
    assert_ne!(free[0].seal, free[free.len() - 1].seal, "nobody wrote");

    assert!(pinned.iter().all(|page| page.seal == pinned[0].seal));

    // Pages of one seal are together the list that the seal is of.
    let together: Vec<String> = pinned
        .iter()
        .flat_map(|page| page.urls.iter().map(|url| format!("{url:?},")))
        .collect();
    assert_eq!(together.len(), pinned[0].total);
    let urls = together.iter().map(String::as_str);
    assert_eq!(seal(urls).to_string(), pinned[0].seal);

    // And each page is what the log says that the list with its seal has there.
    drop(broker);
    let mut left: HashMap<usize, Vec<&Page>> = HashMap::new();
    for page in free.iter().chain(&pinned) {
        left.entry(page.total).or_default().push(page);
    }
    merged_afresh(&dir.0, |registry| {
        let snapshot = registry.snapshot();
        for page in left.remove(&registry.len()).unwrap_or_default() {
            assert_eq!(snapshot.seal().to_string(), page.seal);
            let expected = snapshot.list().page(page.offset, PAGE);
            assert!(
                expected
                    .map(|entry| &*entry.url)
                    .eq(page.urls.iter().map(String::as_str)),
                "the page at {} of {}",
                page.offset,
                page.seal
            );
        }
    });
    assert!(left.is_empty(), "totals that never were: {:?}", left.keys());
}
