//! One trouble at a time, and what it costs: for how long nobody claims, and how often the roles change.

use tsuji::high_availability::*;

use crate::node::Pause;
use crate::storm::Mode;
use crate::time::{MINUTE, MS, SECOND, Time};
use crate::troubles::{LinkTrouble, Trouble};
use crate::world::World;

/// The active one, by its role.
const ACTIVE: usize = 0;
const STANDBY: usize = 1;

struct Scenario {
    what: &'static str,
    /// After how many milliseconds what happens.
    troubles: Vec<(Time, Trouble)>,
    /// Nobody claims for so many milliseconds at most.
    gap: Time,
    /// To and from active, on both.
    changes: u64,
}

fn links(sides: &[usize], paths: &[usize], trouble: LinkTrouble) -> Vec<(Time, Trouble)> {
    let each = |side: &usize| paths.iter().map(|path| (0, Trouble::Link(*side, *path, trouble))).collect::<Vec<_>>();
    sides.iter().flat_map(each).collect()
}

fn scenario(what: &'static str, troubles: Vec<(Time, Trouble)>, gap: Time, changes: u64) -> Scenario {
    Scenario { what, troubles, gap, changes }
}

fn of_processes() -> Vec<Scenario> {
    let stop = |side, time| vec![(0, Trouble::Pause(side, Pause::Stopped)), (time, Trouble::Resume(side))];
    let again = |side, time| vec![(0, Trouble::Crash(side)), (time, Trouble::Restart(side))];
    vec![
        scenario("the active dies", vec![(0, Trouble::Crash(ACTIVE))], 360, 1),
        scenario("the active is stopped for 5 s", stop(ACTIVE, 5000), 120, 2),
        scenario("the active stalls for 0.4 of the dead time", stop(ACTIVE, 120), 0, 0),
        scenario("the active is back within the dead time", again(ACTIVE, 200), 210, 1),
        scenario("the active is back while the standby looks once more", again(ACTIVE, 330), 340, 1),
        scenario("the standby dies", vec![(0, Trouble::Crash(STANDBY))], 0, 0),
        scenario("the standby is stopped for 5 s", stop(STANDBY, 5000), 0, 0),
        scenario("a takeover", vec![(0, Trouble::Takeover(STANDBY, 0))], 1, 2),
        scenario(
            "the taker dies in the middle",
            vec![(0, Trouble::Takeover(STANDBY, 0)), (0, Trouble::Crash(STANDBY))],
            360,
            2,
        ),
    ]
}

fn of_links() -> Vec<Scenario> {
    vec![
        scenario("one path is cut", links(&[0, 1], &[0], LinkTrouble::Cut), 0, 0),
        scenario("all paths are cut, the LAN is not", links(&[0, 1], &[0, 1], LinkTrouble::Cut), 0, 0),
        scenario("the standby does not hear the active", links(&[ACTIVE], &[0, 1], LinkTrouble::Cut), 0, 0),
        scenario("the active does not hear the standby", links(&[STANDBY], &[0, 1], LinkTrouble::Cut), 0, 0),
        scenario("the active loses its carrier", vec![(0, Trouble::Carrier(ACTIVE, false))], 10, 2),
        scenario("the active reaches nothing", vec![(0, Trouble::Attached(ACTIVE, false))], 10, 2),
        scenario("the standby loses its carrier", vec![(0, Trouble::Carrier(STANDBY, false))], 0, 0),
        scenario("a tenth of the heartbeats is lost", links(&[0, 1], &[0, 1], LinkTrouble::Loses(100)), 0, 0),
        scenario("delays of up to 100 ms", links(&[0, 1], &[0, 1], LinkTrouble::Delays(100 * MS)), 0, 0),
        scenario("a tenth is doubled", links(&[0, 1], &[0, 1], LinkTrouble::Doubles), 0, 0),
    ]
}

fn play(scenario: &Scenario) -> World {
    let mut world = World::quiet(Timings::STANDARD, 15);
    world.run_until(10 * SECOND);
    let before = world.checks.totals.changes;
    world.checks.gap = Default::default();
    for &(after, trouble) in &scenario.troubles {
        world.run_until(10 * SECOND + after * MS);
        world.befall(trouble);
    }
    world.run_until(10 * MINUTE);
    world.checks.totals.changes -= before;
    world
}

#[test]
fn each_trouble_costs_what_it_may() {
    for scenario in of_processes().iter().chain(&of_links()) {
        let world = play(scenario);
        let gap = world.checks.gap[0].1 as f64 / MS as f64;
        eprintln!("{:<55} nobody for {gap:>7.3} ms, {} changes", scenario.what, world.checks.totals.changes);
        assert_eq!(world.checks.violation, None, "{}", scenario.what);
        assert!(gap <= scenario.gap as f64, "{}: {gap} ms", scenario.what);
        assert_eq!(world.checks.totals.changes, scenario.changes, "{}", scenario.what);
    }
}

/// Each serves those who can reach it; when they hear each other again the one with the lower epoch ceases, and clients of both
/// halves ask the other one.
#[test]
fn a_split_heals_at_the_first_heartbeat() {
    let mut world = World::quiet(Timings::STANDARD, 15);
    world.checks.mode = Mode::All;
    world.run_until(10 * SECOND);
    let cut = links(&[0, 1], &[0, 1], LinkTrouble::Cut);
    cut.into_iter().for_each(|(_, trouble)| world.befall(trouble));
    world.befall(Trouble::Attached(ACTIVE, false));
    world.run_until(60 * SECOND);
    let claims = |world: &World| [0, 1].map(|side| world.nodes[side].claims(0, world.now, world.lease()));
    assert_eq!(claims(&world), [true, true]);
    world.befall(Trouble::Attached(ACTIVE, true));
    let healed = links(&[0, 1], &[0, 1], LinkTrouble::Good);
    healed.into_iter().for_each(|(_, trouble)| world.befall(trouble));
    world.run_until(60 * SECOND + 150 * MS);
    assert_eq!((claims(&world), world.lan.owner[0]), ([false, true], Some(STANDBY)));
    world.run_until(12 * MINUTE);
    assert_eq!((claims(&world), world.checks.violation), ([false, true], None));
}
