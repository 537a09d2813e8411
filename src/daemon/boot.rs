//! What to start from: the configuration file, or the last good one when the file is broken, and what operators
//! changed in an earlier life.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{Config, Document, Faults, Overrides};
use crate::dispatcher::{Dispatcher, Notice, Plan, Severity};

use super::files::{self, LoadError};
use super::log;
use super::paths::Paths;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("the configuration cannot be loaded, and there is no earlier one that worked:\n{0}")]
    Configuration(LoadError),
    #[error("the configuration cannot be put in force:\n{0}")]
    Plan(#[from] Faults),
    #[error("cannot start the worker threads")]
    Workers { source: io::Error },
    #[error("`[control] owner`: there is no user `{0}`")]
    NoSuchUser(String),
    #[error("`[control] group`: there is no group `{0}`")]
    NoSuchGroup(String),
    #[error("cannot listen on {address} for metrics; `[metrics] listen` names another address, \"\" none")]
    Metrics { address: SocketAddr, source: io::Error },
}

/// A configuration to start from.
pub struct Boot {
    file: Document,
    config: Config,
    overrides: Overrides,
    paths: Paths,
    name: String,
    notices: Vec<Notice>,
}

impl Boot {
    /// Reads the files; when they cannot be used, the configuration that worked last.
    pub fn read(files: &[PathBuf]) -> Result<Self, BootError> {
        let first = files.first().cloned().unwrap_or_default();
        let mut notices = Vec::new();
        let name = first.to_string_lossy().into_owned();
        match understand(files) {
            Ok((file, config)) => {
                let paths = Paths::new(&first, &config.control);
                let overrides = read_overrides(&paths, &mut notices);
                Ok(Self { file, config, overrides, paths, name, notices })
            }
            Err(error) => Self::from_last_good(Paths::new(&first, &default_control()), error, name),
        }
    }

    /// The file was broken; what worked last is better than nothing. Operators' changes are part of it.
    fn from_last_good(paths: Paths, error: LoadError, name: String) -> Result<Self, BootError> {
        let good = paths.last_good();
        let Ok((file, config)) = understand(std::slice::from_ref(&good)) else {
            return Err(BootError::Configuration(error));
        };
        let text = format!(
            "the configuration is broken; starting with the one that worked last ({}):\n{error}",
            good.display()
        );
        let mut notices = vec![Notice { severity: Severity::Alert, text }];
        let overrides = read_overrides(&paths, &mut notices);
        Ok(Self { file, config, overrides, paths, name, notices })
    }

    /// Settings that are needed before there is a dispatcher.
    pub fn settings(&self) -> &Config {
        &self.config
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Tells what was strange, once there is a log.
    pub fn report(&self) {
        self.notices.iter().for_each(log::write);
    }

    /// The plan for a fresh dispatcher. Overrides that no longer fit must not keep it from starting.
    pub fn plan(&self, dispatcher: &Dispatcher) -> Result<Plan, BootError> {
        let whole = dispatcher.plan_layers(self.file.clone(), &self.overrides, &self.name);
        let plan = match whole {
            Ok(plan) => plan,
            Err(faults) => {
                let text = format!("changes of operators no longer fit the configuration and are left out:\n{faults}");
                log::write(&Notice { severity: Severity::Alert, text });
                dispatcher.plan_layers(self.file.clone(), &Overrides::default(), &self.name)?
            }
        };
        for dropped in &plan.dropped {
            log::write(&Notice {
                severity: Severity::Warning,
                text: format!("left out, the file says otherwise now: {dropped}"),
            });
        }
        plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(plan)
    }
}

fn understand(files: &[PathBuf]) -> Result<(Document, Config), LoadError> {
    let file = files::load(files)?;
    let config = file.resolve()?.config;
    Ok((file, config))
}

fn default_control() -> crate::model::ControlSettings {
    crate::model::ControlSettings { socket: None, mode: 0o660, owner: None, group: None, statedir: None }
}

fn read_overrides(paths: &Paths, notices: &mut Vec<Notice>) -> Overrides {
    let path = paths.overrides();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Overrides::default(),
        Err(error) => {
            let text =
                format!("cannot read the operators' changes in {}: {error}; starting without them", path.display());
            notices.push(Notice { severity: Severity::Alert, text });
            return Overrides::default();
        }
    };
    Overrides::parse(&text).unwrap_or_else(|faults| {
        let text = format!(
            "the operators' changes in {} cannot be understood; starting without them:\n{faults}",
            path.display()
        );
        notices.push(Notice { severity: Severity::Alert, text });
        Overrides::default()
    })
}
