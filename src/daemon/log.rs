//! Diagnostics: one line per event on standard error, as text or JSON, never waiting for a slow reader.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

use crate::dispatcher::{Notice, Severity};
use crate::model::{LogFormat, LogSettings};
use crate::sys::rights;

/// Lines that wait for standard error. At a hundred bytes each this is under a megabyte; beyond it lines are given up
/// and counted, because a terminal that was stopped must not stop traffic.
const WAITING_LINES: usize = 8_192;

/// Events of this target are changes of state: shown from level 1 on, whatever their severity.
const STATE: &str = "tsuji::state";

static LEVEL: AtomicU8 = AtomicU8::new(1);
static JSON: AtomicU8 = AtomicU8::new(0);
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Keeps the log's thread; what waits is written when this is dropped.
#[must_use]
pub struct LogGuard(#[expect(dead_code, reason = "held for its drop")] WorkerGuard);

/// Starts the log. A second start in one process (tests) keeps the first one.
pub fn start(settings: LogSettings) -> LogGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).finish(Stderr { is_new: true });
    let text = tracing_subscriber::fmt::layer().with_writer(writer.clone()).with_ansi(false).with_target(false);
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer.clone());
    let subscriber = tracing_subscriber::registry()
        .with(text.with_filter(filter_fn(|metadata| is_json() == 0 && is_shown(metadata))))
        .with(json.with_filter(filter_fn(|metadata| is_json() == 1 && is_shown(metadata))));
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = DROPPED.set(writer.error_counter());
    }
    change(settings);
    LogGuard(guard)
}

/// Standard error, to which the log's own thread writes: with its first line it gives up what it does not need.
struct Stderr {
    is_new: bool,
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.is_new) {
            // Whom should it be told? Every other thread tells that it cannot.
            let _ = rights::keep_none_but_roots();
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Takes new settings, at once.
pub fn change(settings: LogSettings) {
    LEVEL.store(settings.level.get(), Ordering::Relaxed);
    JSON.store(u8::from(settings.format == LogFormat::Json), Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

/// Lines that were given up because the reader was too slow.
pub fn dropped() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Writes a change of state.
pub fn write(notice: &Notice) {
    let text = notice.text.as_str();
    match notice.severity {
        Severity::Alert => tracing::error!(target: STATE, "{text}"),
        Severity::Warning => tracing::warn!(target: STATE, "{text}"),
        Severity::Info => tracing::info!(target: STATE, "{text}"),
    }
}

fn is_json() -> u8 {
    JSON.load(Ordering::Relaxed)
}

fn is_shown(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().starts_with("tsuji");
    let most = match LEVEL.load(Ordering::Relaxed) {
        0 => return false,
        1 if metadata.target() == STATE => Level::INFO,
        1 => Level::WARN,
        2 | 3 => Level::INFO,
        4 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Libraries talk about their own affairs: only their warnings are an operator's business.
    *metadata.level() <= if ours { most } else { most.min(Level::WARN) }
}
