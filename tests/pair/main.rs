//! Two dispatchers of the production code in virtual time: loss, delay, partitions, stops, crashes, commands, from a seed.
//!
//! `HA_SEEDS`, `HA_MINUTES` and `HA_FIRST_SEED` widen the sweep; a failure prints the seed, and how to repeat it.

mod checks;
mod judge;
mod mutant;
mod network;
mod node;
mod random;
mod storm;
mod time;
mod world;

use std::time::Instant;

use mutant::Mutant;
use storm::Mode;
use world::World;

const SEEDS: u64 = 200;
const MINUTES: u64 = 30;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn run(seed: u64, minutes: u64, mode: Mode, mutant: Mutant) -> World {
    let mut world = World::new(seed, minutes, mode, mutant);
    world.run();
    world
}

fn explain(seed: u64, minutes: u64, world: &World) -> String {
    let lines: Vec<_> = world.checks.lines.iter().cloned().collect();
    let violation = world.checks.violation.as_deref().unwrap_or("none");
    let repeat = format!("HA_FIRST_SEED={seed} HA_SEEDS=1 HA_MINUTES={minutes} cargo test --test pair seeds");
    let now = world.now as f64 / 1e9;
    format!("{}\nseed {seed} ({:?}, {:?}) at {now:.6} s: {violation}\nrepeat: {repeat}\n", lines.join("\n"), world.checks.mode, world.timings)
}

#[test]
fn seeds() {
    let (seeds, minutes) = (setting("HA_SEEDS", SEEDS), setting("HA_MINUTES", MINUTES));
    let first = setting("HA_FIRST_SEED", 1);
    let began = Instant::now();
    let mut failed = Vec::new();
    let mut events = 0;
    let (mut claims, mut conflicts, mut done, mut refused, mut longest) = (0, 0, 0, 0, 0);
    for seed in first..first + seeds {
        let world = run(seed, minutes, Mode::of(seed), Mutant::None);
        let totals = world.checks.totals;
        (events, claims, conflicts) = (events + totals.events, claims + totals.claims, conflicts + totals.conflicts);
        (done, refused) = (done + totals.commands_done, refused + totals.commands_refused);
        longest = longest.max(totals.longest_both);
        if world.checks.violation.is_some() {
            eprintln!("{}", explain(seed, minutes, &world));
            failed.push(seed);
        }
    }
    let took = began.elapsed().as_secs_f64();
    let hours = (seeds * minutes) as f64 / 60.0;
    eprintln!("{seeds} seeds in {took:.1} s: {:.1} seeds/s, {:.1} simulated hours/s, {events} events", seeds as f64 / took, hours / took);
    eprintln!("{claims} claims, {conflicts} conflicts, {done} takeovers done, {refused} refused, both for {longest} ns at most");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}
