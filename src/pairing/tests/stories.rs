//! Two gates that start, die, are replaced and are lied to.

use super::*;
use crate::high_availability::Echo;

/// A dispatcher behind its gate. Its machine echoes what it was told last.
struct Node {
    gate: Gate,
    life: Life,
    sequence: u64,
    heard: Option<u64>,
}

impl Node {
    fn new(life: Life, keys: PairKeys) -> Self {
        Self { gate: Gate::new(life, &PATHS, keys), life, sequence: 0, heard: None }
    }

    fn say(&mut self, now: Instant) -> [u8; SIZE] {
        self.sequence += 1;
        let echo = self.heard.map(|sequence| Echo { sequence, age: MS });
        self.gate.seal(PATH, &Heartbeat { echo, ..word(self.life, self.sequence) }, now).unwrap()
    }

    fn hear(&mut self, bytes: &[u8], now: Instant) -> Result<Heartbeat, Refusal> {
        let told = self.gate.open(Some(PATH), bytes, now)?;
        self.heard = Some(told.sequence);
        Ok(told)
    }

    /// The process dies and starts again.
    fn restart(&mut self, boot: u128, keys: PairKeys) {
        *self = Self::new(Life { boot: BootId(boot), ..self.life }, keys);
    }
}

/// Two of them, and somebody who keeps all that they say.
struct Two {
    alice: Node,
    bob: Node,
    now: Instant,
    of_alice: Vec<[u8; SIZE]>,
    of_bob: Vec<[u8; SIZE]>,
}

impl Two {
    fn new() -> Self {
        let (alice, bob) = (Node::new(ALICE, keys(&[1])), Node::new(BOB, keys(&[1])));
        Self { alice, bob, now: Instant::now(), of_alice: Vec::new(), of_bob: Vec::new() }
    }

    fn joined() -> Self {
        let mut two = Self::new();
        two.talk(3);
        two.check_joined("at first");
        two
    }

    /// Each says something, and the other hears it: what Alice made of it, and Bob.
    fn exchange(&mut self) -> (Result<u64, Refusal>, Result<u64, Refusal>) {
        self.now += 100 * MS;
        let said = self.alice.say(self.now);
        self.of_alice.push(said);
        let heard_by_bob = self.bob.hear(&said, self.now);
        let said = self.bob.say(self.now);
        self.of_bob.push(said);
        let heard_by_alice = self.alice.hear(&said, self.now);
        (heard_by_alice.map(|told| told.sequence), heard_by_bob.map(|told| told.sequence))
    }

    fn talk(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let _whatever = self.exchange();
        }
    }

    #[track_caller]
    fn check_joined(&mut self, what: &str) {
        let heard = self.exchange();
        assert_eq!(heard, (Ok(self.bob.sequence), Ok(self.alice.sequence)), "{what}");
        let known = (self.alice.gate.partner(), self.bob.gate.partner());
        assert_eq!(known, (Some(self.bob.life.boot), Some(self.alice.life.boot)), "{what}");
    }
}

#[test]
fn two_that_start_know_each_other_after_one_way_there_and_back() {
    let mut two = Two::new();
    assert_eq!(two.exchange(), (Ok(1), Err(Refusal::Unproven)), "Bob greets Alice, which proves him");
    assert_eq!(two.exchange(), (Ok(2), Ok(2)), "she echoes him, which proves her");
}

#[test]
fn a_partner_that_restarts_is_taken_in_at_once_and_its_former_life_is_over() {
    let mut two = Two::joined();
    two.bob.restart(0xb2, keys(&[1]));
    assert_eq!(two.exchange(), (Ok(1), Err(Refusal::Unproven)));
    two.check_joined("after the restart");
    for old in two.of_bob.clone().iter().take(4) {
        assert_eq!(two.alice.hear(old, two.now), Err(Refusal::StaleBoot));
    }
    two.alice.restart(0xa2, keys(&[1]));
    two.talk(2);
    two.check_joined("after the other's restart");
    two.alice.restart(0xa3, keys(&[1]));
    two.bob.restart(0xb3, keys(&[1]));
    two.talk(2);
    two.check_joined("after both");
}

/// A dispatcher that starts knows no lives and no numbers. Recordings of a partner are all authentic to it.
#[test]
fn a_recording_of_an_earlier_life_does_not_pass_for_a_partner() {
    let mut two = Two::joined();
    two.talk(5);
    two.bob.restart(0xb2, keys(&[1]));
    for old in two.of_alice.clone() {
        assert_eq!(two.bob.hear(&old, two.now), Err(Refusal::Unproven), "not even of the partner's present life");
        two.bob.say(two.now);
    }
    assert_eq!(two.bob.gate.partner(), None);
    two.talk(2);
    two.check_joined("the true one is known all the same");
    for old in two.of_alice.clone() {
        assert_eq!(two.bob.hear(&old, two.now), Err(Refusal::Replayed));
    }
}

/// Many lives are recorded, and all are played without pause to both: more than there are places to be greeted.
#[test]
fn recordings_of_many_lives_do_not_keep_a_partner_out() {
    let mut two = Two::joined();
    for life in 2..12 {
        two.alice.restart(0xa00 + life, keys(&[1]));
        two.bob.restart(0xb00 + life, keys(&[1]));
        two.talk(2);
    }
    let (of_alice, of_bob) = (two.of_alice.clone(), two.of_bob.clone());
    two.alice.restart(0xaff, keys(&[1]));
    for _ in 0..3 {
        of_bob.iter().for_each(|old| assert!(two.alice.hear(old, two.now).is_err()));
        two.talk(1);
    }
    two.check_joined("flooded on one side");
    two.bob.restart(0xbff, keys(&[1]));
    for _ in 0..60 {
        of_bob.iter().for_each(|old| assert!(two.alice.hear(old, two.now).is_err()));
        of_alice.iter().for_each(|old| assert!(two.bob.hear(old, two.now).is_err()));
        two.talk(1);
    }
    two.check_joined("flooded on both");
}

/// Bob lived for a moment, heard Alice and died; what he said then was held back. It is fresh, and it is a life that she
/// has not known. But the Bob who is there now has heard later words of hers.
#[test]
fn a_life_that_ended_before_it_was_known_does_not_take_the_place_of_a_later_one() {
    let mut two = Two::joined();
    two.bob.restart(0xb2, keys(&[1]));
    let said = two.alice.say(two.now);
    assert_eq!(two.bob.hear(&said, two.now), Err(Refusal::Unproven));
    let held_back = two.bob.say(two.now);
    two.bob.restart(0xb3, keys(&[1]));
    two.talk(2);
    two.check_joined("with his third life");
    assert_eq!(two.alice.hear(&held_back, two.now), Err(Refusal::Unproven));
    two.check_joined("which stays");
}

#[test]
fn an_echo_that_is_too_old_proves_nothing() {
    let mut two = Two::new();
    let said = two.alice.say(two.now);
    assert_eq!(two.bob.hear(&said, two.now), Err(Refusal::Unproven));
    let held_back = two.bob.say(two.now);
    two.now += 61_000 * MS;
    assert_eq!(two.alice.hear(&held_back, two.now), Err(Refusal::Unproven));
    let said = two.alice.say(two.now);
    assert_eq!(two.bob.hear(&said, two.now), Err(Refusal::Unproven), "nor does her answer to it");
    two.talk(2);
    two.check_joined("with words of now");
}

#[test]
fn an_echo_of_a_former_life_is_not_told() {
    let mut two = Two::joined();
    two.alice.restart(0xa2, keys(&[1]));
    two.talk(1);
    let said = two.bob.say(two.now);
    let told = two.alice.hear(&said, two.now).expect("Bob greets her new life");
    assert_eq!(told.echo, None, "what he heard last was her former one");
    two.talk(2);
    let said = two.bob.say(two.now);
    assert_eq!(two.alice.hear(&said, two.now).unwrap().echo.map(|echo| echo.sequence), Some(two.alice.sequence));
}

#[test]
fn what_is_thrown_back_is_refused() {
    let mut two = Two::joined();
    let said = two.alice.say(two.now);
    assert_eq!(two.alice.hear(&said, two.now), Err(Refusal::Reflected));
    two.alice.restart(0xa2, keys(&[1]));
    assert_eq!(two.alice.hear(&said, two.now), Err(Refusal::Unproven), "of a former life of ours: nobody's");
    assert_eq!(two.alice.hear(&two.of_alice[0].clone(), two.now), Err(Refusal::Unproven));
}

/// Two dispatchers with one node id are a mistake of the operator's. The machine says so; it has to hear it.
#[test]
fn another_dispatcher_with_our_name_is_told() {
    let now = Instant::now();
    let mut alice = Node::new(ALICE, keys(&[1]));
    let mut namesake = Node::new(Life { node: ALICE.node, ..BOB }, keys(&[1]));
    let said = alice.say(now);
    assert_eq!(namesake.hear(&said, now), Err(Refusal::Unproven));
    assert_eq!(alice.hear(&namesake.say(now), now).map(|told| told.node), Ok(ALICE.node));
}

/// Each step of a rotation on both sides, in either order; not one heartbeat is lost.
#[test]
fn keys_are_changed_while_heartbeats_go_on() {
    for alice_first in [true, false] {
        let mut two = Two::joined();
        for step in [[1, 2].as_slice(), &[2, 1], &[2]] {
            for alices_turn in [alice_first, !alice_first] {
                let node = if alices_turn { &mut two.alice } else { &mut two.bob };
                node.gate.set_keys(keys(step));
                two.check_joined("in the middle of a step");
                let joins = if alices_turn { &mut two.bob } else { &mut two.alice };
                assert_eq!(joins.gate.counts().refused(Reason::OtherKey), 0);
            }
        }
        two.bob.restart(0xb2, keys(&[2]));
        two.talk(2);
        two.check_joined("with the new key alone");
    }
}

#[test]
fn with_another_key_file_nobody_is_heard() {
    let mut two = Two::joined();
    two.bob.gate.set_keys(keys(&[2]));
    let other_key = |key: u16| Refusal::OtherKey { key: KeyId(key) };
    assert_eq!(two.exchange(), (Err(other_key(2)), Err(other_key(1))));
    let same_id_other_key = PairKeys::parse(&format!("1 {}", digits(9))).unwrap();
    two.bob.gate.set_keys(same_id_other_key);
    assert_eq!(two.exchange(), (Err(Refusal::Forged), Err(Refusal::Forged)));
    two.bob.restart(0xb2, PairKeys::parse(&format!("1 {}", digits(9))).unwrap());
    assert_eq!(two.exchange(), (Err(Refusal::Forged), Err(Refusal::Forged)));
}
