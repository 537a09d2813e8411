//! Requests that wait because every server has as many as it may have.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Who waits for the servers of one group, over all workers, in the order of their coming. It outlives tables.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<VecDeque<(u64, Waker)>>,
    /// The length of `waiting`, so that a request that ends need not take the lock where nobody waits.
    length: AtomicUsize,
    next: AtomicU64,
}

/// A place in a queue. Dropping it leaves the queue.
#[derive(Debug)]
pub struct Waiting<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a place at the end. `None`: as many wait as may, `bound`.
    pub fn enter(&self, bound: usize, waker: &Waker) -> Option<Waiting<'_>> {
        let mut waiting = self.lock();
        if waiting.len() >= bound {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        waiting.push_back((number, waker.clone()));
        self.length.store(waiting.len(), Ordering::SeqCst);
        Some(Waiting { queue: self, number })
    }

    /// A server has room again: the first in line may look, and passes the word on if that room is not for it.
    pub fn notify(&self) {
        // A waiter sets the word going after it has entered, so either it sees this server's room or we see it here.
        std::sync::atomic::fence(Ordering::SeqCst);
        if !self.is_empty() {
            self.wake_behind(None);
        }
    }

    /// Wakes the first in line, or the one behind this number.
    fn wake_behind(&self, number: Option<u64>) {
        let waiting = self.lock();
        let place = number.map_or(0, |number| waiting.partition_point(|(other, _)| *other <= number));
        let waker = waiting.get(place).map(|(_, waker)| waker.clone());
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Waker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// The room that there is was not for this one; the next in line may look.
    pub fn pass_on(&self) {
        self.queue.wake_behind(Some(self.number));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.retain(|(number, _)| *number != self.number);
        self.queue.length.store(waiting.len(), Ordering::SeqCst);
        drop(waiting);
        // There may be room for one more, and nobody else tells the next in line.
        self.queue.wake_behind(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn first_come_first_served_and_bounded() {
        let queue = Queue::default();
        let bells: [Arc<Bell>; 3] = Default::default();
        let enter = |bell: usize| queue.enter(2, &Waker::from(Arc::clone(&bells[bell])));
        let (first, second) = (enter(0).unwrap(), enter(1).unwrap());
        assert!(enter(2).is_none() && queue.len() == 2);
        queue.notify();
        assert_eq!(bells.each_ref().map(|bell| bell.0.load(Ordering::Relaxed)), [1, 0, 0]);
        first.pass_on();
        assert_eq!(bells[1].0.load(Ordering::Relaxed), 1, "the room was not for the first");
        second.pass_on();
        drop(first);
        assert_eq!(bells[1].0.load(Ordering::Relaxed), 2, "the next in line looks at once");
        drop(second);
        assert!(queue.is_empty());
        queue.notify();
    }
}
