//! The thread that makes lines of records and writes them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::accesslog::{Lines, unpack};
use crate::datapath::record_queue::RecordQueue;
use crate::model::AccessLogId;

use super::file::{Limits, LogFile};
use super::{Figures, Order};

pub(super) struct Writer {
    records: Arc<RecordQueue>,
    orders: Arc<Mutex<Vec<Order>>>,
    figures: Arc<Figures>,
    lines: Lines,
    /// All that ever were: a connection that began while its port logged may end long after that was turned off.
    files: HashMap<AccessLogId, LogFile>,
    /// Those that ports write to now.
    wanted: Vec<AccessLogId>,
    limits: Limits,
    stops: bool,
}

/// Lines that wait for one file before they are written: few calls of the system, and no more memory than a buffer or two.
const CHUNK: usize = 256 * 1024;

/// Without anything to write the thread looks after files in trouble as often.
const LOOK: Duration = Duration::from_secs(1);

impl Writer {
    pub fn new(records: Arc<RecordQueue>, orders: Arc<Mutex<Vec<Order>>>, figures: Arc<Figures>) -> Self {
        let lines = Lines::new(Box::new(ahead_of_utc));
        Self {
            records,
            orders,
            figures,
            lines,
            files: HashMap::new(),
            wanted: Vec::new(),
            limits: Limits::default(),
            stops: false,
        }
    }

    /// Until it is told to stop.
    pub fn work(mut self) {
        while !self.stops {
            let mut next = self.records.take(LOOK);
            // A buffer may speak of files that an order named before it was handed over.
            self.obey();
            while let Some(buffer) = next {
                self.enter(buffer);
                next = self.records.take_now();
            }
            self.flush();
        }
        while let Some(buffer) = self.records.take_now() {
            self.enter(buffer);
        }
        self.flush();
    }

    fn enter(&mut self, buffer: Vec<u8>) {
        for record in unpack(&buffer) {
            // Nobody can name a file that no order has named.
            let Some(file) = self.files.get_mut(&record.line.file) else {
                self.records.drop_records(1);
                continue;
            };
            self.lines.write(&mut file.out, &record);
            file.lines += 1;
            if file.out.len() >= CHUNK {
                file.flush(self.limits, Instant::now(), &self.figures);
            }
        }
        self.records.give_back(buffer);
    }

    fn flush(&mut self) {
        let now = Instant::now();
        for file in self.files.values_mut() {
            file.flush(self.limits, now, &self.figures);
            file.retry(now, &self.figures);
        }
    }

    fn obey(&mut self) {
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Keep { files, opened } => self.keep(files, opened),
                Order::Limit { size, keep } => self.limits = Limits { size, keep },
                Order::Reopen => self.reopen(),
                Order::Stop => self.stops = true,
            }
        }
    }

    fn keep(&mut self, files: BTreeMap<AccessLogId, PathBuf>, mut opened: HashMap<PathBuf, File>) {
        self.wanted = files.keys().copied().collect();
        let unused = self.files.iter_mut().filter(|(id, _)| !files.contains_key(id));
        unused.for_each(|(_, file)| file.leave(&self.figures));
        for (id, path) in files {
            let ready = opened.remove(&path);
            let known = self.files.entry(id).or_insert_with(|| LogFile::new(path));
            match ready {
                Some(file) => known.take(file),
                None => known.want(Instant::now(), &self.figures),
            }
        }
    }

    /// What was handed over before this belongs to the files as they were.
    fn reopen(&mut self) {
        self.flush();
        let now = Instant::now();
        for id in &self.wanted {
            if let Some(file) = self.files.get_mut(id) {
                file.close();
                file.want(now, &self.figures);
            }
        }
    }
}

/// The system's time zone. It is asked once for each second that has lines.
fn ahead_of_utc(second: i64) -> i32 {
    Timestamp::from_second(second).map_or(0, |at| TimeZone::system().to_offset(at).seconds())
}
