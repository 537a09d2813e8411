//! Two machines that hear each other perfectly: the way from one to the other, step by step.

use super::*;

/// Two machines without a network between: what one sends, the other has heard.
struct Duet {
    pairs: [Pair; 2],
    now: Instant,
}

impl Duet {
    fn new() -> Self {
        let now = Instant::now();
        let pair = |role, boot| Pair::new(settings(role), BootId(boot), &[], now).unwrap();
        Self { pairs: [pair(Role::Primary, 1), pair(Role::Backup, 2)], now }
    }

    fn tell(&mut self, side: usize, event: Event) -> Vec<Notice> {
        self.pairs[side].handle(event, self.now);
        let mut notices = Vec::new();
        while let Some(action) = self.pairs[side].poll_action() {
            match action {
                Action::Send { path, heartbeat } => {
                    notices.extend(self.tell(1 - side, Event::Heard { path, heartbeat }))
                }
                Action::Notice(notice) => notices.push(notice),
                _ => {}
            }
        }
        assert!(!(self.claims(0) && self.claims(1)), "both claim");
        notices
    }

    fn pass(&mut self, time: Duration) -> Vec<Notice> {
        let end = self.now + time;
        let mut notices = Vec::new();
        loop {
            let next = [0, 1].map(|side| self.pairs[side].next_deadline());
            let side = usize::from(next[1] < next[0]);
            if next[side] > end {
                break;
            }
            self.now = next[side];
            notices.extend(self.tell(side, Event::Tick));
        }
        self.now = end;
        notices
    }

    fn claims(&self, side: usize) -> bool {
        self.pairs[side].claims(GROUP, self.now)
    }
}

#[test]
fn two_that_start_together_make_the_primary_active_after_one_dead_time() {
    let mut duet = Duet::new();
    duet.pass(310 * MS);
    assert_eq!([0, 1].map(|side| duet.claims(side)), [true, false]);
}

#[test]
fn a_takeover_takes_no_time_but_the_messages() {
    let mut duet = Duet::new();
    duet.pass(1000 * MS);
    let notices = duet.tell(1, Event::Takeover { group: GROUP });
    assert!(notices.contains(&Notice::TakeoverDone { group: GROUP }));
    assert_eq!([0, 1].map(|side| duet.claims(side)), [false, true]);
    duet.pass(60_000 * MS);
    assert_eq!([0, 1].map(|side| duet.claims(side)), [false, true], "without tables in sync nothing is taken back");
}

#[test]
fn a_returned_primary_takes_back_once() {
    let mut duet = Duet::new();
    duet.pass(1000 * MS);
    duet.tell(1, Event::Takeover { group: GROUP });
    duet.tell(0, in_sync(2));
    let notices = duet.pass(120_000 * MS);
    let changes = notices.iter().filter(|notice| matches!(notice, Notice::Changed(_))).count();
    assert_eq!((changes, duet.claims(0)), (2, true));
}

#[test]
fn two_takeovers_one_after_the_other_are_both_done() {
    let mut duet = Duet::new();
    duet.pass(310 * MS);
    let mut notices = duet.tell(1, Event::Takeover { group: GROUP });
    notices.extend(duet.tell(0, Event::Takeover { group: GROUP }));
    let done = notices.iter().filter(|notice| matches!(notice, Notice::TakeoverDone { .. })).count();
    assert_eq!((done, duet.claims(0)), (2, true), "{notices:?}");
}
