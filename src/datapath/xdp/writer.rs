//! Writes plans into the tables, under the eyes of packets that are looking at them.
//!
//! A packet sees the plan before or the plan after, never one in between: servers first, then each service's lines in a
//! place that nobody reads, then the word that names that place; the service table last, whole, in the bank that is not
//! in use, and then the word that names the bank.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::packet::layout::{
    CURSORS, MAX_SERVERS, MAX_SERVICES, NO_SERVER, RANGES, RANGES_A_LINE, RULES, SERVICE_BANK, server, service,
};
use crate::packet::{Plan, ServerFlags, ServerPlan, ServicePlan};
use crate::sys::datapath_layout::{Line, Range, Selection, Server, Service};
use crate::sys::shared_array::bits_of;
use crate::wire::Mac;

use super::directory::{Directory, DirectoryFull, words_of};
use super::gate::publish;
use super::image::{Source, family_of, touch_of, units_of};
use super::lines::{Lines, Run};
use super::numbers::{Identity, NoNumber, Numbers};
use super::tables::Tables;

/// Where a machine's frames go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NextHop {
    pub mac: Mac,
    /// Of our interface to it.
    pub source: Mac,
    pub interface: u32,
}

/// Machines whose MAC is known.
pub type NextHops = HashMap<IpAddr, NextHop>;

/// Why a plan is not in the tables; the one before stays in force.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    #[error("too many services: {0}")]
    Services(NoNumber),
    #[error("too many servers: {0}")]
    Servers(NoNumber),
    #[error("too many machines: {0}")]
    Machines(NoNumber),
    #[error("too many rules: {0}")]
    Cursors(NoNumber),
    #[error("service \"{0}\" has more than {RULES} rules that ask for the client's address")]
    Rules(String),
    #[error("address {0} has more than {RANGES} ranges of ports; fewer and wider ones, or port 0, would be right")]
    Ranges(IpAddr),
    #[error("the rings and hash tables of all services are too long together: no room for \"{0}\"")]
    Lines(String),
    #[error(transparent)]
    Directory(#[from] DirectoryFull),
}

/// The tables' only writer.
#[derive(Debug)]
pub struct Writer {
    services: Numbers,
    servers: Numbers,
    machines: Numbers,
    cursors: Numbers,
    lines: Lines,
    /// What each service's lines were made from, to leave alone what has not changed; `None`: what an earlier process made.
    written: HashMap<u32, (Option<Source>, Run)>,
    /// Lists of ranges, by address.
    ranges: HashMap<IpAddr, (Vec<Range>, Run)>,
    /// Ranges of an earlier process; they go with the bank that refers to them.
    adopted: Vec<Run>,
    bank: u32,
    directory: Option<Directory>,
    flipped: Option<Instant>,
}

/// Longer than any connection or affinity record that may hold a server's number is kept by default.
const NUMBER_RESTS: Duration = Duration::from_secs(3600);

/// A bank that was in use until a moment ago may still be read.
const BANK_RESTS: Duration = Duration::from_millis(10);

impl Writer {
    /// For empty tables.
    pub fn new() -> Self {
        Self {
            services: Numbers::new(1, MAX_SERVICES, NUMBER_RESTS),
            servers: Numbers::new(0, MAX_SERVERS, NUMBER_RESTS),
            machines: Numbers::new(0, MAX_SERVERS, NUMBER_RESTS),
            cursors: Numbers::new(0, CURSORS, NUMBER_RESTS),
            lines: Lines::new(),
            written: HashMap::new(),
            ranges: HashMap::new(),
            adopted: Vec::new(),
            bank: 0,
            directory: None,
            flipped: None,
        }
    }

    /// For tables that an earlier process filled: their numbers and what they hold stay.
    pub fn adopt(tables: &Tables) -> Self {
        let mut writer = Self::new();
        for (number, selection) in all(MAX_SERVICES, |number| tables.selection.get(number)) {
            if selection.identity != 0 {
                writer.services.adopt(number, Identity(selection.identity));
                writer.adopt_lines(tables, number, selection);
            }
        }
        writer.adopt_servers(tables);
        for (number, cursor) in all(CURSORS, |number| tables.cursors.get(number)) {
            if cursor.identity != 0 {
                writer.cursors.adopt(number, Identity(cursor.identity));
            }
        }
        writer.bank = tables.live.get(0).map_or(0, |live| live.bank & 1);
        writer.adopt_ranges(tables);
        writer
    }

    /// For tables that begin anew but for the servers, with services of these numbers.
    pub fn inherit(tables: &Tables, services: &[(u32, Identity)]) -> Self {
        let mut writer = Self::new();
        services.iter().for_each(|(number, owner)| writer.services.adopt(*number, *owner));
        writer.adopt_servers(tables);
        writer
    }

    fn adopt_servers(&mut self, tables: &Tables) {
        for (number, server) in all(MAX_SERVERS, |number| tables.servers.get(number)) {
            if server.identity != 0 {
                self.servers.adopt(number, Identity(server.identity));
                self.machines.adopt(u32::from(server.host), Identity(server.machine));
            }
        }
    }

    fn adopt_lines(&mut self, tables: &Tables, number: u32, selection: Selection) {
        let start = selection.line as u32;
        // The count of lines is the policy's eleventh word of 32 bits.
        let count =
            tables.plan.get(start).and_then(|line| line.words.get(5).copied()).map_or(0, |word| (word >> 32) as u32);
        let run = Run { start, length: count };
        self.lines.reserve(run);
        self.written.insert(number, (None, run));
    }

    fn adopt_ranges(&mut self, tables: &Tables) {
        let bank = self.bank * SERVICE_BANK;
        for place in 0..SERVICE_BANK {
            let Some(entry) = tables.services.get(bank + place) else { continue };
            if entry.family != 0 && entry.ranges > 0 {
                let length = usize::from(entry.ranges).div_ceil(RANGES_A_LINE) as u32;
                let run = Run { start: entry.line, length };
                self.lines.reserve(run);
                self.adopted.push(run);
            }
        }
    }

    /// The number of a server, for its counters.
    pub fn server(&self, name: &str) -> Option<u32> {
        self.servers.get(Identity::of(name))
    }

    /// The number of a service; its connections have twice this, and one more for UDP.
    pub fn service(&self, name: &str) -> Option<u32> {
        self.services.get(Identity::of(name))
    }

    /// The cursor of a service's rule.
    pub fn rule(&self, service: &str, rule: &str) -> Option<u32> {
        self.cursors.get(cursor_of(service, Some(rule)))
    }

    /// Brings the tables from whatever plan they hold to this one.
    pub fn apply(&mut self, tables: &Tables, plan: &Plan, hops: &NextHops, now: Instant) -> Result<(), WriteError> {
        check(plan)?;
        self.number_all(plan, now)?;
        self.write_servers(tables, plan, hops);
        for service in &plan.services {
            self.write_service(tables, plan, service, now)?;
        }
        self.write_directory(tables, plan, now)?;
        self.retire(tables, plan, now);
        Ok(())
    }

    fn number_all(&mut self, plan: &Plan, now: Instant) -> Result<(), WriteError> {
        for service in &plan.services {
            self.services.number(Identity::of(&service.name), now).map_err(WriteError::Services)?;
            for cursor in cursors_of(service) {
                self.cursors.number(cursor, now).map_err(WriteError::Cursors)?;
            }
            for server in &service.servers {
                self.servers.number(Identity::of(&server.name), now).map_err(WriteError::Servers)?;
                self.machines.number(machine_of(server), now).map_err(WriteError::Machines)?;
            }
        }
        Ok(())
    }

    fn write_servers(&self, tables: &Tables, plan: &Plan, hops: &NextHops) {
        for planned in plan.services.iter().flat_map(|service| &service.servers) {
            let identity = Identity::of(&planned.name);
            let Some(number) = self.servers.get(identity) else { continue };
            let machine = machine_of(planned);
            // A machine that is not resolved just now is most likely where it was: when the kernel asks again, and when a
            // new process has not heard of it yet.
            let before = tables.servers.get(number).unwrap_or_default();
            let here = if before.machine == machine.0 { before } else { Server::default() };
            let hop = planned.address.and_then(|address| hops.get(&address));
            let entry = Server {
                mac: hop.map_or(here.mac, |hop| hop.mac.0),
                source: hop.map_or(here.source, |hop| hop.source.0),
                ifindex: hop.map_or(here.ifindex, |hop| hop.interface),
                flags: flags_of(planned.flags),
                host: self.machines.get(machine).map_or(NO_SERVER, |host| host as u16),
                epoch: before.epoch + u32::from(planned.flags.forgotten && before.flags & server::FORGOTTEN == 0),
                identity: identity.0,
                machine: machine.0,
                pad: [0; 3],
            };
            if tables.servers.get(number) != Some(entry) {
                let _ = tables.servers.set(number, entry);
            }
        }
    }

    fn write_service(
        &mut self,
        tables: &Tables,
        plan: &Plan,
        service: &Arc<ServicePlan>,
        now: Instant,
    ) -> Result<(), WriteError> {
        let identity = Identity::of(&service.name);
        let Some(number) = self.services.get(identity) else { return Ok(()) };
        let source = self.source_of(plan, service, number);
        if self.written.get(&number).is_some_and(|(written, _)| written.as_ref() == Some(&source)) {
            return Ok(());
        }
        let run = self.lines.take(source.length(), now);
        let run = run.ok_or_else(|| WriteError::Lines(service.name.clone()))?;
        write_lines(tables, run.start, &source.lines(run.start));
        for (&cursor, identity) in source.cursors.iter().zip(cursors_of(service)) {
            if let Some([_, _, owner, ..]) = tables.cursors.element(cursor) {
                owner.store(identity.0, Ordering::Relaxed);
            }
        }
        if let Some([line, owner]) = tables.selection.element(number) {
            owner.store(identity.0, Ordering::Relaxed);
            // The swap: from here on new flows are decided by the new lines.
            line.store(u64::from(run.start), Ordering::Release);
        }
        if let Some((_, before)) = self.written.insert(number, (Some(source), run)) {
            self.lines.give_back(before, now);
        }
        Ok(())
    }

    fn source_of(&self, plan: &Plan, service: &Arc<ServicePlan>, number: u32) -> Source {
        let servers = service.servers.iter().filter_map(|server| self.servers.get(Identity::of(&server.name)));
        let group = service.sticky.as_ref().and_then(|sticky| self.services.get(Identity::of(&sticky.group)));
        Source {
            service: Arc::clone(service),
            servers: servers.collect(),
            cursors: cursors_of(service).filter_map(|cursor| self.cursors.get(cursor)).collect(),
            group: group.unwrap_or(number),
            siblings: self.siblings_of(plan, service),
        }
    }

    /// For a service that shares affinity records: which of its servers runs on each machine.
    fn siblings_of(&self, plan: &Plan, service: &ServicePlan) -> Vec<u16> {
        let shares = |other: &ServicePlan| {
            other.sticky.as_ref().zip(service.sticky.as_ref()).is_some_and(|(other, own)| other.group == own.group)
        };
        if plan.services.iter().filter(|other| shares(other)).count() < 2 {
            return Vec::new();
        }
        let mut siblings = Vec::new();
        for server in &service.servers {
            let machine = self.machines.get(machine_of(server));
            let number = self.servers.get(Identity::of(&server.name));
            let Some((machine, number)) = machine.zip(number) else { continue };
            if siblings.len() <= machine as usize {
                siblings.resize(machine as usize + 1, NO_SERVER);
            }
            if let Some(place) = siblings.get_mut(machine as usize) {
                *place = number as u16;
            }
        }
        siblings
    }

    fn write_directory(&mut self, tables: &Tables, plan: &Plan, now: Instant) -> Result<(), WriteError> {
        let entries = self.entries_of(tables, plan, now)?;
        let directory = Directory::of(&entries)?;
        if self.directory.as_ref() == Some(&directory) {
            return Ok(());
        }
        self.rest_bank(now);
        let bank = self.bank ^ 1;
        let first = bank * SERVICE_BANK;
        for (place, entry) in (first..).zip(&directory.entries) {
            let _ = tables.services.set(place, *entry);
        }
        publish(tables, plan, bank, directory.salt);
        let addresses: HashSet<_> = plan.services.iter().map(|service| service.address).collect();
        let gone = self.ranges.extract_if(|address, _| !addresses.contains(address)).map(|(_, (_, run))| run);
        for run in gone.chain(self.adopted.drain(..)) {
            self.lines.give_back(run, now);
        }
        self.bank = bank;
        self.directory = Some(directory);
        self.flipped = Some(now);
        Ok(())
    }

    /// Two changes at once: the bank that is to be written was in use until just now.
    fn rest_bank(&self, now: Instant) {
        if self.flipped.is_some_and(|at| now.saturating_duration_since(at) < BANK_RESTS) {
            std::thread::sleep(BANK_RESTS);
        }
    }

    /// The service table's entries: one for each single port, and one for each address with its ranges.
    fn entries_of(&mut self, tables: &Tables, plan: &Plan, now: Instant) -> Result<Vec<Service>, WriteError> {
        let singles = plan.services.iter().filter(|service| is_single(service));
        let mut entries: Vec<_> = singles.map(|service| self.single(service)).collect();
        let mut seen = HashSet::new();
        for first in plan.services.iter().filter(|service| seen.insert(service.address)) {
            let own = plan.services.iter().filter(|service| service.address == first.address);
            let mut ranges: Vec<_> = own.filter(|service| !is_single(service)).collect();
            // The narrower run is asked first; the wildcard port is the widest.
            ranges.sort_by_key(|service| service.ports.end() - service.ports.start());
            let ranges: Vec<_> = ranges.into_iter().map(|service| self.range(service)).collect();
            let run = self.write_ranges(tables, first, &ranges, now)?;
            entries.push(Service {
                address: words_of(first.address),
                family: family_of(first.address) as u8,
                flags: if first.unserved_pass { service::UNSERVED_PASS } else { 0 },
                ranges: ranges.len() as u8,
                line: run.start,
                ..Service::default()
            });
        }
        Ok(entries)
    }

    /// An address's list of ranges, in lines of its own; the lines of an unchanged list stay.
    fn write_ranges(
        &mut self,
        tables: &Tables,
        first: &ServicePlan,
        ranges: &[Range],
        now: Instant,
    ) -> Result<Run, WriteError> {
        if let Some((known, run)) = self.ranges.get(&first.address)
            && known == ranges
        {
            return Ok(*run);
        }
        let length = ranges.len().div_ceil(RANGES_A_LINE) as u32;
        let run = match length {
            0 => Run { start: 0, length: 0 },
            _ => self.lines.take(length, now).ok_or_else(|| WriteError::Lines(first.name.clone()))?,
        };
        write_lines(tables, run.start, &lines_of(ranges));
        if let Some((_, before)) = self.ranges.insert(first.address, (ranges.to_vec(), run)) {
            self.lines.give_back(before, now);
        }
        Ok(run)
    }

    fn single(&self, plan: &ServicePlan) -> Service {
        let exact = plan.address.is_ipv4() && !plan.address.is_unspecified();
        let Range { service, flags, touch, .. } = self.range(plan);
        Service {
            address: words_of(plan.address),
            port: plan.ports.start().to_be(),
            family: family_of(plan.address) as u8,
            flags: flags | if exact { service::EXACT } else { 0 },
            service,
            touch,
            ..Service::default()
        }
    }

    fn range(&self, plan: &ServicePlan) -> Range {
        let number = self.services.get(Identity::of(&plan.name)).unwrap_or_default();
        let sticky = plan.sticky.as_ref().map(|sticky| units_of(sticky.time));
        let unrecorded = if plan.unrecorded { service::UNRECORDED } else { 0 };
        Range {
            first: *plan.ports.start(),
            last: *plan.ports.end(),
            service: (number * 2) as u16,
            flags: unrecorded | if sticky.is_some() { service::STICKY } else { 0 },
            touch: sticky.map_or(0, touch_of),
        }
    }

    /// Ends what the plan no longer names. Connections of a server that has gone have ended: they are decided anew.
    fn retire(&mut self, tables: &Tables, plan: &Plan, now: Instant) {
        let services: HashSet<_> = plan.services.iter().map(|service| Identity::of(&service.name)).collect();
        let servers = || plan.services.iter().flat_map(|service| &service.servers);
        let names: HashSet<_> = servers().map(|server| Identity::of(&server.name)).collect();
        let machines: HashSet<_> = servers().map(machine_of).collect();
        let resting = plan
            .services
            .iter()
            .flat_map(|service| service.resting.iter().map(|rule| cursor_of(&service.name, Some(rule))));
        let cursors: HashSet<_> = plan.services.iter().flat_map(|service| cursors_of(service)).chain(resting).collect();
        for number in self.servers.keep(|owner| names.contains(&owner), now) {
            // The next owner of the number is not meant by records of this one.
            let epoch = tables.servers.get(number).map_or(0, |before| before.epoch + 1);
            let flags = server::DEAD | server::DOWN;
            let _ = tables.servers.set(number, Server { flags, epoch, ..Server::default() });
        }
        for number in self.services.keep(|owner| services.contains(&owner), now) {
            let _ = tables.selection.set(number, Selection::default());
            if let Some((_, run)) = self.written.remove(&number) {
                self.lines.give_back(run, now);
            }
        }
        self.machines.keep(|owner| machines.contains(&owner), now);
        for number in self.cursors.keep(|owner| cursors.contains(&owner), now) {
            let _ = tables.cursors.set(number, Default::default());
        }
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

fn all<T>(count: u32, get: impl Fn(u32) -> Option<T>) -> impl Iterator<Item = (u32, T)> {
    (0..count).filter_map(move |number| Some((number, get(number)?)))
}

/// What the program would not look at must not come into the tables.
fn check(plan: &Plan) -> Result<(), WriteError> {
    if let Some(service) = plan.services.iter().find(|service| service.rules.len() > RULES) {
        return Err(WriteError::Rules(service.name.clone()));
    }
    let mut ranges: HashMap<IpAddr, usize> = HashMap::new();
    for service in plan.services.iter().filter(|service| !is_single(service)) {
        *ranges.entry(service.address).or_default() += 1;
    }
    let many = ranges.into_iter().find(|(_, count)| *count > RANGES);
    many.map_or(Ok(()), |(address, _)| Err(WriteError::Ranges(address)))
}

fn is_single(service: &ServicePlan) -> bool {
    service.ports.start() == service.ports.end()
}

fn machine_of(server: &ServerPlan) -> Identity {
    server.address.map_or_else(|| Identity::of(&server.name), |address| Identity::of(&address.to_string()))
}

/// The service's own cursor, then its rules'.
fn cursors_of(service: &ServicePlan) -> impl Iterator<Item = Identity> {
    let rules = service.rules.iter().map(|rule| cursor_of(&service.name, Some(&rule.name)));
    std::iter::once(cursor_of(&service.name, None)).chain(rules)
}

fn cursor_of(service: &str, rule: Option<&str>) -> Identity {
    Identity::of(&format!("{service}/{}", rule.unwrap_or_default()))
}

fn flags_of(flags: ServerFlags) -> u16 {
    let bits = [
        (flags.affinity, server::AFFINITY),
        (flags.down, server::DOWN),
        (flags.dead, server::DEAD),
        (flags.reset, server::RESET),
        (flags.local, server::LOCAL),
        (flags.sticky_no, server::STICKY_NO),
        (flags.forgotten, server::FORGOTTEN),
    ];
    bits.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit)
}

fn write_lines(tables: &Tables, start: u32, lines: &[Line]) {
    for (place, line) in (start..).zip(lines) {
        let _ = tables.plan.set(place, *line);
    }
}

fn lines_of(ranges: &[Range]) -> Vec<Line> {
    let line_of = |chunk: &[Range]| {
        let mut line = Line::default();
        for (word, range) in line.words.iter_mut().zip(chunk) {
            *word = bits_of(range).next().unwrap_or_default();
        }
        line
    };
    ranges.chunks(RANGES_A_LINE).map(line_of).collect()
}
