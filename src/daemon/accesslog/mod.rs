//! Access logs on the disk: one thread writes them all, and waits for the disk so that nobody else has to.
//!
//! Workers hand buffers of records over, the control thread gives [`Order`]s; neither waits. See [`writer`] for the thread
//! and [`file`] for one file.

mod file;
mod writer;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::datapath::record_queue::RecordQueue;
use crate::dispatcher::AccessLogReading;
use crate::model::{AccessLogId, LogSettings};

use super::privileges::without_rights;
pub use file::{OpenError, look_at};

/// How long the last lines may take to get to the disk when the daemon ends.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The control thread's side of the writing thread.
pub struct AccessLogs {
    records: Arc<RecordQueue>,
    orders: Arc<Mutex<Vec<Order>>>,
    figures: Arc<Figures>,
    /// Files that were opened for a plan and wait for its [`Order::Keep`].
    opened: RefCell<HashMap<PathBuf, File>>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

/// What the writing thread is told.
#[derive(Debug)]
pub enum Order {
    /// These are the files that ports write to, some of them opened already.
    Keep { files: BTreeMap<AccessLogId, PathBuf>, opened: HashMap<PathBuf, File> },
    /// When files are turned over.
    Limit { size: u64, keep: u32 },
    /// The files were moved away: begin new ones.
    Reopen,
    /// Write what is there, and end.
    Stop,
}

/// What the writing thread counts.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub lines: AtomicU64,
    pub bytes: AtomicU64,
    pub dropped: AtomicU64,
    pub errors: AtomicU64,
    /// Files that cannot be written now, and why.
    pub trouble: Mutex<BTreeMap<PathBuf, String>>,
}

impl AccessLogs {
    /// Starts the thread.
    pub fn start(records: &Arc<RecordQueue>) -> io::Result<Self> {
        let (orders, figures) = (Arc::<Mutex<Vec<Order>>>::default(), Arc::<Figures>::default());
        let writer = writer::Writer::new(Arc::clone(records), Arc::clone(&orders), Arc::clone(&figures));
        let thread = std::thread::Builder::new().name("tsuji-accesslog".to_owned()).spawn(move || {
            without_rights();
            writer.work();
        })?;
        Ok(Self {
            records: Arc::clone(records),
            orders,
            figures,
            opened: RefCell::default(),
            thread: RefCell::new(Some(thread)),
        })
    }

    /// Opens files that a plan needs. On an error nothing is kept.
    pub async fn open(&self, paths: &HashSet<PathBuf>) -> Result<(), OpenError> {
        self.opened.borrow_mut().clear();
        for path in paths {
            let file = open_one(path.clone()).await?;
            self.opened.borrow_mut().insert(path.clone(), file);
        }
        Ok(())
    }

    /// From now on these are the files. One that was not opened for a plan, as at the start, is opened by the thread,
    /// again and again if need be: clients are served without a log rather than not at all.
    pub fn keep(&self, files: BTreeMap<AccessLogId, PathBuf>) {
        let opened = std::mem::take(&mut *self.opened.borrow_mut());
        self.order(Order::Keep { files, opened });
    }

    pub fn configure(&self, settings: LogSettings) {
        self.order(Order::Limit { size: settings.accesslogsize, keep: settings.accesslogkeep });
    }

    /// The files were moved away.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// What was written, for reports and the metrics page.
    pub fn reading(&self) -> AccessLogReading {
        let figure = |count: &AtomicU64| count.load(Ordering::Relaxed);
        AccessLogReading {
            lines: figure(&self.figures.lines),
            bytes: figure(&self.figures.bytes),
            dropped: figure(&self.figures.dropped) + self.records.dropped(),
            errors: figure(&self.figures.errors),
        }
    }

    /// Files that cannot be written now, a sentence each.
    pub fn trouble(&self) -> Vec<String> {
        self.figures.trouble.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Has everything written that was handed over, unless the disk takes too long.
    pub async fn stop(&self) {
        self.order(Order::Stop);
        let Some(thread) = self.thread.borrow_mut().take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok());
        match tokio::time::timeout(LAST_LINES, joined).await {
            Ok(Ok(true)) => {}
            Ok(_) => tracing::error!("the thread that writes access logs ended by a panic"),
            Err(_) => tracing::error!("the last lines of access logs are lost: the disk does not answer"),
        }
    }

    /// Orders are few: operators' commands and signals. The lock is held for as long as it takes to note one.
    fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        self.records.call();
    }
}

/// The disk may be slow; the control thread must not wait with it.
async fn open_one(path: PathBuf) -> Result<File, OpenError> {
    tokio::task::spawn_blocking(move || file::open(&path)).await.expect("opening a file does not panic")
}
