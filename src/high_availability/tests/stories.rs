//! What one machine does as time passes.

use super::*;

#[test]
fn a_machine_that_hears_nobody_listens_three_dead_times_and_looks_once_more() {
    let mut desk = Desk::new(Role::Primary);
    desk.pass(899 * MS);
    assert_eq!((desk.state(), desk.sub_state()), (GroupState::Standby, SubState::Listening));
    desk.pass(MS);
    assert_eq!(desk.state(), GroupState::Probing);
    assert!(desk.did(&Action::ProbeAddresses { group: GROUP }));
    desk.tell(Event::AddressSilent { group: GROUP });
    desk.pass(49 * MS);
    assert_eq!(desk.state(), GroupState::Probing);
    desk.pass(MS);
    assert_eq!((desk.state(), desk.sub_state()), (GroupState::Active, SubState::ServingAlone));
    assert!(desk.did(&Action::Claim { group: GROUP, epoch: Epoch(2) }));
    assert!(desk.did(&Action::PersistEpoch { group: GROUP, epoch: Epoch(2) }));
}

#[test]
fn silence_is_answered_by_five_quick_probes_on_every_path() {
    let mut desk = Desk::standby();
    desk.pass(249 * MS);
    assert_eq!(desk.state(), GroupState::Standby);
    desk.done.clear();
    desk.pass(MS);
    desk.tell(Event::AddressSilent { group: GROUP });
    desk.pass(49 * MS);
    let probes = |path| {
        let quick = |action: &&Action| matches!(action, Action::Send { path: on, heartbeat } if *on == path && heartbeat.wants_answer);
        desk.done.iter().filter(quick).count()
    };
    assert_eq!([PathId(0), PathId(1)].map(probes), [5, 5]);
    desk.pass(MS);
    assert_eq!((desk.state(), desk.said().epoch), (GroupState::Active, Epoch(3)));
}

#[test]
fn one_heartbeat_ends_the_probing() {
    let mut desk = Desk::standby();
    desk.pass(260 * MS);
    assert_eq!(desk.state(), GroupState::Probing);
    desk.hear();
    assert_eq!((desk.state(), desk.last_reason()), (GroupState::Standby, Some(Reason::PartnerHeard)));
}

#[test]
fn somebody_who_answers_for_the_addresses_is_left_alone_and_looked_for_again() {
    let mut desk = Desk::standby();
    desk.pass(260 * MS);
    desk.tell(Event::AddressAnswered { group: GROUP });
    assert_eq!((desk.state(), desk.sub_state()), (GroupState::Standby, SubState::AddressAnswered));
    assert!(desk.notices().contains(&Notice::AddressAnswered { group: GROUP }));
    desk.pass(400 * MS);
    assert_eq!(desk.last_reason(), Some(Reason::Silence));
}

#[test]
fn a_room_that_does_not_come_back_gets_as_much_time_again() {
    let mut desk = Desk::standby();
    desk.pass(250 * MS + 99 * MS);
    assert_eq!(desk.state(), GroupState::Probing);
    desk.pass(MS);
    assert_eq!(desk.state(), GroupState::Active);
}

#[test]
fn a_machine_that_was_stopped_yields_before_anything_else_and_listens() {
    let mut desk = Desk::active();
    desk.now += 500 * MS;
    assert!(!desk.pair.claims(GROUP, desk.now));
    assert_eq!(desk.sub_state(), SubState::LeaseOver);
    desk.tell(Event::Tick);
    assert_eq!(desk.done.first(), Some(&Action::Yield { group: GROUP }));
    desk.pass(299 * MS);
    assert_eq!(desk.sub_state(), SubState::Listening);
    desk.pass(MS);
    assert_eq!(desk.state(), GroupState::Probing);
}

#[test]
fn an_old_copy_heard_after_a_stop_is_a_sign_of_life_and_no_word() {
    let mut desk = Desk::standby();
    desk.hear();
    let copy = desk.partner;
    desk.now += 500 * MS;
    desk.tell(Event::Tick);
    desk.pass(200 * MS);
    desk.tell(Event::Heard { path: PathId(1), heartbeat: copy });
    desk.pass(150 * MS);
    assert_eq!((desk.state(), desk.sub_state()), (GroupState::Standby, SubState::Vacant));
}

#[test]
fn a_stall_within_the_lease_moves_nothing() {
    let mut desk = Desk::active();
    for _ in 0..100 {
        desk.now += 120 * MS;
        desk.tell(Event::Tick);
        desk.pass(100 * MS);
    }
    assert_eq!(desk.state(), GroupState::Active);
    assert!(desk.notices().is_empty());
}

#[test]
fn the_winner_of_a_conflict_announces_when_the_other_has_ceased() {
    let mut desk = Desk::active();
    desk.partner_is(GroupState::Active, 1);
    desk.hear();
    assert!(desk.notices().contains(&Notice::Conflict { group: GROUP, ours: Epoch(2), theirs: Epoch(1) }));
    assert_eq!(desk.sub_state(), SubState::Conflict);
    assert!(!desk.did(&Action::Announce { group: GROUP }));
    desk.partner_is(GroupState::Standby, 2);
    desk.hear();
    assert!(desk.did(&Action::Announce { group: GROUP }));
}

#[test]
fn a_rival_that_cannot_hear_us_wins_after_two_dead_times() {
    let mut desk = Desk::active();
    desk.partner_is(GroupState::Active, 1);
    desk.pass_hearing(250 * MS);
    assert_eq!(desk.state(), GroupState::Active);
    desk.pass_hearing(400 * MS);
    assert_eq!((desk.state(), desk.last_reason()), (GroupState::Standby, Some(Reason::Unheard)));
}

#[test]
fn a_claim_is_raised_above_an_epoch_that_nobody_claims_with() {
    let mut desk = Desk::active();
    desk.partner_is(GroupState::Standby, 7);
    desk.hear();
    assert_eq!((desk.state(), desk.said().epoch), (GroupState::Active, Epoch(8)));
}

#[test]
fn old_words_and_words_of_ended_lives_change_nothing() {
    let mut desk = Desk::active();
    desk.hear();
    let mut old = desk.partner;
    desk.hear();
    old.groups[0].as_mut().unwrap().state = GroupState::Active;
    old.groups[0].as_mut().unwrap().epoch = Epoch(9);
    desk.tell(Event::Heard { path: PathId(1), heartbeat: old });
    assert_eq!(desk.state(), GroupState::Active);
    // A new life begins to count at one, and is heard at once; the old one is not any more.
    let ghost = Heartbeat { sequence: 1000, ..old };
    desk.partner = Heartbeat { boot: BootId(78), sequence: 0, ..desk.partner };
    desk.hear();
    assert!(desk.did(&Action::RequestSnapshot { boot: BootId(78) }));
    desk.tell(Event::Heard { path: PathId(1), heartbeat: ghost });
    assert_eq!(desk.state(), GroupState::Active);
}

#[test]
fn a_partner_back_within_the_dead_time_is_asked_and_lets_the_group_go() {
    let mut desk = Desk::standby();
    desk.pass(150 * MS);
    desk.partner = Heartbeat { boot: BootId(78), sequence: 0, listening: true, ..desk.partner };
    desk.partner_is(GroupState::Standby, 2);
    desk.hear();
    let wish = desk.said().wish.unwrap();
    assert_eq!(wish, Wish { epoch: Epoch(3), cause: Cause::Vacant });
    desk.partner_word().answer = Some(Answer::Yielded { epoch: wish.epoch, served: false });
    desk.hear();
    assert_eq!((desk.state(), desk.last_reason()), (GroupState::Active, Some(Reason::Granted(Cause::Vacant))));
}

#[test]
fn an_answer_to_another_question_is_not_believed_nor_one_that_comes_late() {
    let mut desk = Desk::standby();
    desk.tell(Event::Takeover { group: GROUP });
    let wish = desk.said().wish.unwrap();
    desk.partner_is(GroupState::Standby, 2);
    desk.partner_word().answer = Some(Answer::Yielded { epoch: Epoch(wish.epoch.0 + 2), served: true });
    desk.hear();
    assert_eq!(desk.state(), GroupState::Standby);
    desk.partner_is(GroupState::Active, 2);
    desk.partner_word().answer = None;
    desk.pass_hearing(250 * MS);
    let again = desk.said().wish.unwrap();
    assert!(again.epoch > wish.epoch, "a new attempt has a new epoch");
    desk.partner_is(GroupState::Standby, 2);
    desk.partner_word().answer = Some(Answer::Yielded { epoch: wish.epoch, served: true });
    desk.hear();
    assert_eq!(desk.state(), GroupState::Standby);
}

#[test]
fn a_takeover_that_nobody_answers_is_refused_within_a_second() {
    let mut desk = Desk::standby();
    desk.tell(Event::Takeover { group: GROUP });
    desk.pass_hearing(1000 * MS);
    let refused = Notice::TakeoverRefused { group: GROUP, refusal: Refusal::NoAnswer };
    assert!(desk.notices().contains(&refused));
    assert_eq!(desk.said().wish, None);
}

#[test]
fn a_takeover_without_a_partner_goes_by_the_question_on_the_link() {
    let mut desk = Desk::standby();
    desk.tell(Event::Health(Health { reach: 0, ..Health::UNTRACKED }));
    desk.partner.health.reach = 1;
    desk.hear();
    desk.pass(500 * MS);
    assert_eq!(desk.sub_state(), SubState::NoReach);
    desk.tell(Event::Takeover { group: GROUP });
    assert_eq!(desk.state(), GroupState::Probing);
    desk.pass(100 * MS);
    assert!(desk.notices().contains(&Notice::TakeoverDone { group: GROUP }));
}

#[test]
fn a_promise_is_kept_for_a_dead_time() {
    let mut desk = Desk::active();
    desk.hear();
    desk.partner_asks(Cause::Command, 3);
    assert_eq!(desk.sub_state(), SubState::HandingOver);
    desk.pass_hearing(299 * MS);
    assert_eq!((desk.state(), desk.said().wish), (GroupState::Standby, None));
    desk.pass_hearing(100 * MS);
    assert_eq!(desk.said().wish.map(|wish| wish.cause), Some(Cause::Vacant));
}

#[test]
fn a_taker_that_dies_leaves_the_group_to_the_one_who_yielded() {
    let mut desk = Desk::active();
    desk.hear();
    desk.partner_asks(Cause::Command, 3);
    desk.pass(400 * MS);
    assert_eq!((desk.state(), desk.said().epoch), (GroupState::Active, Epoch(4)));
}

#[test]
fn a_primary_takes_back_after_the_hold_when_both_say_auto() {
    let cases = [
        (Recovery::Auto, Recovery::Auto, true),
        (Recovery::Manual, Recovery::Auto, false),
        (Recovery::Auto, Recovery::Manual, false),
    ];
    for (ours, theirs, asks) in cases {
        let mut desk = Desk::new(Role::Primary);
        desk.tell(Event::Recovery(ours));
        desk.partner.recovery = theirs;
        desk.partner_is(GroupState::Active, 3);
        desk.pass_hearing(20_000 * MS);
        desk.tell(in_sync(77));
        desk.pass_hearing(29_900 * MS);
        assert_eq!(desk.said().wish, None);
        desk.pass_hearing(200 * MS);
        assert_eq!(desk.said().wish.map(|wish| wish.cause), asks.then_some(Cause::Recovery), "{ours:?} {theirs:?}");
    }
}

#[test]
fn a_standby_in_better_health_asks_at_the_second_heartbeat() {
    let mut desk = Desk::standby();
    desk.partner.health.failing = 1;
    desk.hear();
    desk.pass(100 * MS);
    assert_eq!(desk.said().wish, None);
    desk.hear();
    assert_eq!(desk.said().wish.map(|wish| wish.cause), Some(Cause::Health));
}

#[test]
fn what_nobody_claimed_was_not_handed_over() {
    for (served, reason) in [(true, Cause::Health), (false, Cause::Vacant)] {
        let mut desk = Desk::standby();
        desk.partner.health.failing = 1;
        desk.pass_hearing(100 * MS);
        let wish = desk.said().wish.unwrap();
        desk.partner_is(GroupState::Standby, 2);
        desk.partner_word().answer = Some(Answer::Yielded { epoch: wish.epoch, served });
        desk.hear();
        assert_eq!(desk.last_reason(), Some(Reason::Granted(reason)));
    }
}

#[test]
fn two_primaries_are_shown_and_nothing_moves() {
    let mut desk = Desk::new(Role::Primary);
    desk.partner_word().role = Role::Primary;
    desk.partner.node = NodeId(9);
    desk.partner_is(GroupState::Active, 2);
    desk.pass_hearing(1000 * MS);
    desk.tell(in_sync(77));
    desk.partner.health.failing = 1;
    desk.pass_hearing(40_000 * MS);
    assert_eq!((desk.state(), desk.said().wish), (GroupState::Standby, None));
    assert_eq!(desk.pair.report(desk.now).misconfigured, [Misconfiguration::SameRole(GROUP)]);
}

#[test]
fn no_reach_is_a_fault_when_the_partner_has_some_and_not_when_it_has_none() {
    for (reach, state) in [(2, GroupState::Fault), (0, GroupState::Active)] {
        let mut desk = Desk::active();
        desk.partner.health.reach = reach;
        desk.pass_hearing(200 * MS);
        assert_eq!(desk.state(), state, "{reach}");
    }
}

#[test]
fn who_is_fit_again_listens_first() {
    let mut desk = Desk::active();
    desk.tell(Event::Health(Health { carriers: 1, ..Health::UNTRACKED }));
    assert_eq!((desk.state(), desk.done.first()), (GroupState::Fault, Some(&Action::Yield { group: GROUP })));
    desk.tell(Event::Health(Health { carriers: 1, carriers_up: 1, ..Health::UNTRACKED }));
    assert_eq!(desk.sub_state(), SubState::Listening);
}

#[test]
fn after_three_claims_in_a_minute_nothing_moves_by_choice() {
    let mut desk = Desk::standby();
    for epoch in [3, 5] {
        desk.partner_is(GroupState::Standby, epoch);
        desk.hear();
        desk.partner_is(GroupState::Active, epoch + 1);
        desk.hear();
    }
    assert!(desk.pair.report(desk.now).groups[0].damped);
    desk.partner.health.failing = 1;
    desk.pass_hearing(59_000 * MS);
    assert_eq!(desk.said().wish, None);
    desk.pass_hearing(1100 * MS);
    assert_eq!(desk.said().wish.map(|wish| wish.cause), Some(Cause::Health));
}

#[test]
fn a_partner_that_lives_but_settles_nothing_is_not_waited_for_for_ever() {
    let mut desk = Desk::standby();
    desk.partner_is(GroupState::Standby, 2);
    desk.pass_hearing(1300 * MS);
    assert_eq!((desk.state(), desk.last_reason()), (GroupState::Active, Some(Reason::Unanswered)));
}

#[test]
fn an_epoch_that_is_not_saved_is_shown_and_stops_nothing() {
    let mut desk = Desk::active();
    desk.tell(Event::EpochNotPersisted { group: GROUP, epoch: Epoch(2) });
    let shown = |desk: &Desk| desk.pair.report(desk.now).groups[0].unsaved;
    assert_eq!((desk.state(), shown(&desk)), (GroupState::Active, Some(Epoch(2))));
    desk.tell(Event::EpochPersisted { group: GROUP, epoch: Epoch(2) });
    assert_eq!(shown(&desk), None);
}

#[test]
fn a_group_that_is_removed_is_yielded_and_bad_settings_change_nothing() {
    let mut desk = Desk::active();
    desk.tell(Event::Settings(Settings { groups: Vec::new(), ..settings(Role::Primary) }));
    assert!(desk.notices().contains(&Notice::SettingsRefused(SettingsError::NoGroup)));
    assert_eq!(desk.state(), GroupState::Active);
    desk.tell(Event::Settings(Settings { groups: vec![(GroupId(1), Role::Backup)], ..settings(Role::Primary) }));
    assert!(desk.did(&Action::Yield { group: GROUP }));
}

#[test]
fn a_machine_without_a_partner_is_never_too_late() {
    let mut desk = Desk::active();
    desk.tell(Event::Settings(Settings { paths: Vec::new(), ..settings(Role::Primary) }));
    desk.now += Duration::from_secs(3600);
    assert!(desk.pair.claims(GROUP, desk.now));
    desk.tell(Event::Tick);
    assert_eq!(desk.state(), GroupState::Active);
}

#[test]
fn the_longer_patience_counts() {
    let mut desk = Desk::standby();
    desk.partner.dead = Duration::from_secs(2);
    desk.hear();
    assert!(desk.notices().contains(&Notice::Misconfigured(Misconfiguration::OtherTimings)));
    desk.pass(1999 * MS);
    assert_eq!(desk.state(), GroupState::Standby);
    desk.pass(MS);
    assert_eq!(desk.state(), GroupState::Probing);
}

#[test]
fn a_longer_lease_begins_when_the_partner_knows_of_it() {
    let mut desk = Desk::active();
    desk.hear();
    desk.tell(Event::Settings(Settings { timings: Timings::IBM, ..settings(Role::Primary) }));
    let told = desk.pair.report(desk.now);
    assert!(!desk.pair.claims(GROUP, desk.now + 241 * MS), "{told:?}");
    let Some(Action::Send { heartbeat, .. }) = desk.done.last() else { panic!("nothing sent") };
    desk.partner.echo = Some(Echo { sequence: heartbeat.sequence, age: Duration::ZERO });
    desk.hear();
    assert!(desk.pair.claims(GROUP, desk.now + 1600 * MS));
}

#[test]
fn paths_show_loss_and_delay() {
    let mut desk = Desk::standby();
    let sent = desk.done.len();
    desk.pass(100 * MS);
    let Some(Action::Send { heartbeat, .. }) = desk.done.get(sent) else { panic!("nothing sent") };
    desk.partner.echo = Some(Echo { sequence: heartbeat.sequence, age: 3 * MS });
    desk.now += 8 * MS;
    // Every other one is lost from now on.
    for _ in 0..64 {
        desk.partner.sequence += 1;
        desk.hear();
    }
    let report = desk.pair.report(desk.now);
    assert!(report.partner.unwrap().hears_us);
    assert!((450..=500).contains(&report.paths[0].loss_permille), "{:?}", report.paths[0]);
    assert!(report.paths[0].round_trip.unwrap() < 100 * MS);
    desk.pass(400 * MS);
    assert!(desk.notices().contains(&Notice::PathLost(PathId(0))));
}
