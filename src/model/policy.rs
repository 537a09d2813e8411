//! How the requests of one application find their server, and what is done when that server fails.

use std::time::Duration;

use super::{Balance, Name};

/// Servers of a port that carry one application (the plug-in's server cluster), and how they share its load.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: Name,
    /// Names of servers of the same port, in the order of the port's servers.
    pub servers: Vec<Name>,
    pub policy: Policy,
}

/// What may be said of a port as a whole and, differently, of each of its groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How requests without affinity are spread.
    pub balance: Balance,
    pub affinity: CookieAffinity,
    /// The cookie that carries a session id (or ours, with [`CookieAffinity::Insert`]).
    pub cookie: String,
    /// The path parameter that carries a session id where cookies are refused, as `jsessionid`; empty: URLs are not asked.
    pub url_identifier: String,
    /// How long a learnt value is remembered after its last use.
    pub cookie_time: Duration,
    pub compat: Compat,
    /// Requests with affinity do not count for the turns of the others (`IgnoreAffinityRequests`; [`Compat::Plugin`] alone).
    pub ignore_affinity: bool,
    /// How many other servers a request may be offered to after its first failed.
    pub retries: u32,
    /// Second attempts for each hundred requests; 100: no bound.
    pub retry_budget: u8,
    /// Of those, how many may follow a server's timeout; `None`: as many as there are servers (`ServerIOTimeoutRetry`).
    pub timeout_retries: Option<u32>,
    /// Failures in a row after which a server is left alone; 0: never.
    pub max_fails: u32,
    /// How long it is left alone before one request may try it.
    pub retry_interval: Duration,
    /// Percent of a group's usable servers that are never left alone for their failures.
    pub eject_floor: u8,
    /// Bytes of a request's body that are kept for a second attempt; `None`: all of it.
    pub post_buffer: Option<u64>,
    /// Bytes that a request's body may have; `None`: any number.
    pub post_limit: Option<u64>,
    /// Over which a server that came back gets from a little to its whole share; zero: at once.
    pub slow_start: Duration,
    /// Requests that may wait while all servers have as many as their `maxconnections` allow.
    pub max_queue: u32,
    /// How long they wait.
    pub queue_timeout: Duration,
}

impl Policy {
    /// The default of `cookiename`: what Java servers call theirs.
    pub const COOKIE: &'static str = "JSESSIONID";
    /// The default of `cookiename` where the cookie is ours.
    pub const OWN_COOKIE: &'static str = "TSUJI";

    /// Of a port of which nothing was said.
    pub fn preset() -> Self {
        Self {
            balance: Balance::RoundRobin,
            affinity: CookieAffinity::CloneId,
            cookie: Self::COOKIE.to_owned(),
            url_identifier: "jsessionid".to_owned(),
            cookie_time: Duration::from_secs(1800),
            compat: Compat::Off,
            ignore_affinity: true,
            retries: 2,
            retry_budget: 20,
            timeout_retries: Some(0),
            max_fails: 5,
            retry_interval: Duration::from_secs(10),
            eject_floor: 50,
            post_buffer: Some(64 * 1024),
            post_limit: None,
            slow_start: Duration::ZERO,
            max_queue: 100,
            queue_timeout: Duration::from_secs(5),
        }
    }
}

/// Where a client's session names its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CookieAffinity {
    /// In the application's session id, behind a separator: the server's clone id or jvmRoute. Where no server has one,
    /// cookies are not asked.
    CloneId,
    /// Nowhere: the value of the application's cookie is remembered with the server that set it.
    Learn,
    /// In a cookie that we add to responses.
    Insert,
    /// Cookies are not asked.
    None,
}

impl CookieAffinity {
    pub fn word(self) -> &'static str {
        match self {
            Self::CloneId => "cloneid",
            Self::Learn => "learn",
            Self::Insert => "insert",
            Self::None => "none",
        }
    }
}

/// Whose habits are kept where they differ from ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compat {
    /// Ours: only what is safe is tried again, within a budget.
    Off,
    /// The WebSphere web-server plug-in's: its turns, its attempts, its marking of servers.
    Plugin,
}
