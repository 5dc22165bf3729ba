//! What waits for the disk: put there one by one, taken all at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use glint::{Event, Refusal};

use super::Remembered;

/// Told once: that everything handed over with it and before it is kept, or why it is not.
pub type Done = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// What goes to disk together, and who waits for it.
pub(super) struct Job {
    pub(super) events: Vec<Event>,
    pub(super) key: Option<Remembered>,
    pub(super) done: Option<Done>,
}

impl Job {
    fn weight(&self) -> usize {
        self.events.iter().map(Event::weight_bytes).sum()
    }
}

/// The side of the emitter. The last one to go ends the queue.
#[derive(Debug)]
pub(super) struct Inlet {
    shared: Arc<Shared>,
}

/// The side of the thread. When it goes, what waits is answered with its last words.
pub(super) struct Outlet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bound: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many jobs must wait before the thread is woken; 0 when it does not sleep.
    awaited: usize,
    /// Nobody puts anything in any more.
    is_over: bool,
    /// Nobody takes anything out any more.
    is_dead: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// Why nothing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    Full,
    Dead,
}

/// Makes a queue of at most `bound` jobs.
pub(super) fn queue(bound: usize) -> (Inlet, Outlet) {
    let shared = Arc::new(Shared {
        bound,
        state: Mutex::default(),
        filled: Condvar::new(),
    });
    let inlet = Inlet {
        shared: shared.clone(),
    };
    (inlet, Outlet { shared })
}

impl Inlet {
    /// Tells whether a job would be taken. With one sender, it then is, unless the thread dies meanwhile.
    pub(super) fn room(&self) -> Result<(), Shut> {
        let state = self.shared.lock();
        match (state.is_dead, state.jobs.len() < self.shared.bound) {
            (true, _) => Err(Shut::Dead),
            (false, true) => Ok(()),
            (false, false) => Err(Shut::Full),
        }
    }

    /// Puts a job in; gives it back when the thread has gone.
    pub(super) fn put(&self, job: Job) -> Result<(), Job> {
        let mut state = self.shared.lock();
        if state.is_dead {
            return Err(job);
        }
        state.jobs.push_back(job);
        // A wake is a call to the system: only for a thread that sleeps, and has what it sleeps for.
        if state.awaited > 0 && state.jobs.len() >= state.awaited {
            state.awaited = 0;
            self.shared.filled.notify_one();
        }
        Ok(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.filled.notify_one();
    }
}

impl Outlet {
    /// Moves jobs to `group`, of at most about so many events and bytes. Waits for the first one up to `patience`.
    /// Returns false when none will come.
    pub(super) fn take(
        &self,
        group: &mut Vec<Job>,
        (max_events, max_bytes): (usize, usize),
        patience: Duration,
    ) -> bool {
        let mut state = self.shared.wait(1, patience);
        let (mut events, mut bytes) = (0, 0);
        while events < max_events && bytes < max_bytes {
            let Some(job) = state.jobs.pop_front() else {
                break;
            };
            events += job.events.len();
            bytes += job.weight();
            group.push(job);
        }
        !(group.is_empty() && state.is_over)
    }

    /// Returns how many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// Waits until so many jobs wait: up to `patience` for half of them, and as long again for the others. Returns how
    /// many do.
    pub(super) fn wait(&self, count: usize, patience: Duration) -> usize {
        self.shared.wait(count, patience).jobs.len()
    }

    /// Ends the queue, and returns what nobody will take.
    pub(super) fn shut(&self) -> Vec<Job> {
        let mut state = self.shared.lock();
        state.is_dead = true;
        state.jobs.drain(..).collect()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        // Who waits finds out by the end of what it was to be told with.
        drop(self.shut());
    }
}

impl Shared {
    fn wait(&self, count: usize, patience: Duration) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        // Half of them wake the thread: by the time that it runs, the others are there as well.
        for goal in [count.div_ceil(2), count] {
            if state.jobs.len() >= goal || state.is_over {
                continue;
            }
            state.awaited = goal;
            let waited = self.filled.wait_timeout(state, patience);
            let (woken, late) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.awaited = 0;
            if late.timed_out() {
                break;
            }
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_four_is_woken_by_two_and_waits_on() {
        let (inlet, outlet) = queue(8);
        let put = || {
            let job = Job {
                events: Vec::new(),
                key: None,
                done: None,
            };
            assert!(inlet.put(job).is_ok());
        };
        let awaits = |count| while inlet.shared.lock().awaited != count {};
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| outlet.wait(4, Duration::from_secs(60)));
            awaits(2);
            (0..2).for_each(|_| put());
            awaits(4);
            (0..2).for_each(|_| put());
            assert_eq!(waiting.join().ok(), Some(4));
        });
    }
}
