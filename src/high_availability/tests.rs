//! The machine against a partner that says what the test says.

mod stories;
mod tables;
mod two;

use std::time::{Duration, Instant};

use super::*;

const GROUP: GroupId = GroupId(0);
const MS: Duration = Duration::from_millis(1);

/// One machine, a pretended clock, and what it has done.
struct Desk {
    pair: Pair,
    now: Instant,
    partner: Heartbeat,
    done: Vec<Action>,
}

fn settings(role: Role) -> Settings {
    Settings {
        node: NodeId(if role == Role::Primary { 1 } else { 2 }),
        groups: vec![(GROUP, role)],
        paths: vec![PathId(0), PathId(1)],
        timings: Timings::STANDARD,
        recovery: Recovery::Auto,
        hold: Settings::HOLD,
        version: 1,
        configuration: Configuration::default(),
    }
}

/// What a partner in standby says who knows of no epoch.
fn word(role: Role) -> Heartbeat {
    let group = GroupWord { group: GROUP, state: GroupState::Standby, role, epoch: Epoch(0), wish: None, answer: None };
    Heartbeat {
        node: NodeId(if role == Role::Primary { 1 } else { 2 }),
        boot: BootId(77),
        sequence: 0,
        version: 1,
        groups: [Some(group), None],
        health: Health::UNTRACKED,
        listening: false,
        wants_answer: false,
        recovery: Recovery::Auto,
        dead: Timings::STANDARD.dead(),
        sync: Sync::default(),
        configuration: Configuration::default(),
        echo: None,
    }
}

fn in_sync(with: u128) -> Event {
    Event::Synchronized { with: BootId(with), sync: Sync { in_sync: true, ..Sync::default() } }
}

impl Desk {
    /// A machine of this role that has just started.
    fn new(role: Role) -> Self {
        let now = Instant::now();
        let pair = Pair::new(settings(role), BootId(1), &[], now).unwrap();
        let other = if role == Role::Primary { Role::Backup } else { Role::Primary };
        let mut desk = Self { pair, now, partner: word(other), done: Vec::new() };
        desk.tell(Event::Tick);
        desk
    }

    /// A backup beside an active primary, past its listening.
    fn standby() -> Self {
        let mut desk = Self::new(Role::Backup);
        desk.partner_is(GroupState::Active, 2);
        desk.pass_hearing(400 * MS);
        desk.done.clear();
        desk
    }

    /// A primary that became active because it heard nobody.
    fn active() -> Self {
        let mut desk = Self::new(Role::Primary);
        desk.pass(900 * MS);
        desk.tell(Event::AddressSilent { group: GROUP });
        desk.pass(50 * MS);
        assert_eq!(desk.state(), GroupState::Active);
        desk.done.clear();
        desk
    }

    fn tell(&mut self, event: Event) {
        self.pair.handle(event, self.now);
        self.done.extend(std::iter::from_fn(|| self.pair.poll_action()));
    }

    /// Time passes; the machine is called when it wants to be.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.pair.next_deadline() <= end {
            self.now = self.pair.next_deadline();
            self.tell(Event::Tick);
        }
        self.now = end;
    }

    /// Time passes, and the partner says the same again and again.
    fn pass_hearing(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.hear();
            self.pass((50 * MS).min(end - self.now));
        }
    }

    fn hear(&mut self) {
        self.partner.sequence += 1;
        self.tell(Event::Heard { path: PathId(0), heartbeat: self.partner });
    }

    fn partner_word(&mut self) -> &mut GroupWord {
        self.partner.groups[0].as_mut().unwrap()
    }

    fn partner_is(&mut self, state: GroupState, epoch: u64) {
        let word = self.partner_word();
        (word.state, word.epoch) = (state, Epoch(epoch));
    }

    fn partner_asks(&mut self, cause: Cause, epoch: u64) {
        self.partner_word().wish = Some(Wish { epoch: Epoch(epoch), cause });
        self.hear();
    }

    fn state(&self) -> GroupState {
        self.pair.report(self.now).groups[0].state
    }

    fn sub_state(&self) -> SubState {
        self.pair.report(self.now).groups[0].sub_state
    }

    /// The newest word of the machine about the group.
    fn said(&self) -> GroupWord {
        let sent = self.done.iter().rev().find_map(|action| match action {
            Action::Send { heartbeat, .. } => heartbeat.groups[0],
            _ => None,
        });
        sent.unwrap()
    }

    fn notices(&self) -> Vec<Notice> {
        let notice = |action: &Action| if let Action::Notice(notice) = action { Some(notice.clone()) } else { None };
        self.done.iter().filter_map(notice).collect()
    }

    fn did(&self, action: &Action) -> bool {
        self.done.contains(action)
    }

    fn last_reason(&self) -> Option<Reason> {
        self.pair.report(self.now).groups[0].last.map(|(change, _)| change.reason)
    }
}
