//! Keywords that a port says of all its requests and each of its groups of its own.
//!
//! Where IBM's plug-in and the field differ, the plug-in's defaults stand with `compat plugin`, ours without: the help says so.

use super::Preset::{Flag, Seconds, Told, Whole, Word};
use super::value_kind::{choice, fractions, seconds, whole};
use super::{Keyword, Preset, ValueKind};

/// Keywords of a policy, as ports say them.
pub(super) const ON_PORTS: [Keyword; POLICY_KEYWORDS] = [
    said(
        "affinity",
        choice(&["cloneid", "learn", "insert", "none"]),
        Word("cloneid"),
        "what names a session's server: the clone id in its session id, a learnt cookie, a cookie of ours, nothing",
    ),
    said(
        "cookiename",
        ValueKind::CookieName,
        Told("JSESSIONID; with affinity insert TSUJI"),
        "the cookie that carries the session",
    ),
    said(
        "urlidentifier",
        ValueKind::CookieName,
        Preset::Text("jsessionid"),
        "the path parameter that carries the session where cookies are refused; empty: URLs are not looked at",
    ),
    // Java servers forget a session after 30 minutes.
    said(
        "cookietime",
        seconds(1, 32_000_000),
        Seconds(1800),
        "affinity learn: how long a value is remembered after its last use",
    ),
    said(
        "compat",
        choice(&["off", "plugin"]),
        Word("off"),
        "plugin: turns, second attempts and marking of servers are those of the WebSphere web-server plug-in",
    ),
    said(
        "ignoreaffinity",
        ValueKind::Flag,
        Flag(true),
        "compat plugin: requests with affinity do not count as their server's turns (IgnoreAffinityRequests)",
    ),
    // Envoy's budget: what keeps second attempts from becoming the load that brings the rest down.
    said(
        "retrybudget",
        whole(0, 100),
        Whole(20),
        "second attempts for each hundred requests; 100: no bound; compat plugin has none",
    ),
    said(
        "iotimeoutretries",
        ValueKind::WholeOrUnlimited { least: 0, most: 16 },
        Told("0; with compat plugin unlimited"),
        "second attempts after a server's timeout, within `retries` (ServerIOTimeoutRetry)",
    ),
    said(
        "maxfails",
        whole(0, 100),
        Told("5; with compat plugin 1"),
        "failures in a row after which a server is left alone for the retryinterval; 0: never",
    ),
    said(
        "retryinterval",
        fractions(100, 86_400),
        Told("10; with compat plugin 60"),
        "how long a server that failed is left alone before one request tries it",
    ),
    said(
        "ejectfloor",
        whole(0, 100),
        Whole(50),
        "percent of a group's usable servers that failures never put aside; the last one never is",
    ),
    // IBM's console says 64.
    said(
        "postbuffersize",
        ValueKind::WholeOrUnlimited { least: 0, most: 1_048_576 },
        Whole(64),
        "KiB of a request's body that are kept for a second attempt; 0: none",
    ),
    said(
        "postsizelimit",
        ValueKind::WholeOrUnlimited { least: 0, most: 1_073_741_824 },
        Preset::Unlimited,
        "KiB that a request's body may have; beyond it 413",
    ),
    said(
        "slowstart",
        seconds(0, 86_400),
        Seconds(0),
        "over which a server that came back gets from a little to its whole share; 0: at once",
    ),
    said(
        "maxqueue",
        whole(0, 1_000_000),
        Whole(100),
        "requests that may wait while all servers have their maxconnections",
    ),
    said("queuetimeout", fractions(0, 3600), Seconds(5), "how long such a request waits"),
    said(
        "balance",
        choice(&["roundrobin", "hash", "urihash", "random", "leastconnections", "twochoices", "leasttime", "traffic"]),
        Word("roundrobin"),
        "how those without affinity are spread: exact weighted turns, a consistent hash of the client (or path), chance, fewest connections, the better of two, fastest answers, fewest bytes",
    ),
    said("retries", whole(0, 16), Whole(2), "other servers tried when one fails"),
];

/// The same as groups say them.
pub(super) const ON_GROUPS: [Keyword; POLICY_KEYWORDS] = inherited(ON_PORTS);

/// Keywords of a policy.
pub(super) const POLICY_KEYWORDS: usize = 18;

/// What a group does not say is its port's.
#[expect(clippy::indexing_slicing, reason = "it runs when the program is built, and a mistake ends that")]
const fn inherited(mut keywords: [Keyword; POLICY_KEYWORDS]) -> [Keyword; POLICY_KEYWORDS] {
    let mut at = 0;
    while at < POLICY_KEYWORDS {
        keywords[at].preset = Told("the port's");
        at += 1;
    }
    keywords
}

const fn said(word: &'static str, value: ValueKind, preset: Preset, help: &'static str) -> Keyword {
    let keyword = Keyword::new(word, value, preset, help);
    match word.as_bytes() {
        // Packets can be spread over servers by a hash too.
        b"balance" | b"slowstart" => keyword,
        b"retries" | b"maxfails" | b"retryinterval" | b"ejectfloor" => keyword.proxy_only(),
        _ => keyword.http_only(),
    }
}
