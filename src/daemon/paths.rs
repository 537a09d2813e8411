//! Where things are, depending on who starts the daemon.

use std::path::{Path, PathBuf};

use crate::model::ControlSettings;

/// The configuration that is loaded when none is named.
pub const DEFAULT_CONFIGURATION: &str = "/etc/tsuji/tsuji.toml";

/// Files of a running daemon.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Plain names of `file save` and `file newload` live here.
    pub configuration: PathBuf,
    /// What must survive a restart.
    pub state: PathBuf,
}

impl Paths {
    /// Of a daemon that was started with this configuration file.
    pub fn new(file: &Path, control: &ControlSettings) -> Self {
        let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let configuration = beside.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let state = control.statedir.clone().unwrap_or_else(default_state_directory);
        Self { configuration: std::path::absolute(&configuration).unwrap_or(configuration), state }
    }

    /// What operators changed since the file was loaded.
    pub fn overrides(&self) -> PathBuf {
        self.state.join("overrides.toml")
    }

    /// The configuration that worked last, for the day on which the file is broken.
    pub fn last_good(&self) -> PathBuf {
        self.state.join("last-good.toml")
    }
}

/// `/var/lib/tsuji` for root and for the service (`STATE_DIRECTORY`), the user's own state directory else.
fn default_state_directory() -> PathBuf {
    if let Some(given) = std::env::var_os("STATE_DIRECTORY") {
        return PathBuf::from(given);
    }
    if nix::unistd::Uid::effective().is_root() {
        return PathBuf::from("/var/lib/tsuji");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("tsuji")
}
