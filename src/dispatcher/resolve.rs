//! Servers that are known by a host name: looked up at start, and again and again.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::model::ServerHost;

use super::state::{Lookup, ServerState};
use super::{Action, Dispatcher, Notice};

/// How long an answer is trusted. The system's resolver does not tell the record's own life; half a minute is what
/// operators of moving servers give theirs.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// After a failure, sooner: the server may be waiting for its first address.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Asks for every name that is due; servers of one name share one question.
    pub(super) fn start_lookups(&mut self, now: Instant) {
        if self.lookup_at.is_none_or(|due| now < due) {
            return;
        }
        let mut hosts = Vec::new();
        for server in self.servers.values_mut() {
            if let (ServerHost::Name(host), Lookup::At(due)) = (&server.server.host, &server.lookup)
                && *due <= now
            {
                server.lookup = Lookup::Asked;
                hosts.push(host.clone());
            }
        }
        hosts.sort();
        hosts.dedup();
        self.actions.extend(hosts.into_iter().map(|host| Action::Resolve { host }));
        self.plan_lookups();
    }

    /// Finds out when the next question is due.
    pub(super) fn plan_lookups(&mut self) {
        let due = |server: &ServerState| match server.lookup {
            Lookup::At(due) => Some(due),
            Lookup::Fixed | Lookup::Asked => None,
        };
        self.lookup_at = self.servers.values().filter_map(due).min();
    }

    /// A failed look-up keeps the last good address: a name server that is away takes no server out.
    pub(super) fn resolved(&mut self, host: &str, answer: Result<Vec<IpAddr>, String>, now: Instant) {
        let asked = |server: &&mut ServerState| matches!(&server.server.host, ServerHost::Name(name) if name == host);
        let answer = answer.and_then(|addresses| match addresses.is_empty() {
            true => Err("the name has no address".to_owned()),
            false => Ok(addresses),
        });
        let (mut notices, mut ports) = (Vec::new(), BTreeSet::new());
        let next = if answer.is_ok() { AGAIN_AFTER } else { RETRY_AFTER };
        for server in self.servers.values_mut().filter(asked) {
            server.lookup = Lookup::At(now + next);
            let notice = match &answer {
                Ok(addresses) => server.move_to(addresses),
                Err(words) => server.complain(host, words),
            };
            if let Some(notice) = notice {
                notices.push((server.key.clone(), notice));
                ports.insert(server.port);
            }
        }
        self.plan_lookups();
        self.new_targets |= !notices.is_empty();
        notices.sort_by(|(one, _), (other, _)| one.cmp(other));
        notices.into_iter().for_each(|(_, notice)| self.note(notice));
        for port in ports {
            self.dirty.insert(port);
            self.judge(port, now);
        }
    }
}

impl ServerState {
    /// Once is enough, and a server that has an address needs none.
    fn complain(&mut self, host: &str, words: &str) -> Option<Notice> {
        if !self.awaits_address() {
            return None;
        }
        self.complained = true;
        Some(Notice::warning(format!("server {}: cannot resolve `{host}`: {words}", self.key)))
    }

    /// The address stays while it is among the answers, because answers come in any order.
    fn move_to(&mut self, addresses: &[IpAddr]) -> Option<Notice> {
        let first = *addresses.first()?;
        if self.address.is_some_and(|address| addresses.contains(&address)) {
            return None;
        }
        let before = self.address.map_or_else(|| "unresolved".to_owned(), |address| address.to_string());
        self.address = Some(first);
        self.complained = false;
        Some(Notice::info(format!("server {}: address {before} -> {first} (name {})", self.key, self.server.host)))
    }
}
