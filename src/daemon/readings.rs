//! Gathers what the metrics page shows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use crate::advisor::Record;
use crate::dispatcher::{CertificateInUse, Dispatcher};
use crate::message::ErrorReason;
use crate::metrics::{
    AccessLogReading, AdvisorReading, AffinityReading, CertificateReading, CertificatesReading, ConfigurationReading,
    ProcessReading, ProxyCounter, Reading, ReloadReading,
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

    fn gather(&self, dispatcher: &Dispatcher) -> Reading {
        let affinity = dispatcher.affinity();
        Reading {
            table: Arc::clone(dispatcher.table()),
            reasons: ErrorReason::ALL.iter().map(|reason| reason.word()).collect(),
            advisors: dispatcher.probe_records().map(advisor_reading).collect(),
            configuration: self.configuration(dispatcher),
            certificates: self.certificates(dispatcher),
            affinity: AffinityReading { records: affinity.len() as u64, evicted: affinity.evicted() },
            proxy: self.proxy(),
            commands: self.desk.tally().commands(),
            scripts: self.desk.heart().scripts().counts(),
            log_lines_dropped: log::dropped(),
            access_logs: self.access_logs(),
            packets: self.desk.heart().packets().map(|packets| packets.status().reading()),
            pair: self.desk.heart().partnership().metrics(dispatcher.pair().as_ref()),
            // A file that was not loaded is one more, and so are certificates and access logs that cannot be used.
            alerts: dispatcher.alerts()
                + u64::from(self.desk.last_load().is_some_and(|(good, _)| !good))
                + u64::from(self.desk.certificates_are_good() == Some(false))
                + self.desk.heart().logs().trouble().len() as u64,
            started: self.started,
            version: env!("CARGO_PKG_VERSION"),
            process: ProcessReading::take(),
        }
    }

    fn configuration(&self, dispatcher: &Dispatcher) -> ConfigurationReading {
        let reload = self.desk.last_load().map(|(good, at)| ReloadReading { good, at });
        ConfigurationReading {
            generation: dispatcher.generation(),
            reload,
            overrides: dispatcher.overrides().len() as u64,
        }
    }

    fn certificates(&self, dispatcher: &Dispatcher) -> CertificatesReading {
        let tally = self.desk.tally();
        CertificatesReading {
            in_use: dispatcher.certificates().map(|certificate| certificate_reading(&certificate)).collect(),
            read: tally.certificates_read.get(),
            refused: tally.certificates_refused.get(),
            good: self.desk.certificates_are_good(),
        }
    }

    fn access_logs(&self) -> AccessLogReading {
        let reading = self.desk.heart().logs().reading();
        let crate::dispatcher::AccessLogReading { lines, bytes, dropped, errors } = reading;
        AccessLogReading { lines, bytes, dropped, errors }
    }

    fn proxy(&self) -> Vec<ProxyCounter> {
        let reading = self.desk.heart().workers().shared().counters();
        let figure = |name, help, value| ProxyCounter { name, help, value };
        vec![
            figure("connections", "Client connections open now.", reading.connections),
            figure(
                "accept_pauses_total",
                "Pauses of accept for want of file descriptors or memory.",
                reading.accept_pauses,
            ),
            figure(
                "rejected_total",
                "Client connections beyond the limit of their port or of the process.",
                reading.rejected,
            ),
            figure(
                "memory_level",
                "What is done about memory: 0 nothing, 1 no new clients, 2 silent ones closed, 3 no requests.",
                reading.memory_level,
            ),
            figure("memory_ceiling_bytes", "Memory that the process may have; 0: no bound.", reading.memory_ceiling),
            figure(
                "memory_pauses_total",
                "Pauses of accept because the process has nearly all the memory that it may have.",
                reading.memory_pauses,
            ),
            figure(
                "shed_total",
                "Silent client connections closed before their time because memory was short.",
                reading.shed,
            ),
            figure("panics_total", "Connections that ended in a fault of our own.", reading.panics),
            figure("pool_hits_total", "Requests that went over a kept connection to their server.", reading.pool_hits),
            figure("pool_misses_total", "Requests that needed a new connection to their server.", reading.pool_misses),
            figure("pool_stale_total", "Kept connections that their server had closed.", reading.pool_stale),
            figure(
                "pool_spoiled_total",
                "Connections to servers that could not be kept after an exchange.",
                reading.pool_spoiled,
            ),
            figure(
                "stalled_total",
                "Exchanges ended because neither side sent anything for too long.",
                reading.stalled,
            ),
            figure(
                "idle_closed_total",
                "Client connections closed because they asked for nothing for too long.",
                reading.idle_closed,
            ),
            figure("clients_gone_total", "Clients that went away before their answer.", reading.clients_gone),
            figure(
                "pool_shelved_total",
                "Idle connections to servers that a worker left to the others.",
                reading.pool_shelved,
            ),
            figure(
                "pool_takeovers_total",
                "Requests sent over an idle connection of another worker.",
                reading.pool_takeovers,
            ),
            figure("parked_total", "Times that a silent client's buffers were given up.", reading.parked),
            figure("headers_read_total", "PROXY protocol headers that trusted proxies sent.", reading.headers_read),
            figure(
                "headers_late_total",
                "Connections of trusted proxies closed because no PROXY protocol header came in time.",
                reading.headers_late,
            ),
            figure(
                "handovers_total",
                "Connections that a worker with more than its share gave to another.",
                reading.handovers,
            ),
            figure(
                "handovers_forgone_total",
                "Connections that were not given to another worker because enough had been lately.",
                reading.handovers_forgone,
            ),
            figure(
                "handovers_refused_total",
                "Connections that were not given to another worker because its queue was full.",
                reading.handovers_refused,
            ),
            figure("tls_handshakes_total", "Sessions of TLS that clients began.", reading.tls_handshakes),
            figure("tls_resumed_total", "Those of them that went on with an earlier session.", reading.tls_resumed),
            figure("marked_down_total", "Times that a server was left alone for its failures.", reading.marked_down),
            figure(
                "bad_partition_tables_total",
                "Partition tables of servers that could not be read.",
                reading.bad_partition_tables,
            ),
        ]
    }
}

impl Source for Readings {
    fn reading(&self) -> Reading {
        self.desk.heart().read(|dispatcher| self.gather(dispatcher))
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

fn certificate_reading(certificate: &CertificateInUse<'_>) -> CertificateReading {
    CertificateReading {
        cluster: certificate.port.cluster.clone(),
        port: certificate.port.port,
        server: certificate.server.cloned(),
        file: certificate.identity.path.display().to_string(),
        expires: certificate.identity.facts.not_after,
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
