//! The claims of each group of clusters on an interface: a machine of [`crate::claim`] for each, which is told who speaks.

use std::time::Instant;

use crate::claim::{Action, Claims, Counts, Event, Owned, TICK};
use crate::daemon::claiming::{Claiming, Voice};
use crate::high_availability::{GroupId, MOST_GROUPS};

/// All of them.
#[derive(Debug)]
pub(super) struct Voices {
    groups: [Group; MOST_GROUPS],
    ticked: Instant,
}

#[derive(Debug)]
struct Group {
    id: GroupId,
    claims: Claims,
    /// What the machine was told last.
    told: Voice,
}

/// What a group's machine wants.
#[derive(Debug)]
pub(super) struct Said {
    pub group: GroupId,
    pub action: Action,
}

impl Voices {
    pub fn new(now: Instant) -> Self {
        let group = |place: usize| Group { id: GroupId(place as u8), claims: Claims::new(now), told: Voice::default() };
        Self { groups: std::array::from_fn(group), ticked: now }
    }

    /// Over all groups.
    pub fn counts(&self) -> Counts {
        self.groups.iter().map(|group| group.claims.counts()).fold(Counts::default(), Counts::plus)
    }

    /// These addresses are to be claimed, each for its group.
    pub fn own(&mut self, owned: impl Iterator<Item = (GroupId, Owned)>, now: Instant) -> Vec<Said> {
        let owned: Vec<_> = owned.collect();
        let of = |id: GroupId| owned.iter().filter(|(group, _)| *group == id).map(|(_, owned)| *owned).collect();
        self.groups.iter_mut().flat_map(|group| group.tell(Event::Own(of(group.id)), now)).collect()
    }

    /// Asks who speaks, and tells the machines what is new and what time it is.
    pub fn look(&mut self, claiming: &Claiming, now: Instant) -> Vec<Said> {
        let is_due = now.saturating_duration_since(self.ticked) >= TICK / 2;
        if is_due {
            self.ticked = now;
        }
        let mut said = Vec::new();
        for group in &mut self.groups {
            said.extend(group.listen_to(claiming.voice(group.id), now));
            if is_due {
                said.extend(group.tell(Event::Tick, now));
            }
        }
        said
    }

    /// A frame of ARP or ICMPv6 came in.
    pub fn hear(&mut self, interface: u32, bytes: &[u8], received: Instant) -> Vec<Said> {
        let frame = || Event::Frame { interface, received, bytes };
        self.groups.iter_mut().flat_map(|group| group.tell(frame(), received)).collect()
    }
}

impl Group {
    fn tell(&mut self, event: Event<'_>, now: Instant) -> impl Iterator<Item = Said> + use<> {
        let group = self.id;
        self.claims.handle(event, now).into_iter().map(move |action| Said { group, action })
    }

    fn listen_to(&mut self, voice: Voice, now: Instant) -> Vec<Said> {
        let told = std::mem::replace(&mut self.told, voice);
        let mut said = Vec::new();
        if voice == told {
            return said;
        }
        if voice.lease != told.lease {
            said.extend(self.tell(Event::Lease(voice.lease), now));
        }
        if voice.is_active != told.is_active {
            // In a pair the machine of the pair has made sure that nobody else has them.
            let claim = Event::Claim { asked: voice.lease.is_some() };
            said.extend(self.tell(if voice.is_active { claim } else { Event::Yield }, now));
        }
        if voice.announced != told.announced {
            said.extend(self.tell(Event::Announce, now));
        }
        if voice.asked != told.asked {
            said.extend(self.tell(Event::Ask, now));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::wire::Mac;
    use crate::wire::arp::{Arp, Operation};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const ASKER: Mac = Mac([2, 0, 0, 0, 0, 9]);

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn question(last: u8) -> Vec<u8> {
        let asked = Arp {
            operation: Operation::Request,
            sender: (ASKER, [192, 0, 2, 99].into()),
            target: (Mac([0; 6]), [192, 0, 2, last].into()),
        };
        asked.frame(Mac([0xff; 6]))
    }

    fn frames(said: &[Said]) -> Vec<u8> {
        said.iter().filter(|said| matches!(said.action, Action::Send { .. })).map(|said| said.group.0).collect()
    }

    #[test]
    fn each_group_speaks_for_its_own_addresses_while_it_has_the_lease() {
        let claiming = Claiming::alone().unwrap();
        claiming.set_in_pair(true);
        let start = Instant::now();
        let mut voices = Voices::new(start);
        let owned = |group, last| (GroupId(group), Owned { address: address(last), interface: 3, mac: MAC });
        assert!(voices.own([owned(0, 1), owned(1, 2)].into_iter(), start).is_empty());
        assert!(voices.look(&claiming, start).is_empty(), "nobody has said that anything is ours");

        claiming.lend(GroupId(1), Some(start + Duration::from_millis(80)));
        assert_eq!(frames(&voices.look(&claiming, start)), [1, 1], "announced at once, as a question and as an answer");
        assert_eq!(frames(&voices.hear(3, &question(2), start)), [1]);
        assert!(frames(&voices.hear(3, &question(1), start)).is_empty(), "of the other group");

        let late = start + Duration::from_millis(81);
        assert!(frames(&voices.look(&claiming, late)).is_empty());
        assert!(frames(&voices.hear(3, &question(2), late)).is_empty(), "the lease is over");
        claiming.lend(GroupId(1), Some(late + Duration::from_millis(80)));
        voices.look(&claiming, late);
        assert_eq!(frames(&voices.hear(3, &question(2), late)), [1]);
        claiming.lend(GroupId(1), None);
        voices.look(&claiming, late);
        assert!(frames(&voices.hear(3, &question(2), late)).is_empty(), "yielded");
    }

    #[test]
    fn an_answer_is_told_to_the_group_that_asked() {
        let claiming = Claiming::alone().unwrap();
        claiming.set_in_pair(true);
        let now = Instant::now();
        let mut voices = Voices::new(now);
        voices.own([(GroupId(0), Owned { address: address(1), interface: 3, mac: MAC })].into_iter(), now);
        claiming.ask(GroupId(0));
        assert_eq!(frames(&voices.look(&claiming, now)), [0], "a probe");
        let answer = Arp {
            operation: Operation::Reply,
            sender: (ASKER, [192, 0, 2, 1].into()),
            target: (MAC, [0, 0, 0, 0].into()),
        };
        let said = voices.hear(3, &answer.frame(MAC), now);
        assert!(matches!(said[..], [Said { group: GroupId(0), action: Action::Answered { .. } }]), "{said:?}");
    }

    #[test]
    fn who_stands_alone_probes_first() {
        let claiming = Claiming::alone().unwrap();
        let now = Instant::now();
        let mut voices = Voices::new(now);
        voices.own([(GroupId(0), Owned { address: address(1), interface: 3, mac: MAC })].into_iter(), now);
        voices.look(&claiming, now);
        assert!(frames(&voices.hear(3, &question(1), now)).is_empty(), "somebody may have it");
    }
}
