//! Keywords that a port says of all its requests and each of its groups of its own.
//!
//! Where IBM's plug-in and the field differ, the plug-in's defaults stand with `compat plugin`, ours without: the help says so.

use super::Preset::{Flag, Seconds, Told, Whole, Word};
use super::value_kind::{choice, fractions, seconds, whole};
use super::{Keyword, Preset, ValueKind};

/// Keywords of a policy, as ports say them.
pub(super) const ON_PORTS: [Keyword; COUNT] = keywords(false);
/// The same as groups say them: what they do not say is the port's.
pub(super) const ON_GROUPS: [Keyword; COUNT] = keywords(true);

const COUNT: usize = 18;

const fn keywords(on_groups: bool) -> [Keyword; COUNT] {
    [
        said(
            "affinity",
            choice(&["cloneid", "learn", "insert", "none"]),
            Word("cloneid"),
            "what names a session's server: the clone id in its session id, a learnt cookie, a cookie of ours, nothing",
            on_groups,
        ),
        said(
            "cookiename",
            ValueKind::CookieName,
            Told("JSESSIONID; with affinity insert TSUJI"),
            "the cookie that carries the session",
            on_groups,
        ),
        said(
            "urlidentifier",
            ValueKind::CookieName,
            Preset::Text("jsessionid"),
            "the path parameter that carries the session where cookies are refused; empty: URLs are not looked at",
            on_groups,
        ),
        // Java servers forget a session after 30 minutes.
        said(
            "cookietime",
            seconds(1, 32_000_000),
            Seconds(1800),
            "affinity learn: how long a value is remembered after its last use",
            on_groups,
        ),
        said(
            "compat",
            choice(&["off", "plugin"]),
            Word("off"),
            "plugin: turns, second attempts and marking of servers are those of the WebSphere web-server plug-in",
            on_groups,
        ),
        said(
            "ignoreaffinity",
            ValueKind::Flag,
            Flag(true),
            "compat plugin: requests with affinity do not count as their server's turns (IgnoreAffinityRequests)",
            on_groups,
        ),
        // Envoy's budget: what keeps second attempts from becoming the load that brings the rest down.
        said(
            "retrybudget",
            whole(0, 100),
            Whole(20),
            "second attempts for each hundred requests; 100: no bound; compat plugin has none",
            on_groups,
        ),
        said(
            "iotimeoutretries",
            ValueKind::WholeOrUnlimited { least: 0, most: 16 },
            Told("0; with compat plugin unlimited"),
            "second attempts after a server's timeout, within `retries` (ServerIOTimeoutRetry)",
            on_groups,
        ),
        said(
            "maxfails",
            whole(0, 100),
            Told("5; with compat plugin 1"),
            "failures in a row after which a server is left alone for the retryinterval; 0: never",
            on_groups,
        ),
        said(
            "retryinterval",
            fractions(100, 86_400),
            Told("10; with compat plugin 60"),
            "how long a server that failed is left alone before one request tries it",
            on_groups,
        ),
        said(
            "ejectfloor",
            whole(0, 100),
            Whole(50),
            "percent of a group's usable servers that failures never put aside; the last one never is",
            on_groups,
        ),
        // IBM's console says 64.
        said(
            "postbuffersize",
            ValueKind::WholeOrUnlimited { least: 0, most: 1_048_576 },
            Whole(64),
            "KiB of a request's body that are kept for a second attempt; 0: none",
            on_groups,
        ),
        said(
            "postsizelimit",
            ValueKind::WholeOrUnlimited { least: 0, most: 1_073_741_824 },
            Preset::Unlimited,
            "KiB that a request's body may have; beyond it 413",
            on_groups,
        ),
        said(
            "slowstart",
            seconds(0, 86_400),
            Seconds(0),
            "over which a server that came back gets from a little to its whole share; 0: at once",
            on_groups,
        ),
        said(
            "maxqueue",
            whole(0, 1_000_000),
            Whole(100),
            "requests that may wait while all servers have their maxconnections",
            on_groups,
        ),
        said("queuetimeout", fractions(0, 3600), Seconds(5), "how long such a request waits", on_groups),
        said(
            "balance",
            choice(&[
                "roundrobin",
                "hash",
                "urihash",
                "random",
                "leastconnections",
                "twochoices",
                "leasttime",
                "traffic",
            ]),
            Word("roundrobin"),
            "how those without affinity are spread: exact weighted turns, a consistent hash of the client (or path), chance, fewest connections, the better of two, fastest answers, fewest bytes",
            on_groups,
        ),
        said("retries", whole(0, 16), Whole(2), "other servers tried when one fails", on_groups),
    ]
}

const fn said(word: &'static str, value: ValueKind, preset: Preset, help: &'static str, on_groups: bool) -> Keyword {
    let preset = if on_groups { Told("the port's") } else { preset };
    let keyword = Keyword::new(word, value, preset, help);
    match word.as_bytes() {
        // Packets can be spread over servers by a hash too.
        b"balance" | b"slowstart" => keyword,
        b"retries" | b"maxfails" | b"retryinterval" | b"ejectfloor" => keyword.proxy_only(),
        _ => keyword.http_only(),
    }
}

/// A list of keywords with a policy's behind them.
#[expect(clippy::indexing_slicing, reason = "it runs when the program is built, and a mistake ends that")]
pub(super) const fn with_policy<const OWN: usize, const ALL: usize>(
    own: [Keyword; OWN],
    policy: [Keyword; COUNT],
) -> [Keyword; ALL] {
    assert!(ALL == OWN + COUNT, "room for all keywords and no more");
    let mut all = [own[0]; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < OWN { own[at] } else { policy[at - OWN] };
        at += 1;
    }
    all
}

/// Keywords of a policy.
pub(super) const POLICY_KEYWORDS: usize = COUNT;
