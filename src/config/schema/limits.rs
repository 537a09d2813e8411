//! Keywords of a port that bound what its clients may ask of it.
//!
//! Each default is far above what any browser or library does, and each has a counter that tells when somebody came up to
//! it ([`crate::message::ErrorReason`]).

use super::Keyword;
use super::Preset::{Seconds, Whole};
use super::value_kind::{fractions, whole};

pub(super) const ON_PORTS: [Keyword; PORT_LIMIT_KEYWORDS] = [
    // Four times what browsers and servers agree on for cookies, as much as HAProxy's and nginx's defaults together.
    Keyword::new("maxhead", whole(8, 128), Whole(32), "KiB of a request's head in HTTP/1.1; beyond it 431").http_only(),
    // A modem of the last century brings ten times as much. Who streams little by little on purpose needs a 0.
    Keyword::new(
        "bodyrate",
        whole(0, 1_000_000_000),
        Whole(500),
        "bytes a second that a request's body must bring, over all the time that it was waited for but its first 10 s; 0: any",
    )
    .http_only(),
    // None: a company, a mobile operator or the balancer before us is one address with many people behind it, and nobody
    // but the operator knows how many. A bound that turns such away does an attacker's work.
    Keyword::new(
        "maxperclient",
        whole(0, 10_000_000),
        Whole(0),
        "connections of one client address, an IPv6 network of 64 bits counting as one; trusted proxies have none; 0: no bound",
    )
    .proxy_only(),
    // Browsers open about a hundred.
    Keyword::new("h2streams", whole(1, 1000), Whole(128), "HTTP/2: requests of one connection at a time").http_only(),
    Keyword::new(
        "h2fields",
        whole(4, 256),
        Whole(32),
        "HTTP/2: KiB of a request's fields, with 32 bytes for each; beyond it 431",
    )
    .http_only(),
    // A server that takes 256 KiB in each round trip of 50 ms gets 5 MB/s from each request.
    Keyword::new(
        "h2window",
        whole(64, 16_384),
        Whole(256),
        "HTTP/2: KiB of one request's body, half of those of all together, that wait for a server",
    )
    .http_only(),
    // A page that is left while its hundred parts are on their way.
    Keyword::new(
        "h2resets",
        whole(1, 1_000_000),
        Whole(100),
        "HTTP/2: requests that a client may take back in 10 s; a fifth of them before they were looked at",
    )
    .http_only(),
    // gRPC and browsers ping every few seconds at most.
    Keyword::new("h2pings", whole(1, 1_000_000), Whole(100), "HTTP/2: pings of a client in 10 s").http_only(),
    // One word for all of them: none has an honest use in numbers, so whoever must loosen one knows a client that is odd
    // in general.
    Keyword::new(
        "h2frames",
        whole(10, 10_000),
        Whole(100),
        "HTTP/2: percent of what a client may send of other frames: 50 settings, 200 priorities, 100 empty data, 1000 windows not paid for, in 10 s",
    )
    .http_only(),
    // As nginx, Envoy and the browsers have it: one connection serves a whole site, and a new one costs more.
    Keyword::new("h2idletimeout", fractions(100, 86_400), Seconds(120), "HTTP/2: between the requests of a connection")
        .http_only(),
];

pub(super) const PORT_LIMIT_KEYWORDS: usize = 10;
