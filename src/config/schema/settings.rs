//! Keywords of the single objects: executor, manager, control, metrics, log, alerts.
//!
//! Defaults are IBM's where IBM has them; the others carry their reason here.

use super::Preset::{Decimal, Flag, List, Seconds, Text, Told, Whole, Word};
use super::inherited::{STALETIMEOUT, STICKYMASK, STICKYMASK6, STICKYTIME, WEIGHTBOUND};
use super::value_kind::{choice, fractions, whole};
use super::{Keyword, Kind, ObjectSchema, Usage, ValueKind};

pub(super) static EXECUTOR: ObjectSchema = ObjectSchema {
    kind: Kind::Executor,
    word: "executor",
    help: "forwards; its sticky, weight and stale settings are copied into clusters created later",
    keywords: &[
        Keyword::new("workers", whole(0, 1024), Whole(0), "proxy threads; 0: one per CPU"),
        Keyword::new(
            "maxconnections",
            whole(0, 10_000_000),
            Whole(0),
            "client connections over all ports; 0: as many as file descriptors allow",
        ),
        // What a process takes beyond it is taken from others on the machine, or ends it.
        Keyword::new(
            "maxmemory",
            whole(0, 16_777_216),
            Told(
                "three quarters of what is free when the daemon starts, or of its control group's limit if that is less",
            ),
            "MiB of memory; close to it the daemon takes no more clients, then leaves silent ones, then answers 503; 0: no bound",
        ),
        // Some 10 KiB each. A worker finishes thousands in a second, so that more of them only wait longer.
        Keyword::new(
            "maxhandshakes",
            whole(1, 1_000_000),
            Whole(1024),
            "TLS sessions in the making of one worker; who comes beyond it waits, within its tlstimeout",
        ),
        // 262,144 records of some 100 bytes: 25 MiB.
        Keyword::new(
            "maxaffinity",
            whole(1, 16_777_216),
            Whole(262_144),
            "affinity records; beyond it the longest unused one makes room",
        ),
        // systemd's own patience with a service that stops is 90 s.
        Keyword::new(
            "draintime",
            fractions(0, 86_400),
            Seconds(30),
            "how long running exchanges may take to end when the daemon stops",
        ),
        // Empty: the service manager may have changed the user already, and who tries things out is not root.
        Keyword::new(
            "user",
            ValueKind::Account,
            Text(""),
            "whom a daemon that root starts becomes, once it has read what root alone can read; empty: it stays who it is",
        ),
        Keyword::new("group", ValueKind::Account, Told("the user's own group"), "with that `user`: another group"),
        Keyword::new(
            "interfaces",
            ValueKind::Interfaces,
            List(&[]),
            "where packets of mac ports come in; takes effect when the daemon starts, as do the next four",
        ),
        Keyword::new(
            "engine",
            choice(&["auto", "xdp", "packet_socket"]),
            Word("auto"),
            "what forwards packets: a program in the kernel, or in this process; auto: in the kernel where that is allowed",
        ),
        Keyword::new(
            "xdpmode",
            choice(&["auto", "native", "generic"]),
            Word("auto"),
            "the program runs in the network driver, or in the kernel's generic receive path; auto: in the driver if it can",
        ),
        // A million takes some 140 MiB of the kernel's memory.
        Keyword::new(
            "connections",
            whole(1024, 16_777_216),
            Whole(1_048_576),
            "connections of mac ports that can be remembered",
        ),
        Keyword::new("bpffs", ValueKind::AbsolutePath, Text("/sys/fs/bpf"), "where the BPF file system is mounted"),
        STICKYTIME,
        STICKYMASK,
        STICKYMASK6,
        WEIGHTBOUND,
        STALETIMEOUT,
    ],
    children: &[],
};

pub(super) static MANAGER: ObjectSchema = ObjectSchema {
    kind: Kind::Manager,
    word: "manager",
    help: "turns measurements into weights",
    keywords: &[
        Keyword::new(
            "running",
            ValueKind::Flag,
            Flag(true),
            "no: weights stay what they are; verdicts of advisors still count",
        )
        .used(Usage::Elsewhere("manager start | manager stop"))
        .lean(),
        Keyword::new("interval", fractions(100, 3600), Seconds(2), "between two rounds"),
        Keyword::new("refresh", whole(1, 1000), Whole(2), "connection counts are taken every so many rounds"),
        Keyword::new(
            "sensitivity",
            whole(1, 100),
            Whole(5),
            "percent by which a port's sum of weights must change before new ones are used",
        ),
        // Below 1 a step would go beyond its target.
        Keyword::new(
            "smoothing",
            ValueKind::Decimal { least: 1, most: 1000 },
            Decimal(1.5),
            "the larger, the smaller the step towards the target",
        ),
        Keyword::new(
            "velocitylimit",
            ValueKind::Flag,
            Flag(false),
            "at most max(1, 20 %) of a port's servers are taken out by advisors per advisor interval",
        ),
        Keyword::new(
            "failopen",
            ValueKind::Flag,
            Flag(false),
            "with less than half of a port's servers healthy, verdicts of advisors are set aside",
        ),
    ],
    children: &[],
};

pub(super) static CONTROL: ObjectSchema = ObjectSchema {
    kind: Kind::Control,
    word: "control",
    help: "where dscontrol comes in",
    keywords: &[
        Keyword::new(
            "socket",
            ValueKind::AbsolutePath,
            Told("/run/tsuji/control.sock, for other users than root in $XDG_RUNTIME_DIR"),
            "the control socket",
        ),
        Keyword::new("mode", ValueKind::Mode, Text("0660"), "permission bits of the socket"),
        Keyword::new("owner", ValueKind::Account, Told("the daemon's user"), "owner of the socket"),
        Keyword::new("group", ValueKind::Account, Told("the daemon's group"), "group of the socket"),
        Keyword::new(
            "operators",
            ValueKind::Accounts,
            List(&[]),
            "users who may quiesce servers and take them down and up, and look, and no more: for scripts",
        ),
        Keyword::new(
            "statedir",
            ValueKind::AbsolutePath,
            Told("/var/lib/tsuji, for other users than root in $XDG_STATE_HOME"),
            "keeps overrides and the last good configuration",
        ),
    ],
    children: &[],
};

pub(super) static METRICS: ObjectSchema = ObjectSchema {
    kind: Kind::Metrics,
    word: "metrics",
    help: "where Prometheus comes in",
    keywords: &[
        // Loopback: names and addresses of servers are nobody else's business until the operator says so.
        Keyword::new(
            "listen",
            ValueKind::Listen,
            Text("127.0.0.1:9150"),
            "address and port of /metrics and /healthz; empty: off",
        ),
    ],
    children: &[],
};

pub(super) static LOG: ObjectSchema = ObjectSchema {
    kind: Kind::Log,
    word: "log",
    help: "diagnostics on stderr",
    keywords: &[
        Keyword::new(
            "loglevel",
            whole(0, 5),
            Whole(1),
            "0 nothing, 1 changes of state and faults, 2 and 3 information, 4 debugging, 5 everything",
        ),
        Keyword::new(
            "format",
            choice(&["text", "json"]),
            Word("text"),
            "for people or for programs (in commands: set logformat)",
        ),
        // The package's logrotate file turns access logs over, so by default nobody else does.
        Keyword::new(
            "accesslogsize",
            whole(0, 1_048_576),
            Whole(0),
            "MiB after which an access log is put aside as .1 and a new one begun; 0: never",
        ),
        Keyword::new("accesslogkeep", whole(0, 100), Whole(5), "access logs put aside that are kept"),
    ],
    children: &[],
};

pub(super) static ALERTS: ObjectSchema = ObjectSchema {
    kind: Kind::Alerts,
    word: "alerts",
    help: "scripts that run when servers go and come back: serverDown, serverUp, managerAlert, managerClear",
    keywords: &[
        Keyword::new(
            "directory",
            ValueKind::AbsolutePath,
            Text("/etc/tsuji/scripts"),
            "where the scripts are; one that is not there is not run; empty: none is",
        ),
        // Long enough for a mail server that is slow, short enough that the next alert is not told an hour late.
        Keyword::new(
            "timeout",
            fractions(100, 3600),
            Seconds(30),
            "how long a script may run; then it and its children are ended",
        ),
        // Nobody's rights are the fewest that every system has a name for.
        Keyword::new(
            "user",
            ValueKind::Account,
            Told("nobody where the daemon is root, else the daemon's own user"),
            "as whom scripts run where the daemon is root, or was root when it started",
        ),
    ],
    children: &[],
};
