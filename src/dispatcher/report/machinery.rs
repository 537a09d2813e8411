//! The whole, the executor, the log, and the daemon's own doors.

use crate::config::PortDefaults;
use crate::control::Body;
use crate::control::reply::{
    AlertsStatus, ControlStatus, Defaults, ExecutorReport, ExecutorStatus, LogStatus, MetricsStatus, StatusReport,
    VersionReport,
};
use crate::executor::PortReading;
use crate::model::{AdministrativeState, LogFormat};

use super::Look;
use super::traffic::{refusals, traffic};

pub(super) fn version(program: &str) -> Body {
    Body::Version(VersionReport { program: program.to_owned(), version: VERSION.to_owned() })
}

impl Look<'_> {
    pub(super) fn status(&self) -> StatusReport {
        let servers = || self.heart.servers.values();
        let quiesced = |state| matches!(state, AdministrativeState::Quiesced | AdministrativeState::QuiescedNow);
        let down = servers().filter(|server| server.shown_weight() < 0).count();
        let is_quiesced = servers().filter(|server| quiesced(server.server.state)).count();
        StatusReport {
            version: VERSION.to_owned(),
            uptime_seconds: self.uptime_seconds(),
            executor_running: !self.outside.paused,
            manager_running: self.heart.config().manager.running,
            advisors: self.advisor_list(),
            clusters: self.heart.config().clusters.len(),
            ports: self.heart.ports.len(),
            servers: servers().count(),
            servers_down: down,
            servers_quiesced: is_quiesced,
            configuration: self.heart.source().map(str::to_owned).into_iter().collect(),
            generation: self.heart.generation(),
            overrides: self.changes().count(),
            warnings: self.what_needs_an_operator(),
        }
    }

    fn what_needs_an_operator(&self) -> Vec<String> {
        let alerted = self.all_ports().filter(|port| port.state.alerted);
        let alerts = alerted.map(|port| format!("port {}: all servers are down", port.state.key));
        let certificates = self.heart.certificates().filter_map(|certificate| {
            let concern = certificate.identity.facts.concern(self.outside.seconds)?;
            Some(format!(
                "{}: the certificate in `{}` {concern}",
                certificate.object(),
                certificate.identity.path.display()
            ))
        });
        let outside = self.outside.warnings.iter().cloned();
        alerts.chain(certificates).chain(outside).chain(self.heart.warnings()).collect()
    }

    pub(super) fn executor_status(&self) -> ExecutorStatus {
        let settings = &self.heart.config().executor;
        ExecutorStatus {
            version: VERSION.to_owned(),
            running: !self.outside.paused,
            workers: self.outside.workers,
            max_connections: settings.maxconnections,
            max_affinity: settings.maxaffinity,
            drain_seconds: settings.draintime.as_secs_f64(),
            defaults: defaults(self.heart.document().port_defaults(None)),
            clusters: self.heart.config().clusters.len(),
            ports: self.heart.ports.len(),
            servers: self.heart.servers.len(),
            overrides: self.changes().to_only("executor"),
        }
    }

    pub(super) fn executor_report(&self) -> ExecutorReport {
        let readings: Vec<PortReading> = self.heart.ports.values().map(|port| port.counters.read()).collect();
        let sum = |count: fn(&PortReading) -> u64| readings.iter().map(count).sum();
        ExecutorReport {
            version: VERSION.to_owned(),
            uptime_seconds: self.uptime_seconds(),
            running: !self.outside.paused,
            connections: sum(|port| port.connections),
            connections_total: sum(|port| port.accepted),
            traffic: traffic(self.heart.servers.values()),
            refusals: refusals(readings.iter()),
            retries: sum(|port| port.retries.iter().sum()),
            affinity_records: self.heart.affinity.len() as u64,
            affinity_evicted: self.heart.affinity.evicted(),
            packets: self.outside.packets.clone(),
        }
    }

    pub(super) fn log_status(&self) -> LogStatus {
        let settings = self.heart.config().log;
        let format = match settings.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        LogStatus {
            level: settings.level.get(),
            format: format.to_owned(),
            destination: "standard error".to_owned(),
            dropped: self.outside.log_dropped,
            access_log_mib: settings.accesslogsize / (1024 * 1024),
            access_log_keep: settings.accesslogkeep,
            access_log_lines: self.outside.access_logs.lines,
            access_log_dropped: self.outside.access_logs.dropped,
        }
    }

    pub(super) fn control_status(&self) -> ControlStatus {
        let settings = &self.heart.config().control;
        ControlStatus {
            socket: self.outside.socket.clone(),
            mode: format!("{:04o}", settings.mode),
            owner: settings.owner.clone(),
            group: settings.group.clone(),
            state_directory: self.outside.state_directory.clone(),
            overrides: self.changes().to_only("control"),
        }
    }

    pub(super) fn metrics_status(&self) -> MetricsStatus {
        MetricsStatus {
            listen: self.heart.config().metrics.listen.map(|address| address.to_string()),
            overrides: self.changes().to_only("metrics"),
        }
    }

    pub(super) fn alerts_status(&self) -> AlertsStatus {
        let settings = &self.heart.config().alerts;
        AlertsStatus {
            directory: settings.directory.as_ref().map(|path| path.display().to_string()),
            timeout_seconds: settings.timeout.as_secs_f64(),
            user: settings.user.clone().unwrap_or_else(|| "nobody".to_owned()),
            scripts: self.outside.scripts.clone(),
            overrides: self.changes().to_only("alerts"),
        }
    }

    fn uptime_seconds(&self) -> u64 {
        self.now.saturating_duration_since(self.heart.started).as_secs()
    }
}

pub(super) fn defaults(defaults: PortDefaults) -> Defaults {
    Defaults {
        sticky_seconds: defaults.stickytime.as_secs_f64(),
        sticky_mask: defaults.stickymask.v4(),
        sticky_mask6: defaults.stickymask.v6(),
        weight_bound: defaults.weightbound.get(),
        stale_seconds: defaults.staletimeout.map(|time| time.as_secs_f64()),
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
