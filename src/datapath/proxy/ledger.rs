//! A worker's share of the access logs: records of what is over, on their way to the thread that writes lines.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::accesslog::Record;
use crate::datapath::record_queue::{BUFFER, RecordQueue};

use super::journal::Draft;

pub(super) struct Ledger {
    records: Arc<RecordQueue>,
    buffer: RefCell<Vec<u8>>,
    /// When the buffer is handed over at the latest; `None`: there is nothing in it.
    due: Cell<Option<Instant>>,
    /// One moment on both clocks. Taken anew with each buffer, so a clock that is set is followed within a second.
    clocks: Cell<(Instant, u64)>,
    #[expect(clippy::vec_box, reason = "clients hold a draft by its box, so that one that does not log holds 8 bytes")]
    drafts: RefCell<Vec<Box<Draft>>>,
}

/// The oldest record of a buffer waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Drafts that are kept for use. More requests at one time than this pay for their own.
const DRAFTS: usize = 1024;

impl Ledger {
    pub fn new(records: Arc<RecordQueue>) -> Self {
        Self {
            records,
            buffer: RefCell::default(),
            due: Cell::new(None),
            clocks: Cell::new((Instant::now(), wall_clock())),
            drafts: RefCell::default(),
        }
    }

    /// Enters a record; a buffer that was empty has to be looked after from now on: see [`Self::due`].
    pub fn enter(&self, record: &Record<'_>, now: Instant) -> bool {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.len() + record.size() > BUFFER && !self.records.exchange(&mut buffer) {
            self.records.drop_records(1);
            return false;
        }
        let is_first = buffer.is_empty();
        if is_first {
            // Nothing if it was used before.
            buffer.reserve(BUFFER);
        }
        record.pack(&mut buffer);
        let is_new = is_first && self.due.get().is_none();
        if is_first {
            self.due.set(now.checked_add(PATIENCE));
            self.clocks.set((Instant::now(), wall_clock()));
        }
        is_new
    }

    pub fn due(&self) -> Option<Instant> {
        self.due.get()
    }

    /// Hands over what has waited long enough.
    pub fn look(&self, now: Instant) {
        if self.due.get().is_some_and(|due| due <= now) {
            // Where there is no place for it, the next look may find one.
            let is_gone = self.records.exchange(&mut self.buffer.borrow_mut());
            self.due.set(if is_gone { None } else { now.checked_add(PATIENCE) });
        }
    }

    /// Microseconds since 1970 at this moment.
    pub fn time_of(&self, moment: Instant) -> u64 {
        if self.due.get().is_none() {
            self.clocks.set((Instant::now(), wall_clock()));
        }
        let (then, time) = self.clocks.get();
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        match moment.checked_duration_since(then) {
            Some(later) => time.saturating_add(micros(later)),
            None => time.saturating_sub(micros(then.saturating_duration_since(moment))),
        }
    }

    pub fn take_draft(&self) -> Option<Box<Draft>> {
        self.drafts.borrow_mut().pop()
    }

    pub fn keep_draft(&self, draft: Box<Draft>) {
        let mut drafts = self.drafts.borrow_mut();
        if drafts.len() < DRAFTS {
            drafts.push(draft);
        }
    }
}

/// What a worker leaves behind is written, however it ended.
impl Drop for Ledger {
    fn drop(&mut self) {
        self.records.leave(std::mem::take(&mut self.buffer.borrow_mut()));
    }
}

fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
