//! Choosing a server takes no memory: not for a new client on a port without affinity, not for a client whose
//! connection remembers its server.

#[path = "../../benches/support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use support::Site;
use tsuji::executor::{Ask, Decision, Moment, PortTable, Session, Tried, Turn, decide};
use tsuji::model::{Evaluate, NumberRange, RuleType};

/// The system's allocator, with a count of what each thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// NEED: only an allocator sees every allocation, and the trait is unsafe to implement.
// SAFETY: everything is handed on to `System` as it came; the count is a `Cell` without a destructor, initialised
// at compile time, so that touching it neither allocates nor fails while a thread ends.
#[expect(unsafe_code, reason = "a counting allocator for this test alone")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread asked for memory.
fn allocations_of(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn ask(port: &PortTable, session: &mut Session, tried: &Tried, moment: Moment) -> Decision {
    let client = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    decide(port, &mut Ask { client, request: None, session, tried, turn: Turn::Take }, moment)
}

fn moment() -> Moment {
    Moment { now: Instant::now(), hour: 12 }
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations_of(|| drop(Box::new(7))), 1);
    assert_eq!(allocations_of(|| ()), 0);
}

#[test]
fn choosing_without_affinity() {
    let busy = RuleType::Active { range: NumberRange { begin: 100, end: 1000 }, evaluate: Evaluate::Port };
    let ports = [
        Site::with_servers(10).table(),
        Site::with_servers(100).table(),
        Site::with_servers(10).rule("busy", busy).rule("normal", RuleType::True).table(),
    ];
    for port in &ports {
        let mut forwarded = 0;
        let allocations = allocations_of(|| {
            for _ in 0..1000 {
                let decision = ask(port, &mut Session::default(), &Tried::default(), moment());
                forwarded += usize::from(matches!(decision, Decision::Forward { .. }));
            }
        });
        assert_eq!((forwarded, allocations), (1000, 0), "{} servers, {} rules", port.servers.len(), port.rules.len());
    }
}

#[test]
fn choosing_again_for_a_connection_that_remembers() {
    let port = Site::with_servers(10).sticky().table();
    let (mut session, moment) = (Session::default(), moment());
    let first = ask(&port, &mut session, &Tried::default(), moment);
    let allocations = allocations_of(|| {
        for _ in 0..1000 {
            let Decision::Forward { server, .. } = ask(&port, &mut session, &Tried::default(), moment) else { return };
            assert!(matches!(first, Decision::Forward { server: before, .. } if before == server));
        }
    });
    assert_eq!(allocations, 0);
}

#[test]
fn nobody_to_choose() {
    let port = Site::with_servers(0).table();
    let allocations = allocations_of(|| {
        ask(&port, &mut Session::default(), &Tried::default(), moment());
    });
    assert_eq!(allocations, 0);
}
