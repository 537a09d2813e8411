//! Ports: method, timeouts, sorry page.

use std::net::IpAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use super::tls::http2;
use super::{Check, View, called, policy};
use crate::config::edit::default_staletimeout;
use crate::config::object::{Key, Label, Path};
use crate::config::value::Value;
use crate::model::{
    AccessLog, AccessLogFormat, AllDown, ForwardedHeaders, ForwardingMethod, HeaderEdit, Http2Limits, Misdirected,
    OnDown, PacketSettings, Port, PortLimits, PortNumber, ProxyVersion, SelectionAlgorithm, SorryPage, StickyMask,
    Timeouts, WeightBound,
};

/// What servers and rules need to know of their port.
pub(super) struct Surroundings<'p> {
    pub path: &'p Path,
    pub address: IpAddr,
    pub number: PortNumber,
    pub is_http: bool,
    pub weightbound: WeightBound,
}

impl Check {
    pub(super) fn port(&mut self, cluster: &Path, address: IpAddr, number: PortNumber, view: View<'_>) -> Option<Port> {
        let path = &cluster.join(Key::port(number));
        let weightbound = WeightBound::new(view.whole("weightbound")).unwrap_or(WeightBound::DEFAULT);
        let method = self.method(path, view);
        let is_http = method == Some(ForwardingMethod::Http);
        let around = Surroundings { path, address, number, is_http, weightbound };
        let sorry = self.sorry(path, view);
        let accesslog = self.accesslog(path, view);
        let tls = self.port_tls(path, method, view);
        let lastport = self.lastport(path, number, view);
        let servers = self.servers(&around, view);
        let groups = self.groups(&around, &servers, view);
        let routes = self.routes(&around, &groups, view);
        let rules = self.rules(&around, &servers, &groups, view);
        Some(Port {
            number,
            method: method?,
            stickytime: view.seconds("stickytime"),
            stickymask: StickyMask::new(view.whole("stickymask"), view.whole("stickymask6"))
                .unwrap_or(StickyMask::DEFAULT),
            crossport: crossport(view).unwrap_or(number),
            weightbound,
            all_down: all_down(method, view),
            ondown: ondown(method, view),
            timeouts: timeouts(number, view),
            policy: policy::of_port(view),
            maxconnections: view.count("maxconnections"),
            limits: limits(view),
            sorry,
            accesslog,
            trusted: view.list("trustedproxies").into_iter().filter_map(|network| network.parse().ok()).collect(),
            proxyprotocol: view.word("proxyprotocol") == "on",
            sendproxy: sendproxy(view),
            forwarded: forwarded(view),
            upgrade: view.list("upgrade").into_iter().map(str::to_owned).collect(),
            poolsize: view.count("poolsize"),
            packets: PacketSettings { lastport, ..packets(view) },
            excluded_methods: view.list("excludemethods").into_iter().map(str::to_owned).collect(),
            request_edits: edits(view, "requestheaders"),
            response_edits: edits(view, "responseheaders"),
            follows: follows(view),
            monitor: view.flag("monitor"),
            http2: http2(view),
            misdirected: if view.word("misdirected") == "serve" { Misdirected::Serve } else { Misdirected::Refuse },
            tls,
            servers,
            rules,
            groups,
            routes,
        })
    }

    fn method(&mut self, path: &Path, view: View<'_>) -> Option<ForwardingMethod> {
        match view.word("method") {
            "tcp" => return Some(ForwardingMethod::Tcp),
            "http" => return Some(ForwardingMethod::Http),
            "mac" => return Some(ForwardingMethod::Mac),
            _ => {}
        }
        if view.is_silent_on("method") {
            self.fault(view.place(), format!("{} has no `method`; http, tcp or mac would be right", called(path)));
            return None;
        }
        // Faulty, which is reported; the rest of the port is still worth a look.
        Some(ForwardingMethod::Http)
    }

    fn sorry(&mut self, path: &Path, view: View<'_>) -> SorryPage {
        SorryPage {
            path: self.file_path(path, "sorrypage", view),
            errors: self.file_path(path, "errorpages", view),
            status: u16::try_from(view.whole("sorrystatus")).unwrap_or(503),
            retry_after: view.count("retryafter"),
            cache_control: view.text("sorrycache").to_owned(),
        }
    }

    fn accesslog(&mut self, path: &Path, view: View<'_>) -> Option<AccessLog> {
        let format =
            if view.word("accesslogformat") == "json" { AccessLogFormat::Json } else { AccessLogFormat::Combined };
        self.file_path(path, "accesslog", view).map(|path| AccessLog { path, format })
    }

    /// A relative path starts at the directory of the file in which it is written.
    pub(super) fn file_path(&mut self, path: &Path, word: &str, view: View<'_>) -> Option<PathBuf> {
        let text = view.text(word);
        (!text.is_empty()).then(|| self.located(path, word, text, view))
    }

    /// The same for each of a list.
    pub(super) fn file_paths(&mut self, path: &Path, word: &str, view: View<'_>) -> Vec<PathBuf> {
        view.list(word).into_iter().map(|file| self.located(path, word, file, view)).collect()
    }

    fn located(&mut self, path: &Path, word: &str, file: &str, view: View<'_>) -> PathBuf {
        let file = FilePath::new(file);
        if file.is_absolute() {
            return file.to_owned();
        }
        let place = view.field(word).and_then(|field| field.place.as_ref());
        if place.is_none() {
            let message = format!(
                "{}: `{word}` {} is relative to no file; a path from the root would be right",
                called(path),
                file.display()
            );
            self.fault(None, message);
        }
        let directory = place.and_then(|place| FilePath::new(&*place.file).parent());
        directory.map_or_else(|| file.to_owned(), |directory| directory.join(file))
    }
}

/// A proxy can do better than to try servers known dead: it can answer. A dispatcher of packets spreads, as in IBM.
fn all_down(method: Option<ForwardingMethod>, view: View<'_>) -> AllDown {
    match (view.word("all-down"), method) {
        ("spread", _) | ("", Some(ForwardingMethod::Mac)) => AllDown::Spread,
        _ => AllDown::Refuse,
    }
}

/// A proxy sees a server's connections end; packets of a dead server's clients would go nowhere until they time out.
fn ondown(method: Option<ForwardingMethod>, view: View<'_>) -> OnDown {
    match (view.word("ondown"), method) {
        ("purge", _) | ("", Some(ForwardingMethod::Mac)) => OnDown::Purge,
        _ => OnDown::Keep,
    }
}

fn packets(view: View<'_>) -> PacketSettings {
    let sticky = !view.seconds("stickytime").is_zero();
    PacketSettings {
        selection: match view.word("selectionalgorithm") {
            "connection" => SelectionAlgorithm::Connection,
            "affinity" => SelectionAlgorithm::Affinity,
            "" if !sticky => SelectionAlgorithm::Connection,
            _ => SelectionAlgorithm::ConnectionAffinity,
        },
        fintimeout: view.seconds("fintimeout"),
        reset: view.flag("reset"),
        pickup: view.flag("pickup"),
        // The rest is the cluster's, which puts it in.
        ..PacketSettings::DEFAULT
    }
}

/// The other port whose affinity records are shared, where one is named.
pub(super) fn crossport(view: View<'_>) -> Option<PortNumber> {
    match view.said("crossport") {
        Some(Value::Whole(number)) => PortNumber::new(*number).ok(),
        _ => None,
    }
}

/// Changes to fields of heads.
pub(super) fn edits(view: View<'_>, word: &str) -> Vec<HeaderEdit> {
    view.list(word).into_iter().filter_map(|edit| edit.parse().ok()).collect()
}

/// The port whose servers this one depends on.
pub(super) fn follows(view: View<'_>) -> Option<PortNumber> {
    match view.said("follows") {
        Some(Value::Whole(number)) => PortNumber::new(*number).ok(),
        _ => None,
    }
}

fn timeouts(number: PortNumber, view: View<'_>) -> Timeouts {
    let stale = match view.said("staletimeout") {
        Some(Value::Seconds(stale)) => *stale,
        _ => default_staletimeout(&Label::Number(number)),
    };
    Timeouts {
        head: view.seconds("headtimeout"),
        tls: view.seconds("tlstimeout"),
        idle: view.seconds("idletimeout"),
        park: view.seconds("parktime"),
        body: view.seconds("bodytimeout"),
        connect: view.seconds("connecttimeout"),
        server: view.seconds("servertimeout"),
        stale: stale.max(Duration::from_millis(1)),
        pool: view.seconds("pooltime"),
    }
}

/// Sizes are said in KiB.
fn limits(view: View<'_>) -> PortLimits {
    const KIB: u32 = 1024;
    let size = |word| view.count(word).saturating_mul(KIB);
    PortLimits {
        head: size("maxhead") as usize,
        body_rate: view.count("bodyrate"),
        body_grace: PortLimits::PRESET.body_grace,
        per_client: view.count("maxperclient"),
        http2: Http2Limits {
            streams: view.count("h2streams"),
            fields: size("h2fields"),
            window: size("h2window"),
            resets: view.count("h2resets"),
            pings: view.count("h2pings"),
            frames: view.count("h2frames"),
            idle: view.seconds("h2idletimeout"),
        },
    }
}

fn forwarded(view: View<'_>) -> ForwardedHeaders {
    match view.word("forwarded") {
        "forwarded" => ForwardedHeaders::Forwarded,
        "both" => ForwardedHeaders::Both,
        "off" => ForwardedHeaders::Off,
        _ => ForwardedHeaders::XForwarded,
    }
}

fn sendproxy(view: View<'_>) -> Option<ProxyVersion> {
    match view.word("sendproxy") {
        "v1" => Some(ProxyVersion::V1),
        "v2" => Some(ProxyVersion::V2),
        _ => None,
    }
}
