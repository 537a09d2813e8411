//! What is to be done about an interface that goes away, comes back or changes, as a machine of looks and time.
//!
//! ```text
//!            gone: let go            there, or another: serve
//!   Served ───────────────► Gone ───────────────► Served
//!      │ another: serve       ▲ gone: let go        │ it failed
//!      └──────────────────────┴───── Refused ◄──────┘ (serve again every few seconds)
//!
//!   Detached: by an operator's will, and for good
//! ```

use std::time::{Duration, Instant};

use crate::datapath::xdp::engine::Interface;

/// What a look at this host finds under an interface's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sight {
    There(Interface),
    Gone,
    /// It could not be looked: no reason to change anything.
    Unclear,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    Stay,
    /// What was done for the interface of this name has nothing beneath it any more.
    LetGo,
    /// Forward on this one from now on.
    Serve(Interface),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum State {
    Served,
    Gone,
    Refused { again: Instant },
    Detached,
}

/// One interface of the configuration.
#[derive(Clone, Debug)]
pub struct Presence {
    /// The one that was served last, or was tried last.
    interface: Interface,
    state: State,
}

/// After an interface that cannot be served.
const AGAIN: Duration = Duration::from_secs(3);

impl Presence {
    pub fn new(interface: Interface) -> Self {
        Self { interface, state: State::Served }
    }

    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    pub fn is_served(&self) -> bool {
        self.state == State::Served
    }

    /// Takes note of what was seen. Who is told to serve answers with [`served`](Self::served) or [`refused`](Self::refused).
    pub fn see(&mut self, sight: Sight, now: Instant) -> Step {
        match (&self.state, sight) {
            (State::Detached, _) | (_, Sight::Unclear) | (State::Gone, Sight::Gone) => Step::Stay,
            (State::Served | State::Refused { .. }, Sight::Gone) => {
                self.state = State::Gone;
                Step::LetGo
            }
            (State::Served, Sight::There(seen)) if seen == self.interface => Step::Stay,
            (State::Refused { again }, Sight::There(seen)) if seen == self.interface && now < *again => Step::Stay,
            (State::Served | State::Gone | State::Refused { .. }, Sight::There(seen)) => Step::Serve(seen),
        }
    }

    pub fn served(&mut self, interface: Interface) {
        *self = Self { interface, state: State::Served };
    }

    /// `true`: this interface is refused for the first time, and that is to be told.
    pub fn refused(&mut self, interface: Interface, now: Instant) -> bool {
        let is_new = self.interface != interface || !matches!(self.state, State::Refused { .. });
        *self = Self { interface, state: State::Refused { again: now + AGAIN } };
        is_new
    }

    pub fn detached(&mut self) {
        self.state = State::Detached;
    }

    /// Why it is not served, as reports have it.
    pub fn word(&self) -> Option<&'static str> {
        match self.state {
            State::Served => None,
            State::Gone => Some("gone"),
            State::Refused { .. } => Some("refused"),
            State::Detached => Some("detached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Mac;

    fn eth0(index: u32, last: u8) -> Interface {
        Interface { name: "eth0".to_owned(), index, mac: Mac([2, 0, 0, 0, 0, last]) }
    }

    fn there(index: u32, last: u8) -> Sight {
        Sight::There(eth0(index, last))
    }

    #[test]
    fn an_interface_that_comes_back_or_changes_is_served_anew() {
        let (mut presence, now) = (Presence::new(eth0(4, 1)), Instant::now());
        assert_eq!(presence.see(there(4, 1), now), Step::Stay);
        assert_eq!(presence.see(Sight::Gone, now), Step::LetGo);
        assert_eq!(presence.word(), Some("gone"));
        assert_eq!(presence.see(Sight::Gone, now), Step::Stay, "once");
        assert_eq!(presence.see(there(4, 1), now), Step::Serve(eth0(4, 1)), "even if it looks the same");
        presence.served(eth0(4, 1));
        for changed in [eth0(9, 1), eth0(9, 2)] {
            assert_eq!(presence.see(Sight::There(changed.clone()), now), Step::Serve(changed.clone()));
            presence.served(changed);
        }
        assert_eq!((presence.see(there(9, 2), now), presence.word()), (Step::Stay, None));
    }

    #[test]
    fn what_fails_is_told_once_and_tried_again() {
        let (mut presence, now) = (Presence::new(eth0(4, 1)), Instant::now());
        assert!(presence.refused(eth0(9, 1), now));
        assert_eq!(presence.see(there(9, 1), now + AGAIN / 2), Step::Stay);
        assert_eq!(presence.see(there(9, 1), now + AGAIN), Step::Serve(eth0(9, 1)));
        assert!(!presence.refused(eth0(9, 1), now + AGAIN), "it was told");
        assert_eq!(presence.see(there(9, 3), now + AGAIN), Step::Serve(eth0(9, 3)), "another is tried at once");
        assert!(presence.refused(eth0(9, 3), now + AGAIN));
        assert_eq!(presence.see(Sight::Gone, now + AGAIN), Step::LetGo);
    }

    #[test]
    fn a_look_that_fails_and_a_detach_change_nothing() {
        let (mut presence, now) = (Presence::new(eth0(4, 1)), Instant::now());
        assert_eq!(presence.see(Sight::Unclear, now), Step::Stay);
        assert!(presence.is_served());
        presence.detached();
        for sight in [Sight::Gone, Sight::Unclear, there(4, 1), there(9, 2)] {
            assert_eq!(presence.see(sight, now + AGAIN), Step::Stay);
        }
        assert_eq!(presence.word(), Some("detached"));
    }
}
