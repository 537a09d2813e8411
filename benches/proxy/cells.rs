//! What is measured: the kinds of load, and how the proxies are set up for each.

use super::configuration::Setup;
use super::figures::measure::Measure;
use super::load::h2load::Http2;
use super::load::handshake::Handshake;
use super::load::wrk::{Http, Kind};

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub name: &'static str,
    pub title: &'static str,
    pub load: Load,
    /// Part of the short form.
    pub quick: bool,
    /// A few percent count here: more rounds than elsewhere.
    pub precise: bool,
    pub headline: Measure,
    pub variants: &'static [Variant],
}

#[derive(Clone, Copy, Debug)]
pub enum Load {
    Http(Http),
    /// Several requests at once on each connection.
    Http2(Http2),
    /// A TLS session for each request.
    Handshake(Handshake),
    /// Messages over WebSocket.
    Echo,
    /// Clients who stay and say nothing.
    Crowd,
}

/// One way to set the contenders of a cell up.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Stands behind the contender's name where a cell has several variants.
    pub suffix: &'static str,
    pub setup: Setup,
    /// Whether the proxy has its CPU to itself and the load the others.
    pub pinned: bool,
    /// Whether only Tsuji takes part.
    pub tsuji_only: bool,
}

const ALONE: Variant = Variant { suffix: "", setup: Setup::PLAIN, pinned: true, tsuji_only: false };

/// With affinity all load, which comes from one address, would go to one server.
const SPREAD: Variant = Variant { setup: Setup { sticky: false, ..Setup::PLAIN }, ..ALONE };

const LOG: [Variant; 2] = [
    Variant { suffix: ", log off", ..ALONE },
    Variant { suffix: ", log on", setup: Setup { access_log: true, ..Setup::PLAIN }, ..ALONE },
];

const SESSIONS: [Variant; 2] = [
    Variant { suffix: ", by address", tsuji_only: true, ..ALONE },
    Variant { suffix: ", by clone id", setup: Setup { clone_ids: true, ..Setup::PLAIN }, tsuji_only: true, ..ALONE },
];

const PARKING: [Variant; 2] = [
    Variant { suffix: ", parking off", setup: Setup { parking: false, ..Setup::PLAIN }, tsuji_only: true, ..ALONE },
    Variant { suffix: ", parking on", tsuji_only: true, ..ALONE },
];

const WORKERS: [Variant; 2] = [
    Variant { suffix: ", 1 worker", pinned: false, tsuji_only: true, ..SPREAD },
    Variant {
        suffix: ", 2 workers",
        setup: Setup { workers: 2, sticky: false, ..Setup::PLAIN },
        pinned: false,
        tsuji_only: true,
    },
];

const fn http(name: &'static str, title: &'static str, connections: usize, target: &'static str) -> Cell {
    let load = Load::Http(Http { connections, target, kind: Kind::KeepAlive });
    Cell { name, title, load, quick: false, precise: false, headline: Measure::CpuPerRequest, variants: &[ALONE] }
}

const fn kind(cell: Cell, kind: Kind) -> Cell {
    match cell.load {
        Load::Http(http) => Cell { load: Load::Http(Http { kind, ..http }), ..cell },
        Load::Http2(_) | Load::Handshake(_) | Load::Echo | Load::Crowd => cell,
    }
}

const SECURE: Variant = Variant { setup: Setup { tls: true, ..Setup::PLAIN }, ..ALONE };

const fn secure(cell: Cell) -> Cell {
    Cell { variants: &[SECURE], ..cell }
}

const fn load(cell: Cell, load: Load) -> Cell {
    Cell { load, ..cell }
}

const fn quick(cell: Cell) -> Cell {
    Cell { quick: true, ..cell }
}

/// All cells, in the order in which they are measured and shown.
pub const CELLS: [Cell; 18] = [
    quick(http("small64", "100 bytes, 64 connections", 64, "/small")),
    http("small512", "100 bytes, 512 connections", 512, "/small"),
    quick(http("16k", "16 KiB, 64 connections", 64, "/16k")),
    http("1m", "1 MiB, 16 connections", 16, "/1m"),
    quick(kind(http("connect", "A connection per request, 100 bytes, 64 at a time", 64, "/small"), Kind::Close)),
    kind(http("post", "POST of 16 KiB, 64 connections", 64, "/"), Kind::Post),
    quick(Cell {
        load: Load::Echo,
        variants: &[SPREAD],
        ..http("websocket", "WebSocket, 100 bytes there and back, 64 connections", 64, "/ws")
    }),
    Cell {
        load: Load::Crowd,
        headline: Measure::IdleClient,
        ..http("idle", "Memory per idle client, 5,000 clients", 0, "/small")
    },
    Cell { variants: &LOG, precise: true, ..http("accesslog", "Access log, 100 bytes, 64 connections", 64, "/small") },
    Cell {
        variants: &PARKING,
        precise: true,
        ..http("parking", "Buffers of silent clients given up, 100 bytes, 64 connections", 64, "/small")
    },
    Cell {
        variants: &SESSIONS,
        precise: true,
        ..http("sessions", "Affinity by clone id, 100 bytes, 64 connections", 64, "/small")
    },
    quick(secure(http("tls64", "TLS, 100 bytes, 64 connections", 64, "/small"))),
    secure(http("tls16k", "TLS, 16 KiB, 64 connections", 64, "/16k")),
    quick(secure(load(
        http("handshake", "A TLS session made anew for each request, 16 at a time", 0, "/small"),
        Load::Handshake(Handshake::Full),
    ))),
    quick(secure(load(
        http("resume", "A TLS session that goes on for each request, 16 at a time", 0, "/small"),
        Load::Handshake(Handshake::Resumed),
    ))),
    quick(secure(load(
        http("http2", "HTTP/2 inside TLS, 100 bytes, 8 connections of 16 streams", 0, "/small"),
        Load::Http2(Http2 { connections: 8, streams: 16, target: "/small" }),
    ))),
    secure(Cell {
        load: Load::Crowd,
        headline: Measure::IdleClient,
        ..http("tlsidle", "Memory per idle client inside TLS, 5,000 clients", 0, "/small")
    }),
    Cell { variants: &WORKERS, ..http("workers", "One worker and two on all CPUs, 64 connections", 64, "/small") },
];
