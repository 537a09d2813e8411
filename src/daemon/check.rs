//! `tsuji check`: what is wrong with a configuration, before it is loaded.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::{Config, Resolved};
use crate::dispatcher::compare_pair;
use crate::model::{PortTls, ServerTls, SorryPage};
use crate::tls::TlsFault;

use super::accesslog;
use super::chain;
use super::fetch::{self, Fetcher};
use super::files::{self, LoadError};
use super::sorry::read_sorry_site;

/// Prints every fault and every warning. Exit code 1 when the configuration could not be loaded, or does not fit the partner's.
pub fn check(paths: &[PathBuf], partner: &[PathBuf]) -> ExitCode {
    match look(paths) {
        Ok((resolved, doubtful)) => {
            resolved.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            doubtful.iter().for_each(|warning| eprintln!("warning: {warning}"));
            let faults = beside(&resolved.config, partner);
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            if faults.is_empty() { say(&summary(&resolved)) } else { ExitCode::FAILURE }
        }
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            ExitCode::FAILURE
        }
    }
}

/// The configuration is good whoever listens; a reader that has gone away is no fault, a full disk is.
fn say(line: &str) -> ExitCode {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tsuji: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What a configuration and its partner's have against each other. Pages and certificates of the partner are on the partner.
fn beside(own: &Config, partner: &[PathBuf]) -> Vec<String> {
    if partner.is_empty() {
        return Vec::new();
    }
    let read = files::load(partner).map_err(lines);
    let resolved = read.and_then(|file| file.resolve().map_err(|faults| lines(LoadError::Faults(faults))));
    resolved.map_or_else(|faults| faults, |partner| compare_pair(own, &partner.config))
}

/// What was read, and what there is to say about certificates.
fn look(paths: &[PathBuf]) -> Result<(Resolved, Vec<String>), Vec<String>> {
    let document = files::load(paths).map_err(lines)?;
    let resolved = document.resolve().map_err(|faults| lines(LoadError::Faults(faults)))?;
    let ports = resolved.config.clusters.iter().flat_map(|cluster| &cluster.ports);
    let pages: HashSet<&SorryPage> = ports.map(|port| &port.sorry).collect();
    let unreadable: Vec<String> =
        pages.into_iter().filter_map(|page| read_sorry_site(page).err()).map(|error| chain(&error)).collect();
    let (unusable, doubtful) = certificates(&resolved.config);
    let ports = resolved.config.clusters.iter().flat_map(|cluster| &cluster.ports);
    let logs: HashSet<&PathBuf> = ports.filter_map(|port| Some(&port.accesslog.as_ref()?.path)).collect();
    let unwritable = logs.into_iter().filter_map(|path| accesslog::look_at(path).err()).map(|error| chain(&error));
    let unreadable: Vec<String> = unreadable.into_iter().chain(unwritable).chain(unusable).collect();
    if unreadable.is_empty() { Ok((resolved, doubtful)) } else { Err(unreadable) }
}

/// Certificates that cannot be used, and those that do not hold now.
fn certificates(config: &Config) -> (Vec<String>, Vec<String>) {
    let (mut unusable, mut doubtful) = (Vec::new(), Vec::new());
    let fetcher = match Fetcher::new() {
        Ok(fetcher) => fetcher,
        Err(error) => return (vec![chain(&error)], doubtful),
    };
    let ports = || config.clusters.iter().flat_map(|cluster| &cluster.ports);
    let fronts: HashSet<&PortTls> = ports().filter_map(|port| port.tls.as_ref()).collect();
    for settings in fronts {
        match fetcher.front(settings) {
            Ok((front, faults)) => {
                unusable.extend(faults.iter().map(|fault| chain(fault)));
                let dates = front.iter().flat_map(|front| front.out_of_date(fetch::now()));
                doubtful.extend(dates.map(|(path, what)| TlsFault::OutOfDate { path, what }.to_string()));
            }
            Err(fault) => unusable.push(chain(&fault)),
        }
    }
    let servers = ports().flat_map(|port| &port.servers);
    let backs: HashSet<&ServerTls> = servers.filter_map(|server| server.proxied.tls.as_ref()).collect();
    unusable.extend(backs.into_iter().filter_map(|settings| fetch::back(settings).err()).map(|fault| chain(&fault)));
    (unusable, doubtful)
}

fn lines(error: LoadError) -> Vec<String> {
    match error {
        LoadError::Faults(faults) => faults.iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    }
}

fn summary(resolved: &Resolved) -> String {
    let clusters = &resolved.config.clusters;
    let ports: Vec<_> = clusters.iter().flat_map(|cluster| &cluster.ports).collect();
    let servers: usize = ports.iter().map(|port| port.servers.len()).sum();
    let advisors = resolved.config.advisors.len();
    format!("ok: {} clusters, {} ports, {servers} servers, {advisors} advisors", clusters.len(), ports.len())
}
