//! The single objects: executor, manager, control, metrics, log, alerts.

use std::path::PathBuf;

use super::{Check, Config, View};
use crate::config::value::Value;
use crate::model::{
    AlertSettings, ControlSettings, Engine, EngineSettings, ExecutorSettings, LogFormat, LogLevel, LogSettings,
    ManagerSettings, MetricsSettings, XdpMode,
};

fn packets(view: View<'_>) -> EngineSettings {
    EngineSettings {
        interfaces: view.list("interfaces").into_iter().map(str::to_owned).collect(),
        engine: match view.word("engine") {
            "xdp" => Engine::Xdp,
            "packet_socket" => Engine::PacketSocket,
            _ => Engine::Auto,
        },
        xdpmode: match view.word("xdpmode") {
            "native" => XdpMode::Native,
            "generic" => XdpMode::Generic,
            _ => XdpMode::Auto,
        },
        connections: view.count("connections"),
        bpffs: PathBuf::from(view.text("bpffs")),
    }
}

pub(super) fn manager(view: View<'_>) -> ManagerSettings {
    ManagerSettings {
        running: view.flag("running"),
        interval: view.seconds("interval"),
        refresh: view.count("refresh"),
        sensitivity: u8::try_from(view.whole("sensitivity")).unwrap_or(u8::MAX),
        smoothing: view.decimal("smoothing"),
        velocitylimit: view.flag("velocitylimit"),
        failopen: view.flag("failopen"),
    }
}

pub(super) fn metrics(view: View<'_>) -> MetricsSettings {
    MetricsSettings { listen: view.text("listen").parse().ok() }
}

pub(super) fn log(view: View<'_>) -> LogSettings {
    let format = if view.word("format") == "json" { LogFormat::Json } else { LogFormat::Text };
    LogSettings {
        level: LogLevel::new(view.whole("loglevel")).unwrap_or(LogLevel::DEFAULT),
        format,
        accesslogsize: view.whole("accesslogsize").saturating_mul(MIB),
        accesslogkeep: view.count("accesslogkeep"),
    }
}

pub(super) fn alerts(view: View<'_>) -> AlertSettings {
    let directory = view.text("directory");
    AlertSettings {
        directory: (!directory.is_empty()).then(|| PathBuf::from(directory)),
        timeout: view.seconds("timeout"),
        user: given(view.text("user")),
    }
}

impl Check {
    pub(super) fn executor(&mut self, view: View<'_>) -> ExecutorSettings {
        let (user, group) = (given(view.text("user")), given(view.text("group")));
        if user.is_none() && group.is_some() {
            let message = "`group` is for a daemon that changes its user; `user` beside it would be right".to_owned();
            self.fault(view.place_at("group"), message);
        }
        ExecutorSettings {
            workers: u16::try_from(view.whole("workers")).unwrap_or(u16::MAX),
            maxconnections: view.count("maxconnections"),
            maxmemory: maxmemory(view),
            maxhandshakes: view.count("maxhandshakes"),
            maxaffinity: view.count("maxaffinity"),
            draintime: view.seconds("draintime"),
            user,
            group,
            packets: packets(view),
        }
    }

    pub(super) fn control(&mut self, view: View<'_>) -> ControlSettings {
        let socket = view.text("socket");
        if socket.len() > MAX_SOCKET_PATH {
            let message =
                format!("`socket` is a path of at most {MAX_SOCKET_PATH} bytes, this one has {}", socket.len());
            self.fault(view.place_at("socket"), message);
        }
        ControlSettings {
            socket: given(socket).map(PathBuf::from),
            mode: u32::from_str_radix(view.text("mode"), 8).unwrap_or(DEFAULT_MODE),
            owner: given(view.text("owner")),
            group: given(view.text("group")),
            operators: view.list("operators").into_iter().map(str::to_owned).collect(),
            statedir: given(view.text("statedir")).map(PathBuf::from),
        }
    }

    /// The metrics listener cannot have the address and port of a cluster.
    pub(super) fn metrics_beside_ports(&mut self, config: &Config, view: View<'_>) {
        let Some(listen) = config.metrics.listen else { return };
        let same = |port: &crate::model::Port| port.ports().contains(&listen.port());
        let clash =
            config.clusters.iter().find(|cluster| cluster.address == listen.ip() && cluster.ports.iter().any(same));
        if let Some(cluster) = clash {
            let message = format!(
                "the metrics listener {listen} is a port of cluster {}; another port would be right",
                cluster.name
            );
            self.fault(view.place_at("listen"), message);
        }
    }
}

fn maxmemory(view: View<'_>) -> Option<u32> {
    match view.said("maxmemory") {
        Some(Value::Whole(mib)) => Some(u32::try_from(*mib).unwrap_or(u32::MAX)),
        _ => None,
    }
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

const MIB: u64 = 1024 * 1024;
/// What the kernel's `sockaddr_un` holds, without its closing zero.
const MAX_SOCKET_PATH: usize = 107;
/// The owner and the group may speak, nobody else.
const DEFAULT_MODE: u32 = 0o660;
