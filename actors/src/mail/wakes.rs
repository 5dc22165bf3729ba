//! Wakes of the tasks of one thread, together.
//!
//! A task that is woken from another thread has its own thread called, with a write to the descriptor that it sleeps on:
//! one call to the system for each task. Whoever answers many at once, as the thread of the log does after a sync, would
//! spend as long on that as on the sync; and where both share a processor, each call has the one thread take the place of
//! the other. So what is woken is put on a list of its thread; the first on it calls the thread, [`after`] all are
//! answered, and there a task wakes all of them.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    static HERE: RefCell<Option<Arc<Home>>> = const { RefCell::new(None) };
    static HELD: RefCell<Option<Vec<Waker>>> = const { RefCell::new(None) };
}

/// Answers many, and calls their threads after that.
pub(crate) fn after(answer: impl FnOnce()) {
    let _held = Held(HELD.replace(Some(Vec::new())));
    answer();
}

/// Calls those who were held back, even where answering panicked. Has what was held outside.
struct Held(Option<Vec<Waker>>);

impl Drop for Held {
    fn drop(&mut self) {
        let held = HELD.replace(self.0.take());
        held.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Waits for `future`, which is woken from elsewhere, in a task of an actix system.
pub(super) async fn together<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let home = Home::here();
    let mut known: Option<(Arc<Sleeper>, Waker)> = None;
    poll_fn(move |context| {
        let task = context.waker();
        let (_, ours) = match &mut known {
            Some(known) if known.0.task.will_wake(task) => known,
            known => {
                let sleeper = Arc::new(Sleeper {
                    home: home.clone(),
                    task: task.clone(),
                });
                known.insert((sleeper.clone(), sleeper.into()))
            }
        };
        future.as_mut().poll(&mut Context::from_waker(ours))
    })
    .await
}

/// A task that waits.
struct Sleeper {
    home: Arc<Home>,
    task: Waker,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.home.wake(self.task.clone());
    }
}

/// The tasks of a thread that are to be woken: as many as wait, at most.
#[derive(Debug, Default)]
struct Home {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    tasks: Vec<Waker>,
    /// Wakes the task that wakes the others; none before its first turn.
    caller: Option<Waker>,
    /// The system that the tasks belong to has ended; another on this thread makes a list of its own.
    is_over: bool,
}

impl Home {
    /// Returns the list of this thread.
    fn here() -> Arc<Home> {
        HERE.with_borrow_mut(|here| {
            if let Some(home) = here.as_ref().filter(|home| !home.lock().is_over) {
                return home.clone();
            }
            let home = Arc::new(Home::default());
            let caller = Caller(home.clone());
            actix::spawn(async move { poll_fn(|context| caller.poll(context)).await });
            here.insert(home).clone()
        })
    }

    fn wake(&self, task: Waker) {
        let mut list = self.lock();
        list.tasks.push(task);
        let is_first = list.tasks.len() == 1;
        let caller = list.caller.clone().filter(|_| is_first);
        drop(list);
        let Some(caller) = caller else { return };
        HELD.with_borrow_mut(|held| match held {
            Some(held) => held.push(caller),
            None => caller.wake(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // Nothing in here panics half way through a change.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that wakes the others.
struct Caller(Arc<Home>);

impl Caller {
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut list = self.0.lock();
        list.caller = Some(context.waker().clone());
        let tasks = std::mem::take(&mut list.tasks);
        drop(list);
        tasks.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use actix::System;
    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn many_answers_at_once_call_their_thread_once() {
        let home = Arc::new(Home::default());
        let caller = Caller(home.clone());
        let [thread, tasks] = [(); 2].map(|()| Arc::new(Count::default()));
        let waker = Waker::from(thread.clone());
        let turn = || caller.poll(&Context::from_waker(&waker));
        let counts = || {
            (
                thread.0.load(Ordering::SeqCst),
                tasks.0.load(Ordering::SeqCst),
            )
        };
        assert!(turn().is_pending());
        for round in 1..=2 {
            (0..64).for_each(|_| home.wake(tasks.clone().into()));
            assert_eq!(counts(), (round, (round - 1) * 64));
            assert!(turn().is_pending());
            assert_eq!(counts(), (round, round * 64));
        }
    }

    #[test]
    fn a_thread_is_called_after_all_of_its_tasks_are_answered() {
        let home = Arc::new(Home::default());
        let caller = Caller(home.clone());
        let [thread, task] = [(); 2].map(|()| Arc::new(Count::default()));
        let waker = Waker::from(thread.clone());
        assert!(caller.poll(&Context::from_waker(&waker)).is_pending());
        let calls = || thread.0.load(Ordering::SeqCst);
        after(|| {
            home.wake(task.clone().into());
            assert_eq!(calls(), 0);
        });
        assert_eq!(calls(), 1);
        assert!(caller.poll(&Context::from_waker(&waker)).is_pending());
        home.wake(task.into());
        assert_eq!(calls(), 2, "at once, where nobody answers many");
    }

    #[test]
    fn a_thread_whose_system_ended_is_called_in_its_next_one() {
        for _ in 0..2 {
            let heard = System::new().block_on(async {
                let (answers, waiting): (Vec<_>, Vec<_>) =
                    (0..8).map(|_| oneshot::channel::<()>()).unzip();
                let tasks: Vec<_> = waiting
                    .into_iter()
                    .map(|answer| actix::spawn(together(answer)))
                    .collect();
                tokio::task::yield_now().await;
                let answering = std::thread::spawn(move || {
                    for answer in answers {
                        answer.send(()).expect("somebody waits");
                    }
                });
                for task in tasks {
                    task.await.expect("a task").expect("an answer");
                }
                answering.join()
            });
            assert!(heard.is_ok());
        }
    }
}
