//! What follows from a server's failure: whether another server may be asked, and whether this one is left alone.
//!
//! One table for all data paths; `compat plugin` has the web-server plug-in's (IBM: "Web server plug-in tuning", ConnectTimeout,
//! ServerIOTimeout, RetryInterval, PostBufferSize).

use crate::model::{Compat, Policy};

/// What became of a request at a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// There was no connection: refused, in no time, no way, no address.
    NotReached,
    /// The extended handshake was not answered.
    HandshakeFailed,
    /// The connection ended before it took a byte of the request.
    Unsent,
    /// The connection ended after that, without a byte of a response.
    Closed,
    /// No response came in time.
    TimedOut,
    /// The server answers that it is unavailable (503).
    Unavailable,
    /// What came is no response.
    Nonsense,
    /// The operator took the server down meanwhile.
    Cut,
    /// The client is to blame.
    Client,
}

/// The request's body, as far as a second attempt needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replay {
    /// There is no body, or all of it is still here.
    Whole,
    /// Some of it is gone.
    Lost,
}

/// What is to be known of the request and the server.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Doing it twice is doing it once (RFC 9110 9.2.2).
    pub is_idempotent: bool,
    pub replay: Replay,
    /// Second attempts after timeouts so far.
    pub timeouts: u32,
    /// The server's `ontimeout mark`.
    pub marks_on_timeout: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// It counts as one of the failures in a row for which a server is left alone.
    pub counts: bool,
    /// The server is left alone at once.
    pub marks: bool,
    /// Another server may be asked.
    pub elsewhere: bool,
}

/// Looks the event up.
pub fn verdict(policy: &Policy, event: Event, situation: Situation) -> Verdict {
    let whole = situation.replay == Replay::Whole;
    let in_time = policy.timeout_retries.is_none_or(|most| situation.timeouts < most);
    let safe = whole && situation.is_idempotent;
    let is_plugin = policy.compat == Compat::Plugin;
    // The plug-in repeats whatever it still has, also what is not idempotent: that is what "compat" asks for.
    let may_repeat = if is_plugin { whole } else { safe };
    let by_sign = situation.marks_on_timeout;
    let (counts, marks, elsewhere) = match event {
        Event::NotReached => (true, false, whole),
        Event::HandshakeFailed => (true, is_plugin, whole),
        Event::Unsent => (!is_plugin, is_plugin && by_sign, whole),
        Event::Closed => (!is_plugin, is_plugin && by_sign, may_repeat),
        Event::TimedOut => (!is_plugin, by_sign, may_repeat && in_time),
        Event::Unavailable => (false, false, may_repeat),
        Event::Nonsense => (!is_plugin, false, false),
        Event::Cut => (false, false, may_repeat),
        Event::Client => (false, false, false),
    };
    Verdict { counts, marks, elsewhere }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(compat: Compat) -> Policy {
        let max_fails = if compat == Compat::Plugin { 1 } else { 5 };
        Policy { compat, max_fails, timeout_retries: None, ..Policy::preset() }
    }

    /// Each line: event, idempotent, body there, sign, then counts, marks, elsewhere as letters.
    fn check(compat: Compat, lines: &[(Event, bool, bool, bool, &str)]) {
        for &(event, is_idempotent, there, marks_on_timeout, expected) in lines {
            let replay = if there { Replay::Whole } else { Replay::Lost };
            let situation = Situation { is_idempotent, replay, timeouts: 0, marks_on_timeout };
            let Verdict { counts, marks, elsewhere } = verdict(&policy(compat), event, situation);
            let letters = [(counts, 'c'), (marks, 'm'), (elsewhere, 'e')];
            let found: String = letters.into_iter().map(|(set, letter)| if set { letter } else { '-' }).collect();
            assert_eq!(found, expected, "{compat:?} {event:?} {is_idempotent} {there} {marks_on_timeout}");
        }
    }

    #[test]
    fn ours_repeats_only_what_is_safe() {
        check(
            Compat::Off,
            &[
                (Event::NotReached, false, true, false, "c-e"),
                (Event::NotReached, false, false, false, "c--"),
                (Event::HandshakeFailed, false, true, false, "c-e"),
                (Event::Unsent, false, true, false, "c-e"),
                (Event::Closed, true, true, false, "c-e"),
                (Event::Closed, false, true, false, "c--"),
                (Event::Closed, true, false, false, "c--"),
                (Event::TimedOut, true, true, false, "c-e"),
                (Event::TimedOut, false, true, false, "c--"),
                (Event::TimedOut, true, true, true, "cme"),
                (Event::Unavailable, true, true, false, "--e"),
                (Event::Unavailable, false, true, false, "---"),
                (Event::Nonsense, true, true, false, "c--"),
                (Event::Cut, true, true, false, "--e"),
                (Event::Cut, false, true, false, "---"),
                (Event::Client, true, true, true, "---"),
            ],
        );
    }

    /// The lines of IBM's tables of events and of ServerIOTimeout with PostBufferSize.
    #[test]
    fn the_plug_ins_table() {
        check(
            Compat::Plugin,
            &[
                (Event::NotReached, false, true, false, "c-e"),
                (Event::HandshakeFailed, false, true, false, "cme"),
                (Event::TimedOut, true, true, false, "--e"),
                (Event::TimedOut, false, true, false, "--e"),
                (Event::TimedOut, false, true, true, "-me"),
                (Event::TimedOut, false, false, false, "---"),
                (Event::TimedOut, false, false, true, "-m-"),
                (Event::Closed, false, true, false, "--e"),
                (Event::Closed, false, false, true, "-m-"),
                (Event::Unavailable, false, true, true, "--e"),
                (Event::Unavailable, false, false, false, "---"),
                (Event::Nonsense, true, true, true, "---"),
            ],
        );
    }

    #[test]
    fn attempts_after_timeouts_have_a_bound_of_their_own() {
        let situation =
            |timeouts| Situation { is_idempotent: true, replay: Replay::Whole, timeouts, marks_on_timeout: false };
        let policy = Policy { timeout_retries: Some(1), ..policy(Compat::Plugin) };
        assert!(verdict(&policy, Event::TimedOut, situation(0)).elsewhere);
        assert!(!verdict(&policy, Event::TimedOut, situation(1)).elsewhere);
        assert!(verdict(&policy, Event::NotReached, situation(1)).elsewhere, "not for connections");
    }
}
