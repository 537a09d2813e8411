//! Values and their checks.

use super::*;

#[test]
fn times_are_checked() {
    let ms = Duration::from_millis;
    let too_few = |interval, dead| Err(TimingsError::TooFewBeats { interval: ms(interval), dead: ms(dead) });
    let cases = [
        (100, 300, None),
        (20, 60_000, None),
        (9, 300, Some(Err(TimingsError::IntervalTooShort { interval: ms(9) }))),
        (100, 60_001, Some(Err(TimingsError::DeadTooLong { dead: ms(60_001) }))),
        (100, 299, Some(too_few(100, 299))),
    ];
    for (interval, dead, refusal) in cases {
        let made = Timings::new(ms(interval), ms(dead)).map(|_| ());
        assert_eq!(made, refusal.unwrap_or(Ok(())), "{interval} {dead}");
    }
}

#[test]
fn times_follow_from_the_dead_time() {
    let ms = Duration::from_millis;
    let cases = [(Timings::FAST, 80, 25, 5), (Timings::STANDARD, 240, 50, 10), (Timings::IBM, 1600, 50, 10)];
    for (timings, lease, probing, quick) in cases {
        assert_eq!((timings.lease(), timings.probing(), timings.quick()), (ms(lease), ms(probing), ms(quick)));
    }
    assert_eq!(
        [0, 1, 2, 8].map(Timings::for_paths),
        [Timings::IBM, Timings::IBM, Timings::STANDARD, Timings::STANDARD]
    );
}

#[test]
fn primaries_claim_with_even_epochs_and_backups_with_odd_ones() {
    let cases = [
        (0, Role::Primary, 2),
        (0, Role::Backup, 1),
        (1, Role::Primary, 2),
        (1, Role::Backup, 3),
        (7, Role::Primary, 8),
    ];
    for (known, role, next) in cases {
        assert_eq!(Epoch(known).next_for(role), Epoch(next), "{known} {role:?}");
    }
    assert_eq!(Epoch(u64::MAX).next_for(Role::Primary), Epoch(u64::MAX));
}

#[test]
fn strictly_better_is_worse_in_nothing() {
    let well = Health { carriers: 2, carriers_up: 2, reach: 3, failing: 0, on_time: true };
    let cases = [
        ("the same", well, false),
        ("the partner lost a carrier", Health { carriers_up: 1, ..well }, true),
        ("the partner reaches less", Health { reach: 2, ..well }, true),
        ("a check fails there", Health { failing: 1, ..well }, true),
        ("it is late", Health { on_time: false, ..well }, true),
        ("it reaches more", Health { reach: 4, ..well }, false),
        ("it reaches more and lost a carrier", Health { reach: 4, carriers_up: 1, ..well }, false),
        ("it has fewer carriers, all up", Health { carriers: 1, carriers_up: 1, ..well }, false),
    ];
    for (what, theirs, better) in cases {
        assert_eq!(well.strictly_better_than(&theirs), better, "{what}");
    }
}

#[test]
fn settings_are_checked() {
    let with = |groups: &[u8], paths: &[u8]| Settings {
        groups: groups.iter().map(|id| (GroupId(*id), Role::Primary)).collect(),
        paths: paths.iter().map(|id| PathId((*id).into())).collect(),
        ..settings(Role::Primary)
    };
    let cases = [
        (with(&[0], &[]), Ok(())),
        (with(&[0, 1], &[0, 1, 2, 3, 4, 5, 6, 7]), Ok(())),
        (with(&[], &[0]), Err(SettingsError::NoGroup)),
        (with(&[0, 1, 2], &[0]), Err(SettingsError::TooManyGroups { groups: 3 })),
        (with(&[0], &[0, 1, 2, 3, 4, 5, 6, 7, 8]), Err(SettingsError::TooManyPaths { paths: 9 })),
        (with(&[1, 1], &[0]), Err(SettingsError::GroupTwice(GroupId(1)))),
        (with(&[0], &[3, 3]), Err(SettingsError::PathTwice(PathId(3)))),
    ];
    for (settings, outcome) in cases {
        assert_eq!(settings.check(), outcome);
    }
}

/// State of ours, what the partner says, where we are then.
#[test]
fn states_and_words() {
    use GroupState::{Active, Fault, Probing, Standby};
    let cases = [
        ("an active beside a standby", Desk::active as fn() -> Desk, Standby, 0, Active),
        ("an active beside one that probes", Desk::active, Probing, 0, Active),
        ("an active beside one in fault", Desk::active, Fault, 0, Active),
        ("a lower epoch loses", Desk::active, Active, 1, Active),
        ("a higher epoch wins", Desk::active, Active, 3, Standby),
        ("a standby beside an active", Desk::standby, Active, 2, Standby),
        ("a standby beside a renewed active", Desk::standby, Active, 8, Standby),
        ("a standby beside one in fault takes its place", Desk::standby, Fault, 2, Active),
        ("a vacant group is not taken without a word", Desk::standby, Standby, 2, Standby),
    ];
    for (what, start, theirs, epoch, then) in cases {
        let mut desk = start();
        desk.partner_is(theirs, epoch);
        desk.hear();
        assert_eq!(desk.state(), then, "{what}");
    }
}

/// What an active answers to a wish.
#[test]
fn wishes() {
    let unfit = Health { carriers: 1, carriers_up: 0, ..Health::UNTRACKED };
    let well = Health { carriers: 1, carriers_up: 1, reach: 2, failing: 0, on_time: true };
    let poor = Health { failing: 1, ..well };
    let refused = |objection| Some(Answer::Refused { epoch: Epoch(3), objection });
    let yielded = Some(Answer::Yielded { epoch: Epoch(3), served: true });
    let cases = [
        ("an operator's", Cause::Command, well, well, Recovery::Auto, yielded),
        ("an operator's, of a worse one", Cause::Command, well, poor, Recovery::Manual, yielded),
        ("an operator's, of an unfit one", Cause::Command, well, unfit, Recovery::Auto, refused(Objection::AskerUnfit)),
        ("a better one's", Cause::Health, poor, well, Recovery::Manual, yielded),
        ("an equal one's", Cause::Health, well, well, Recovery::Auto, refused(Objection::NotBetter)),
        ("a returned one's", Cause::Recovery, well, well, Recovery::Auto, yielded),
        (
            "a returned one's, by hand only",
            Cause::Recovery,
            well,
            well,
            Recovery::Manual,
            refused(Objection::ManualRecovery),
        ),
        ("one that thinks nobody serves", Cause::Vacant, well, well, Recovery::Auto, None),
    ];
    for (what, cause, ours, theirs, recovery, answer) in cases {
        let mut desk = Desk::active();
        desk.tell(Event::Health(ours));
        desk.tell(Event::Recovery(recovery));
        desk.partner.health = theirs;
        desk.hear();
        desk.partner_asks(cause, 3);
        assert_eq!(desk.said().answer, answer, "{what}");
        assert_eq!(desk.state() == GroupState::Standby, answer == yielded, "{what}");
    }
}

#[test]
fn commands_that_are_refused_at_once() {
    let refused = |desk: &mut Desk, group| {
        desk.done.clear();
        desk.tell(Event::Takeover { group });
        desk.notices().into_iter().find_map(|notice| match notice {
            Notice::TakeoverRefused { refusal, .. } => Some(refusal),
            _ => None,
        })
    };
    assert_eq!(refused(&mut Desk::active(), GROUP), Some(Refusal::AlreadyActive));
    assert_eq!(refused(&mut Desk::standby(), GroupId(9)), Some(Refusal::UnknownGroup));
    assert_eq!(refused(&mut Desk::new(Role::Backup), GROUP), Some(Refusal::Listening));
    let mut asked = Desk::standby();
    assert_eq!(refused(&mut asked, GROUP), None);
    assert_eq!(refused(&mut asked, GROUP), Some(Refusal::AlreadyAsked));
    let mut cut = Desk::standby();
    cut.tell(Event::Health(Health { carriers: 1, ..Health::UNTRACKED }));
    assert_eq!(refused(&mut cut, GROUP), Some(Refusal::Unfit(Reason::NoCarrier)));
    let mut same = Desk::standby();
    same.partner_word().role = Role::Backup;
    same.hear();
    assert_eq!(refused(&mut same, GROUP), Some(Refusal::Misconfigured(Misconfiguration::SameRole(GROUP))));
}
