//! From what was written to what it means: defaults, references, ranges that depend on each other.
//!
//! Every fault is found, not only the first; what works but will surprise becomes a warning.

mod advisor;
mod advisor_warnings;
mod application;
mod application_checks;
mod cluster;
mod cross_port;
mod defaults;
mod follows;
mod packets;
mod pair;
mod policy;
mod port;
mod ranges;
mod rule;
mod rule_warnings;
mod server;
mod settings;
mod tls;
mod view;
mod warnings;

use super::fault::{Collector, Place};
use super::object::Path;
use super::schema::Kind;
use super::{Config, Document, Fault, Faults};
pub use defaults::PortDefaults;
use view::View;

/// A configuration with nothing left to check, and what its author should know.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub config: Config,
    /// With a place where there is one.
    pub warnings: Vec<Fault>,
}

impl Document {
    /// What the document means, or everything that is wrong with it. Whether files exist and addresses are this machine's
    /// own is looked at when they are used.
    pub fn resolve(&self) -> Result<Resolved, Faults> {
        let mut check = Check { faults: Collector::default(), warnings: Collector::default() };
        let view = View::root(&self.root);
        let config = Config {
            executor: check.executor(view.single(Kind::Executor)),
            manager: settings::manager(view.single(Kind::Manager)),
            control: check.control(view.single(Kind::Control)),
            metrics: settings::metrics(view.single(Kind::Metrics)),
            log: settings::log(view.single(Kind::Log)),
            alerts: settings::alerts(view.single(Kind::Alerts)),
            pair: check.pair(view.single(Kind::HighAvailability)),
            clusters: check.clusters(view),
            advisors: check.advisors(view),
        };
        check.metrics_beside_ports(&config, view.single(Kind::Metrics));
        check.packets(&config, view);
        check.pair_beside_clusters(&config, view);
        check.applications(&config, view);
        check.warnings.extend(self.notes.iter().cloned());
        check.warn(view, &config);
        let warnings = check.warnings.into_list();
        check.faults.settle(Resolved { config, warnings })
    }
}

/// The faults and warnings found so far.
struct Check {
    faults: Collector,
    warnings: Collector,
}

impl Check {
    fn fault(&mut self, place: Option<&Place>, message: String) {
        self.faults.add(place, message);
    }

    fn warning(&mut self, place: Option<&Place>, message: String) {
        self.warnings.add(place, message);
    }
}

/// How messages call an object: its kind and its operand.
fn called(path: &Path) -> String {
    format!("{} {path}", path.kind().map_or("", Kind::word))
}
