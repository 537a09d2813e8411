//! Keywords of the pair of dispatchers.

use super::Preset::{List, Seconds, Text, Told, Whole, Word};
use super::value_kind::{choice, fractions, whole};
use super::{Keyword, Kind, ObjectSchema, Usage, ValueKind};

pub(super) static PAIR: ObjectSchema = ObjectSchema {
    kind: Kind::HighAvailability,
    word: "highavailability",
    help: "the pair of dispatchers of which one serves while the other stands by",
    keywords: &[
        Keyword::new(
            "role",
            choice(&["primary", "backup", "both"]),
            Told("none: there is no partner"),
            "what this dispatcher is when both are well; both: of each cluster, the one that its primaryhost names serves it",
        ),
        // IBM has one say so; most of its examples say auto. A planned way back loses nothing, and it puts the load where
        // whoever chose the primary wanted it.
        Keyword::new(
            "recovery",
            choice(&["auto", "manual"]),
            Word("auto"),
            "a primary that has returned takes over again by itself, or when an operator says takeover; the same on both",
        ),
        // IBM has none. This is the one of its examples, so nobody who copied them needs to open another.
        Keyword::new("port", whole(1, 65535), Whole(12345), "the UDP port of the heartbeats; the same on both"),
        // No default: whoever has not made a key has no pair, and should hear it from the check.
        Keyword::new(
            "key",
            ValueKind::AbsolutePath,
            Text(""),
            "the file with the key that proves heartbeats; the same content on both, must be given with a role",
        ),
        Keyword::new("node", ValueKind::Name, Told("the host's name"), "what this dispatcher calls itself"),
        Keyword::new(
            "profile",
            choice(&["standard", "fast", "ibm"]),
            Told("standard with two or more heartbeats, else ibm; after `backup add`: ibm"),
            "interval and hatimeout together: 0.1 s and 0.3 s (standard), 0.02 s and 0.1 s (fast), 0.5 s and 2 s (ibm)",
        ),
        Keyword::new("interval", fractions(10, 20), Told("the profile's"), "between two heartbeats; the same on both"),
        Keyword::new(
            "hatimeout",
            fractions(30, 60),
            Told("the profile's"),
            "a partner that is silent for so long is dead; at least three intervals, the same on both",
        ),
        // Long enough for a machine that falls over soon after it starts to do so before it has the traffic.
        Keyword::new(
            "hold",
            fractions(0, 3600),
            Seconds(30),
            "with recovery auto: how long the tables have to be in sync before the primary takes over again",
        ),
        Keyword::new(
            "reach",
            ValueKind::Addresses,
            List(&[]),
            "addresses that both dispatchers ping; who reaches fewer lets the other serve",
        ),
        Keyword::new("reachinterval", fractions(1000, 3600), Seconds(7), "between two pings of an address"),
        Keyword::new(
            "trackinterfaces",
            ValueKind::Interfaces,
            List(&[]),
            "network interfaces that need a carrier for this dispatcher to be fit",
        ),
        Keyword::new(
            "trackscripts",
            ValueKind::Names,
            List(&[]),
            "scripts in the directory of alerts that must end well for this dispatcher to be fit",
        ),
        Keyword::new(
            "probeport",
            whole(0, 65535),
            Whole(0),
            "a TCP port that answers only while this dispatcher is active, for a cloud's balancer; 0: none",
        ),
    ],
    children: &[Kind::Heartbeat],
};

pub(super) static HEARTBEAT: ObjectSchema = ObjectSchema {
    kind: Kind::Heartbeat,
    word: "heartbeat",
    help: "a way to the partner",
    keywords: &[
        Keyword::new("source", ValueKind::Address, Told("must be given"), "an address of this dispatcher")
            .used(Usage::Identity),
        Keyword::new("destination", ValueKind::Address, Told("must be given"), "the partner's address on that way")
            .used(Usage::Identity),
    ],
    children: &[],
};
