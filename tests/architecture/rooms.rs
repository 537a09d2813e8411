//! The plan of the house.

/// A room and the rooms it may import from.
pub struct Room {
    pub name: &'static str,
    pub knows: Knows,
    /// Reads no clock and touches no socket, file, task or log, these parts of it excepted.
    pub pure: Option<&'static [&'static str]>,
}

pub enum Knows {
    These(&'static [&'static str]),
    All,
}

const fn pure(name: &'static str, knows: &'static [&'static str]) -> Room {
    pure_but(name, knows, &[])
}

const fn pure_but(name: &'static str, knows: &'static [&'static str], impure: &'static [&'static str]) -> Room {
    Room { name, knows: Knows::These(knows), pure: Some(impure) }
}

const fn worldly(name: &'static str, knows: &'static [&'static str]) -> Room {
    Room { name, knows: Knows::These(knows), pure: None }
}

/// The two ends of the control socket.
const CONTROL_SOCKET: [&str; 5] =
    ["control/client", "control/prompt", "control/server", "control/session", "control/socket"];

/// A new room is entered here, and in ARCHITECTURE.md.
pub const ROOMS: [Room; 20] = [
    pure("wire", &[]),
    pure("message", &["model"]),
    pure("model", &[]),
    pure("accesslog", &["model", "message"]),
    pure("config", &["model"]),
    pure("tls", &["model"]),
    pure("executor", &["model", "message", "tls"]),
    pure("packet", &["model", "wire", "executor"]),
    pure("claim", &["model", "wire"]),
    pure("high_availability", &["model"]),
    pure("pairing", &["high_availability"]),
    pure("manager", &["model"]),
    pure("advisor", &["model"]),
    pure_but("control", &["model", "config"], &CONTROL_SOCKET),
    pure(
        "dispatcher",
        &["model", "message", "config", "executor", "manager", "advisor", "high_availability", "control", "tls"],
    ),
    worldly("sys", &["model"]),
    worldly("datapath", &["model", "message", "accesslog", "executor", "wire", "packet", "sys", "tls"]),
    worldly("metrics", &["model", "message", "executor"]),
    Room { name: "daemon", knows: Knows::All, pure: None },
    // The programs: thin doors.
    worldly("bin", &["daemon", "control", "sys"]),
];

impl Room {
    pub fn named(name: &str) -> Option<&'static Self> {
        ROOMS.iter().find(|room| room.name == name)
    }

    pub fn may_know(&self, other: &str) -> bool {
        match self.knows {
            Knows::All => true,
            Knows::These(rooms) => other == self.name || rooms.contains(&other),
        }
    }

    /// Whether the file at this path under `src` belongs to the pure part of its room.
    pub fn is_pure_at(&self, path: &str) -> bool {
        let within = |part: &str| path.strip_prefix(part).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        self.pure.is_some_and(|impure| !impure.iter().any(|part| within(part)))
    }
}
