//! The kinds of objects and what belongs to each.

use super::Keyword;
use super::application::{GROUP, ROUTE};
use super::pair::{HEARTBEAT, PAIR};
use super::settings::{ALERTS, CONTROL, EXECUTOR, LOG, MANAGER, METRICS};
use super::traffic::{ADVISOR, CLUSTER, PORT, RULE, SERVER};

/// A kind of object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    Executor,
    Manager,
    Control,
    Metrics,
    Log,
    Alerts,
    HighAvailability,
    Heartbeat,
    Cluster,
    Port,
    Server,
    Group,
    Route,
    Rule,
    Advisor,
}

/// A kind of object with its keywords, in the order in which they are printed.
#[derive(Debug)]
pub struct ObjectSchema {
    pub kind: Kind,
    /// Its word in TOML and in commands.
    pub word: &'static str,
    pub help: &'static str,
    pub keywords: &'static [Keyword],
    /// The kinds of objects within it.
    pub children: &'static [Kind],
}

impl Kind {
    pub fn schema(self) -> &'static ObjectSchema {
        match self {
            Self::Executor => &EXECUTOR,
            Self::Manager => &MANAGER,
            Self::Control => &CONTROL,
            Self::Metrics => &METRICS,
            Self::Log => &LOG,
            Self::Alerts => &ALERTS,
            Self::HighAvailability => &PAIR,
            Self::Heartbeat => &HEARTBEAT,
            Self::Cluster => &CLUSTER,
            Self::Port => &PORT,
            Self::Server => &SERVER,
            Self::Group => &GROUP,
            Self::Route => &ROUTE,
            Self::Rule => &RULE,
            Self::Advisor => &ADVISOR,
        }
    }

    pub fn word(self) -> &'static str {
        self.schema().word
    }

    /// Whether there is exactly one of it.
    pub fn is_single(self) -> bool {
        matches!(
            self,
            Self::Executor
                | Self::Manager
                | Self::Control
                | Self::Metrics
                | Self::Log
                | Self::Alerts
                | Self::HighAvailability
        )
    }

    /// The keyword, spelled in full and in lower case.
    pub fn keyword(self, word: &str) -> Option<&'static Keyword> {
        self.schema().keywords.iter().find(|keyword| keyword.word == word)
    }
}

/// All kinds, in the order in which they are printed.
pub static OBJECTS: [&ObjectSchema; 15] = [
    &EXECUTOR, &MANAGER, &CONTROL, &METRICS, &LOG, &ALERTS, &PAIR, &HEARTBEAT, &CLUSTER, &PORT, &SERVER, &GROUP,
    &ROUTE, &RULE, &ADVISOR,
];
