//! The pump: it has streams read or written on, some at a time, with everybody else of the worker getting a turn between.
//!
//! What comes while it is at work is found by the streams that it has not visited yet, so the more there is to do, the more
//! goes out in one write.

use std::cell::RefCell;
use std::rc::Rc;

use super::core::Core;

/// Streams that are visited before others on this thread get a turn.
///
/// Visiting thousands at once puts every other request of the worker behind thousands of writes.
const SLICE: usize = 64;

/// Starts the pump, if it is not at work and somebody waits for it.
pub(super) fn start(core: &Rc<RefCell<Core>>) {
    let mut inner = core.borrow_mut();
    if inner.pumping || inner.to_wake.is_empty() {
        return;
    }
    inner.pumping = true;
    let pause = inner.settings.coalesce.max(inner.state.read().gather);
    drop(inner);
    let core = core.clone();
    actix::spawn(async move {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        while turn(&core) {
            tokio::task::yield_now().await;
        }
    });
}

/// Visits one slice of streams, and tells whether there are more.
fn turn(core: &Rc<RefCell<Core>>) -> bool {
    let mut inner = core.borrow_mut();
    let is_more = inner.wake(SLICE);
    let wanted = std::mem::take(&mut inner.wanted);
    drop(inner);
    for fetch in wanted {
        actix::spawn(fetch.run(core.clone()));
    }
    is_more
}
