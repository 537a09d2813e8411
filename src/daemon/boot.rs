//! What to start from: the configuration file, or the last good one when the file is broken, and what operators
//! changed in an earlier life.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, Document, Faults, Overrides};
use crate::dispatcher::{Dispatcher, Needs, Notice, Plan, Severity};
use crate::model::ControlSettings;

use super::files::{self, LoadError};
use super::log;
use super::paths::Paths;
use super::privileges::PrivilegeError;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("the configuration cannot be loaded, and there is no earlier one that worked:\n{0}")]
    Configuration(LoadError),
    #[error("the configuration cannot be put in force:\n{0}")]
    Plan(#[from] Faults),
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
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
    /// Why the file was not used.
    broken: Option<String>,
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
                Ok(Self { file, config, overrides, paths, name, notices, broken: None })
            }
            Err(error) => {
                let control = ControlSettings { statedir: statedir_of_broken(files), ..default_control() };
                Self::from_last_good(Paths::new(&first, &control), error, name)
            }
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
        let mut notices = vec![Notice { severity: Severity::Alert, text: text.clone() }];
        let overrides = read_overrides(&paths, &mut notices);
        Ok(Self { file, config, overrides, paths, name, notices, broken: Some(text) })
    }

    /// Settings that are needed before there is a dispatcher.
    pub fn settings(&self) -> &Config {
        &self.config
    }

    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Why the file was not used, when what worked last was started instead.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
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

    /// What of the plan's needs was named by the files that the daemon was started with. The rest comes from the state
    /// directory, where a daemon that is not root may write.
    pub fn needs_of_files(&self, dispatcher: &Dispatcher, plan: &Plan) -> Needs {
        if self.broken.is_some() {
            return Needs::default();
        }
        if self.overrides.is_empty() {
            return plan.needs.clone();
        }
        let alone = dispatcher.plan_layers(self.file.clone(), &Overrides::default(), &self.name);
        alone.map(|plan| plan.needs).unwrap_or_default()
    }
}

fn understand(files: &[PathBuf]) -> Result<(Document, Config), LoadError> {
    let file = files::load(files)?;
    let config = file.resolve()?.config;
    Ok((file, config))
}

/// Where a file that cannot be used says that the state is. Looked for by eye, line by line, because its syntax may be
/// what is broken; a guess that is wrong finds no configuration there and does no harm.
fn statedir_of_broken(files: &[PathBuf]) -> Option<PathBuf> {
    let texts = files.iter().filter_map(|file| files::read(file).ok());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let named = lines.iter().rev().find_map(|line| {
        let (before, after) = line.split_once("statedir")?;
        let is_toml = before.trim().is_empty();
        let is_command = before.trim_start().trim_start_matches("dscontrol ").starts_with("control set");
        let value = after.trim_start().trim_start_matches('=').split('#').next()?;
        (is_toml || is_command).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    })?;
    (!named.is_empty()).then(|| PathBuf::from(named))
}

fn default_control() -> ControlSettings {
    ControlSettings { socket: None, mode: 0o660, owner: None, group: None, operators: Vec::new(), statedir: None }
}

/// Not through a link: the daemon makes none here, and who is not root might have one put for root to follow.
fn read_own(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.take(files::MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn read_overrides(paths: &Paths, notices: &mut Vec<Notice>) -> Overrides {
    let path = paths.overrides();
    let text = match read_own(&path) {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_broken_file_still_says_where_the_state_is() {
        let directory = tempfile::tempdir().unwrap();
        let cases = [
            ("[control\nstatedir = \"/var/lib/one\" # here\n", Some("/var/lib/one")),
            ("  statedir='/two'\nbroken", Some("/two")),
            ("dscontrol control set statedir /three\nnonsense", Some("/three")),
            ("# statedir = \"/four\"\n", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            let file = directory.path().join("broken.toml");
            fs::write(&file, text).unwrap();
            assert_eq!(statedir_of_broken(&[file]), wanted.map(PathBuf::from), "{text}");
        }
    }
}
