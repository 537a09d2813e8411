//! What the configuration says about the pair, checked.

use std::fmt;
use std::time::Duration;

use super::heartbeat::Configuration;
use super::words::{GroupId, MOST_GROUPS, MOST_PATHS, NodeId, PathId, Recovery, Role};
use crate::model::Timings;

/// One dispatcher's half of a pair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    pub node: NodeId,
    /// Each group with this dispatcher's role in it.
    pub groups: Vec<(GroupId, Role)>,
    /// The ways to the partner. None: there is no partner.
    pub paths: Vec<PathId>,
    pub timings: Timings,
    pub recovery: Recovery,
    /// How long a returned primary has to be in sync before it takes its group back. See [`Settings::HOLD`].
    pub hold: Duration,
    /// Of this program.
    pub version: u16,
    pub configuration: Configuration,
}

impl Settings {
    /// Long enough for a machine that falls over soon after it starts to do so before it has the traffic.
    pub const HOLD: Duration = Duration::from_secs(30);

    /// Whether a machine can be built of it.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.groups.is_empty() {
            return Err(SettingsError::NoGroup);
        }
        if self.groups.len() > MOST_GROUPS {
            return Err(SettingsError::TooManyGroups { groups: self.groups.len() });
        }
        if self.paths.len() > MOST_PATHS {
            return Err(SettingsError::TooManyPaths { paths: self.paths.len() });
        }
        if let Some(group) = first_twice(self.groups.iter().map(|(group, _)| *group)) {
            return Err(SettingsError::GroupTwice(group));
        }
        first_twice(self.paths.iter().copied()).map_or(Ok(()), |path| Err(SettingsError::PathTwice(path)))
    }
}

fn first_twice<T: PartialEq + Copy>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = Vec::new();
    for item in items {
        if seen.contains(&item) {
            return Some(item);
        }
        seen.push(item);
    }
    None
}

/// Why settings are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettingsError {
    NoGroup,
    TooManyGroups { groups: usize },
    TooManyPaths { paths: usize },
    GroupTwice(GroupId),
    PathTwice(PathId),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGroup => write!(out, "a pair needs a group of clusters"),
            Self::TooManyGroups { groups } => write!(out, "{groups} groups: a pair has at most {MOST_GROUPS}"),
            Self::TooManyPaths { paths } => write!(out, "{paths} paths: a pair has at most {MOST_PATHS}"),
            Self::GroupTwice(group) => write!(out, "group {} is given twice", group.0),
            Self::PathTwice(path) => write!(out, "path {} is given twice", path.0),
        }
    }
}

impl std::error::Error for SettingsError {}
