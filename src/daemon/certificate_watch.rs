//! Looks whether certificates have changed, and has them read again; gives tickets new keys.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{PortTls, ServerTls};
use crate::tls::{Reminders, TicketKeys};

use super::certificates::{Stamp, back_stamps, front_stamps};
use super::desk::Desk;
use super::fetch;

/// Between two looks. A look is one question to the file system for each file.
const EVERY: Duration = Duration::from_secs(5);

/// Between two looks at the calendar.
const REMIND_EVERY: Duration = Duration::from_secs(60);

/// Files that are written just now are left alone until they rest.
const REST: Duration = Duration::from_millis(500);

/// Looks for as long as the daemon lives. What cannot be used leaves in force what is, and is looked at again when it has
/// changed once more.
pub async fn run(desk: Rc<Desk>) {
    tokio::task::spawn_local(remind(Rc::clone(&desk)));
    let mut known = look(&desk).await;
    loop {
        tokio::time::sleep(EVERY).await;
        let now = look(&desk).await;
        if now == known {
            continue;
        }
        known = settle(&desk, now).await;
        // A command that names other files changes what is looked at as well: to read them once more changes nothing.
        desk.renew_certificates().await;
    }
}

/// Says of certificates in use that they expire soon, or have.
async fn remind(desk: Rc<Desk>) {
    let mut reminders = Reminders::default();
    loop {
        let due = desk.heart().read(|dispatcher| {
            let in_use = dispatcher.certificates().map(|one| (one.identity.path.as_path(), &one.identity.facts));
            reminders.due(in_use, fetch::now())
        });
        due.iter().for_each(|sentence| tracing::warn!(target: "tsuji::state", "{sentence}"));
        tokio::time::sleep(REMIND_EVERY).await;
    }
}

/// A new key for tickets at each turn.
pub async fn turn_keys(tickets: Arc<TicketKeys>) {
    loop {
        tokio::time::sleep(TicketKeys::TURN).await;
        tickets.turn();
    }
}

async fn settle(desk: &Desk, mut before: BTreeSet<Stamp>) -> BTreeSet<Stamp> {
    loop {
        tokio::time::sleep(REST).await;
        let now = look(desk).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

/// The state of every file that is in use, by the disk, which may be slow.
async fn look(desk: &Desk) -> BTreeSet<Stamp> {
    let (fronts, backs): (HashSet<PortTls>, HashSet<ServerTls>) =
        desk.heart().read(|dispatcher| dispatcher.tls_settings());
    if fronts.is_empty() && backs.is_empty() {
        return BTreeSet::new();
    }
    let looking = move || fronts.iter().flat_map(front_stamps).chain(backs.iter().flat_map(back_stamps)).collect();
    tokio::task::spawn_blocking(looking).await.expect("looking at files does not panic")
}
