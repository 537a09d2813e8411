//! Policies: what a port says of all its requests, and what each of its groups says of its own.

use std::time::Duration;

use super::View;
use crate::config::value::Value;
use crate::model::{Balance, Compat, CookieAffinity, Policy};

/// What a port says.
pub(super) fn of_port(view: View<'_>) -> Policy {
    read(view, None)
}

/// What a group says; where it is silent, the port.
pub(super) fn of_group(port: View<'_>, group: View<'_>) -> Policy {
    read(port, Some(group))
}

fn read(port: View<'_>, group: Option<View<'_>>) -> Policy {
    let view = Inner { port, group };
    let compat = if view.of("compat").word("compat") == "plugin" { Compat::Plugin } else { Compat::Off };
    let affinity = affinity(view.of("affinity").word("affinity"));
    Policy {
        balance: balance(view.of("balance").word("balance")),
        affinity,
        cookie: cookie(view, affinity),
        url_identifier: view.of("urlidentifier").text("urlidentifier").to_owned(),
        cookie_time: view.of("cookietime").seconds("cookietime"),
        compat,
        ignore_affinity: compat == Compat::Off || view.of("ignoreaffinity").flag("ignoreaffinity"),
        retries: view.of("retries").count("retries"),
        retry_budget: if compat == Compat::Plugin { 100 } else { view.of("retrybudget").whole("retrybudget") as u8 },
        timeout_retries: timeout_retries(view, compat),
        max_fails: view.count_or("maxfails", if compat == Compat::Plugin { 1 } else { 5 }),
        retry_interval: view.seconds_or("retryinterval", if compat == Compat::Plugin { 60 } else { 10 }),
        eject_floor: view.of("ejectfloor").whole("ejectfloor") as u8,
        post_buffer: view.bounded("postbuffersize").map(|kib| kib.saturating_mul(1024)),
        post_limit: view.bounded("postsizelimit").map(|kib| kib.saturating_mul(1024)),
        slow_start: view.of("slowstart").seconds("slowstart"),
        max_queue: view.of("maxqueue").count("maxqueue"),
        queue_timeout: view.of("queuetimeout").seconds("queuetimeout"),
    }
}

/// Waiting once is bad enough; only the plug-in waits at one server after the other.
fn timeout_retries(view: Inner<'_>, compat: Compat) -> Option<u32> {
    match view.of("iotimeoutretries").said("iotimeoutretries") {
        None => (compat == Compat::Off).then_some(0),
        Some(_) => view.bounded("iotimeoutretries").and_then(|count| u32::try_from(count).ok()),
    }
}

/// A group within its port.
#[derive(Clone, Copy)]
struct Inner<'d> {
    port: View<'d>,
    group: Option<View<'d>>,
}

impl<'d> Inner<'d> {
    /// Who says the word; the port where nobody does, because it knows the default.
    fn of(self, word: &str) -> View<'d> {
        self.group.filter(|group| group.said(word).is_some()).unwrap_or(self.port)
    }

    fn count_or(self, word: &str, default: u32) -> u32 {
        let view = self.of(word);
        if view.said(word).is_some() { view.count(word) } else { default }
    }

    fn seconds_or(self, word: &str, default: u64) -> Duration {
        let view = self.of(word);
        if view.said(word).is_some() { view.seconds(word) } else { Duration::from_secs(default) }
    }

    /// `None`: unlimited.
    fn bounded(self, word: &str) -> Option<u64> {
        let view = self.of(word);
        match view.said(word) {
            Some(Value::Unlimited) => None,
            Some(Value::Whole(number)) => Some(*number),
            _ => view.preset_whole(word),
        }
    }
}

fn cookie(view: Inner<'_>, affinity: CookieAffinity) -> String {
    let said = view.of("cookiename").text("cookiename");
    match (said, affinity) {
        ("", CookieAffinity::Insert) => Policy::OWN_COOKIE.to_owned(),
        ("", _) => Policy::COOKIE.to_owned(),
        (said, _) => said.to_owned(),
    }
}

fn affinity(word: &str) -> CookieAffinity {
    let all = [CookieAffinity::Learn, CookieAffinity::Insert, CookieAffinity::None];
    all.into_iter().find(|affinity| affinity.word() == word).unwrap_or(CookieAffinity::CloneId)
}

fn balance(word: &str) -> Balance {
    Balance::ALL.into_iter().find(|balance| balance.word() == word).unwrap_or(Balance::RoundRobin)
}
