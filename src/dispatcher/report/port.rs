//! Ports.

use std::collections::HashMap;

use crate::config::{Operand, Refusal};
use crate::control::reply::{GroupStatus, Listener, PortReport, PortStatus, RouteStatus, TimeoutsStatus};
use crate::model::{AccessLogFormat, AllDown, Destination, ForwardedHeaders, Group, OnDown, PortId, PortNumber, Route};

use super::Look;
use super::select::{PortView, ServerView, is_usable};
use super::traffic::{latency, refusals, responses, traffic};

impl<'a> Look<'a> {
    pub(super) fn port_status(&self, operand: &Operand) -> Result<Vec<PortStatus>, Refusal> {
        Ok(self.ports(operand)?.into_iter().map(|port| self.status_of_port(port)).collect())
    }

    fn status_of_port(&self, port: PortView<'_>) -> PortStatus {
        let settings = &port.state.settings;
        PortStatus {
            cluster: port.cluster.name.to_string(),
            cluster_address: port.cluster.address.to_string(),
            port: settings.number.get(),
            last_port: settings.packets.lastport.map(PortNumber::get),
            listener: self.listener(),
            servers: settings.servers.len(),
            rules: settings.rules.len(),
            method: settings.method.word().to_owned(),
            sticky_seconds: settings.stickytime.as_secs_f64(),
            sticky_mask: settings.stickymask.v4(),
            sticky_mask6: settings.stickymask.v6(),
            cross_port: settings.crossport.get(),
            weight_bound: settings.weightbound.get(),
            all_down: all_down(settings.all_down).to_owned(),
            on_down: on_down(settings.ondown).to_owned(),
            timeouts: TimeoutsStatus::from(&settings.timeouts),
            pool_size: settings.poolsize,
            retries: settings.policy.retries,
            max_connections: settings.maxconnections,
            sorry_page: settings.sorry.path.as_ref().map(|path| path.display().to_string()),
            sorry_status: settings.sorry.status,
            retry_after: settings.sorry.retry_after,
            sorry_cache: settings.sorry.cache_control.clone(),
            access_log: settings.accesslog.as_ref().map(|log| log.path.display().to_string()),
            access_log_format: settings
                .accesslog
                .as_ref()
                .map_or(AccessLogFormat::Combined, |log| log.format)
                .word()
                .to_owned(),
            trusted_proxies: settings.trusted.iter().map(ToString::to_string).collect(),
            proxy_protocol: settings.proxyprotocol,
            send_proxy: settings.sendproxy.map(|version| version.word().to_owned()),
            forwarded: forwarded(settings.forwarded).to_owned(),
            upgrade: settings.upgrade.clone(),
            balance: settings.policy.balance.word().to_owned(),
            affinity: settings.policy.affinity.word().to_owned(),
            cookie: settings.policy.cookie.clone(),
            groups: settings.groups.iter().map(|group| group_status(port, group)).collect(),
            routes: settings.routes.iter().map(route_status).collect(),
            follows: settings.follows.map(PortNumber::get),
            monitor: settings.monitor,
            overrides: self.changes().to("port", &port.state.key),
        }
    }

    pub(super) fn port_report(&self, operand: &Operand) -> Result<Vec<PortReport>, Refusal> {
        let ports = self.ports(operand)?;
        let records = self.heart.affinity.census(self.now);
        Ok(ports.into_iter().map(|port| self.report_of_port(port, &records)).collect())
    }

    fn report_of_port(&self, port: PortView<'a>, records: &HashMap<PortId, u64>) -> PortReport {
        let servers: Vec<ServerView<'_>> = self.servers_of(port).collect();
        let usable = || servers.iter().filter(|server| server.is_usable());
        let reading = port.state.counters.read();
        PortReport {
            cluster: port.cluster.name.to_string(),
            cluster_address: port.cluster.address.to_string(),
            port: port.state.key.port.get(),
            last_port: port.state.settings.packets.lastport.map(PortNumber::get),
            listener: self.listener(),
            method: port.state.settings.method.word().to_owned(),
            servers: servers.len(),
            usable: usable().count(),
            max_weight: usable().map(|server| server.state.weight.get()).max().unwrap_or_default(),
            connections: reading.connections,
            connections_total: reading.accepted,
            requests: reading.requests,
            traffic: traffic(servers.iter().map(|server| server.state)),
            responses: responses(&reading.codes),
            refusals: refusals(std::iter::once(&reading)),
            retries: reading.retries.iter().sum(),
            affinity_records: records.get(&port.state.affinity_group).copied().unwrap_or_default(),
            latency: latency(&reading),
        }
    }

    fn listener(&self) -> Listener {
        if self.outside.paused { Listener::Paused } else { Listener::Listening }
    }
}

fn all_down(policy: AllDown) -> &'static str {
    match policy {
        AllDown::Spread => "spread",
        AllDown::Refuse => "refuse",
    }
}

fn on_down(policy: OnDown) -> &'static str {
    match policy {
        OnDown::Keep => "keep",
        OnDown::Purge => "purge",
    }
}

fn forwarded(headers: ForwardedHeaders) -> &'static str {
    match headers {
        ForwardedHeaders::XForwarded => "x-forwarded",
        ForwardedHeaders::Forwarded => "forwarded",
        ForwardedHeaders::Both => "both",
        ForwardedHeaders::Off => "off",
    }
}

fn group_status(port: PortView<'_>, group: &Group) -> GroupStatus {
    let table = port.table.groups().iter().find(|table| table.name.as_ref() == Some(&group.name));
    let entries =
        table.into_iter().flat_map(|table| table.members.iter().filter_map(|&index| port.table.server(index)));
    GroupStatus {
        group: group.name.to_string(),
        servers: group.servers.iter().map(ToString::to_string).collect(),
        usable: entries.filter(|entry| is_usable(entry)).count(),
        balance: group.policy.balance.word().to_owned(),
        affinity: group.policy.affinity.word().to_owned(),
        cookie: group.policy.cookie.clone(),
        waiting: table.map_or(0, |table| table.queue.len()),
    }
}

fn route_status(route: &Route) -> RouteStatus {
    let (group, redirect) = match &route.to {
        Destination::Group(group) => (group.as_ref().map(ToString::to_string), None),
        Destination::Redirect(redirect) => (None, Some(redirect.location.clone())),
    };
    RouteStatus {
        route: route.name.to_string(),
        hosts: route.hosts.iter().map(ToString::to_string).collect(),
        uris: route.uris.iter().map(ToString::to_string).collect(),
        group,
        redirect,
    }
}
