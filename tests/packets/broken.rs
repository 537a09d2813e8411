//! Tables that are not as the writer makes them, through the program and its twin: nothing is read past an end, and the
//! packet is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use tsuji::datapath::xdp::tables::Tables;
use tsuji::packet::layout::{MAX_SERVERS, PLAN_LINES};
use tsuji::packet::sweep::Patience;

use super::bed::{Bed, DROP, TX};
use super::crowd::{bed, segment};

/// A server that there cannot be.
const NOBODY: u64 = MAX_SERVERS as u64 + 904;

/// Breaks both tables, sends a frame, and looks at what it was counted for.
fn check(bed: &mut Bed, frame: &[u8], word: &str, break_it: impl Fn(&Tables)) {
    bed.both_tables().into_iter().for_each(break_it);
    assert_eq!(bed.send(frame).verdict, DROP, "{word}");
    assert_eq!(bed.reason(word), 1, "{word}");
    // Compares what both have counted, and finds its way in such tables too.
    bed.sweep(Patience { stale: 100_000, fin: 100_000 });
}

/// Of the only service.
fn line_of_policy(tables: &Tables) -> &AtomicU64 {
    let chosen = tables.selection.words().as_chunks::<2>().0.iter().find(|[line, _]| line.load(Ordering::Relaxed) != 0);
    &chosen.unwrap()[0]
}

/// Puts a server's number into the low 16 bits of each entry.
fn point_connections_at(tables: &Tables, server: u64) {
    for [_, value] in tables.connections.words().as_chunks::<2>().0 {
        let before = value.load(Ordering::Relaxed);
        if before != 0 {
            value.store(before & !0xffff | server, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_policy_past_the_end_of_the_plan_is_a_broken_plan() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(1024);
    check(&mut bed, &segment(1, "S"), "broken-plan", |tables| {
        line_of_policy(tables).store(PLAN_LINES.into(), Ordering::Relaxed);
    });
}

#[test]
fn a_connection_of_a_server_that_there_cannot_be_is_a_broken_plan() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(1024);
    assert_eq!(bed.send(&segment(1, "S")).verdict, TX);
    check(&mut bed, &segment(1, "A"), "broken-plan", |tables| point_connections_at(tables, NOBODY));
}

/// To who looks for one, a server that there cannot be is like the number for nobody.
#[test]
fn a_ring_of_servers_that_there_cannot_be_has_no_server() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(1024);
    check(&mut bed, &segment(1, "S"), "no-server", |tables| {
        let policy = line_of_policy(tables).load(Ordering::Relaxed);
        // The ring's line is in the low half of the policy's fourth word.
        let ring = tables.plan.element(policy as u32).unwrap()[3].load(Ordering::Relaxed);
        let ring = tables.plan.element(ring as u32).unwrap();
        ring.iter().for_each(|word| word.store(NOBODY * 0x0001_0001_0001_0001, Ordering::Relaxed));
    });
}
