//! The bytes, one by one; the key file; two gates that live, die and are attacked.

mod bounds;
mod key_file;
mod layout;
mod properties;
mod stories;

use std::time::{Duration, Instant};

use super::*;
use crate::high_availability::{
    BootId, Cause, Configuration, Epoch, GroupId, GroupState, GroupWord, Health, Heartbeat, NodeId, PathId, Recovery,
    Role, Sync, Wish,
};

const PATH: PathId = PathId(0);
const OTHER_PATH: PathId = PathId(1);
const PATHS: [PathId; 2] = [PATH, OTHER_PATH];

pub(super) const ALICE: Life = Life { node: NodeId(1), boot: BootId(0xa1) };
pub(super) const BOB: Life = Life { node: NodeId(2), boot: BootId(0xb1) };

const MS: Duration = Duration::from_millis(1);

/// A key file with keys of these ids.
pub(super) fn keys(ids: &[u16]) -> PairKeys {
    let lines: Vec<String> = ids.iter().map(|id| format!("{id} {}\n", digits(*id as u8))).collect();
    PairKeys::parse(&lines.concat()).unwrap()
}

/// A key in digits, another for each seed.
fn digits(seed: u8) -> String {
    (0..32).map(|index: u8| format!("{:02x}", index.wrapping_mul(7) ^ seed)).collect()
}

fn word(sender: Life, sequence: u64) -> Heartbeat {
    let wish = Some(Wish { epoch: Epoch(5), cause: Cause::Command });
    let (state, role) = (GroupState::Standby, Role::Backup);
    let group = GroupWord { group: GroupId(3), state, role, epoch: Epoch(4), wish, answer: None };
    Heartbeat {
        node: sender.node,
        boot: sender.boot,
        sequence,
        version: 7,
        groups: [Some(group), None],
        health: Health { carriers: 2, carriers_up: 1, reach: 300, failing: 4, on_time: true },
        listening: false,
        wants_answer: true,
        recovery: Recovery::Manual,
        dead: 300 * MS,
        sync: Sync { position: 6, in_sync: true, lag: 2 * MS },
        configuration: Configuration { generation: 8, clusters: 9 },
        echo: None,
    }
}
