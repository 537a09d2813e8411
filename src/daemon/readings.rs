//! Gathers what the metrics page shows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crate::advisor::Record;
use crate::dispatcher::Dispatcher;
use crate::message::ErrorReason;
use crate::metrics::{
    self, AdvisorReading, AffinityReading, ConfigurationReading, ProcessReading, ProxyCounter, Reading, ReloadReading,
};
use crate::model::Health;

use super::desk::Desk;
use super::log;
use super::page::Source;

/// The page's view of the daemon.
pub struct Readings {
    desk: Rc<Desk>,
    started: SystemTime,
}

impl Readings {
    pub fn new(desk: Rc<Desk>) -> Self {
        Self { desk, started: SystemTime::now() }
    }

    fn reading(&self, dispatcher: &Dispatcher) -> Reading {
        let affinity = dispatcher.affinity();
        Reading {
            table: Arc::clone(dispatcher.table()),
            reasons: ErrorReason::ALL.iter().map(|reason| reason.word()).collect(),
            advisors: dispatcher.probe_records().map(advisor_reading).collect(),
            configuration: self.configuration(dispatcher),
            affinity: AffinityReading { records: affinity.len() as u64, evicted: affinity.evicted() },
            proxy: self.proxy(),
            commands: self.desk.tally().commands(),
            log_lines_dropped: log::dropped(),
            alerts: dispatcher.alerts(),
            started: self.started,
            version: env!("CARGO_PKG_VERSION"),
            process: ProcessReading::take(),
        }
    }

    fn configuration(&self, dispatcher: &Dispatcher) -> ConfigurationReading {
        let reload = self.desk.last_load().map(|(good, at)| ReloadReading { good, at });
        ConfigurationReading { generation: dispatcher.generation(), reload, overrides: dispatcher.overrides().len() as u64 }
    }

    fn proxy(&self) -> Vec<ProxyCounter> {
        let figures = self.desk.heart().workers().shared().counters().figures();
        figures.into_iter().map(|(name, help, value)| ProxyCounter { name, help, value }).collect()
    }
}

impl Source for Readings {
    fn metrics(&self) -> Vec<u8> {
        metrics::encode(&self.desk.heart().read(|dispatcher| self.reading(dispatcher)))
    }

    fn health(&self) -> Result<(), &'static str> {
        if self.desk.is_stopping() {
            return Err("stopping\n");
        }
        if self.desk.heart().is_paused() {
            return Err("the executor is stopped\n");
        }
        Ok(())
    }
}

fn advisor_reading(record: &Record) -> AdvisorReading {
    AdvisorReading {
        advisor: record.advisor.kind.word(),
        cluster: record.key.port.cluster.clone(),
        port: record.key.port.port,
        server: record.key.server.clone(),
        up: match record.state {
            Health::Unknown => None,
            Health::Up => Some(true),
            Health::Down(_) => Some(false),
        },
        latency_seconds: record.last().filter(|last| last.failure.is_none()).map(|last| last.latency.as_secs_f64()),
        good: record.ok,
        failed: record.failed.iter().map(|(reason, count)| (*reason, *count)).collect(),
    }
}
