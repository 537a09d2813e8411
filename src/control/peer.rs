//! Who is at the other end, and what that lets them do.

use super::command::{Command, Level};
use super::socket::Owner;
use crate::config::Refusal;

/// The process at the other end of a control connection, as the kernel tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
    /// At the time it connected.
    pub pid: Option<i32>,
    pub level: Level,
}

impl Peer {
    /// Whether this peer may give `command`; else what to answer.
    pub fn may(&self, command: &Command) -> Result<(), Refusal> {
        if command.level() <= self.level {
            return Ok(());
        }
        Err(Refusal::Refused(format!(
            "this command needs the level `{}` and you have `{}`: become root or a member of the socket's group",
            command.level().word(),
            self.level.word()
        )))
    }
}

/// What user `uid` of primary group `gid` may do at a socket that belongs to `owner`, when we run as `own_uid`.
///
/// Operators that are named may steer and no more, whatever groups they are in: that is for scripts.
///
/// The file's permissions decide who connects at all; who got through a closed door is its owner or of its group. Only
/// when the door is open to everybody the user must be told apart, and then others may look. (The kernel does
/// not tell of further groups; a member by such a group is then taken for an other.)
pub fn level(uid: u32, gid: u32, owner: Owner, own_uid: u32, operators: &[u32]) -> Level {
    if operators.contains(&uid) && uid != 0 && uid != own_uid {
        return Level::Operate;
    }
    let open_to_all = owner.mode & 0o002 != 0;
    let known = uid == 0 || uid == own_uid || uid == owner.uid || gid == owner.gid;
    if known || !open_to_all { Level::Admin } else { Level::Read }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_may_look_but_not_steer() {
        let peer = Peer { uid: 1000, gid: 1000, pid: None, level: Level::Read };
        assert_eq!(peer.may(&Command::Status), Ok(()));
        let refusal = peer.may(&Command::ExecutorStop).expect_err("a change");
        assert!(refusal.to_string().contains("needs the level `admin` and you have `read`"), "{refusal:?}");
        assert_eq!(Peer { level: Level::Admin, ..peer }.may(&Command::ExecutorStop), Ok(()));
    }

    #[test]
    fn levels() {
        let closed = Owner { uid: 0, gid: 27, mode: 0o660 };
        let open = Owner { mode: 0o666, ..closed };
        for (uid, gid, owner, wanted) in [
            (0, 0, closed, Level::Admin),
            (1000, 1000, closed, Level::Admin),
            (0, 0, open, Level::Admin),
            (500, 500, open, Level::Admin),
            (1000, 27, open, Level::Admin),
            (1000, 1000, open, Level::Read),
            (600, 27, closed, Level::Operate),
            (600, 600, open, Level::Operate),
        ] {
            assert_eq!(level(uid, gid, owner, 500, &[0, 500, 600]), wanted, "{uid} {gid} {owner:?}");
        }
    }
}
