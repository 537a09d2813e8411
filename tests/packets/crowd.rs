//! Many flows, several CPUs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use aya::programs::{TestRun, TestRunOptions, Xdp};
use tsuji::packet::sweep::{Patience, Value};
use tsuji::packet::{Choice, Plan, ServerFlags, ServerPlan, ServicePlan};

use super::bed::{Bed, TX};
use super::frame::{self, Wrapping};

const SERVERS: u16 = 3;
const PATIENCE: Patience = Patience { stale: 100_000, fin: 100_000 };

fn plan() -> Plan {
    let server = |number| ServerPlan {
        name: format!("shop:80:w{number}"),
        address: Some([10, 1, 0, number as u8].into()),
        flags: ServerFlags { affinity: true, ..ServerFlags::default() },
    };
    Plan {
        services: vec![ServicePlan {
            name: "shop:80".into(),
            address: [192, 0, 2, 10].into(),
            ports: 80..=80,
            sticky: None,
            unrecorded: false,
            hash: false,
            pickup: true,
            unserved_pass: false,
            rules: Vec::new(),
            resting: Vec::new(),
            otherwise: Choice { ring: (0..SERVERS).collect(), maglev: (0..251).map(|at| at % SERVERS).collect() },
            servers: (0..SERVERS).map(server).collect(),
        }],
    }
}

fn bed(connections: u32) -> Bed {
    let mut bed = Bed::new(connections);
    bed.apply(&plan(), &[], &[]);
    bed
}

fn segment(flow: u32, flags: &str) -> Vec<u8> {
    let from = SocketAddr::from(([203, 0, (flow >> 16) as u8, (flow >> 8) as u8], 1024 + (flow & 0xff) as u16));
    frame::tcp(from, "192.0.2.10:80".parse().unwrap(), flags, &Wrapping::default())
}

#[test]
fn a_flood_that_fills_the_table_moves_no_established_connection() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(1024);
    let mut known = HashMap::new();
    for flow in 0..300 {
        let frame = segment(flow, "S");
        let outcome = bed.send(&frame);
        known.insert(flow, bed.server_of(&frame, &outcome).unwrap());
        bed.send(&segment(flow, "A"));
    }
    for flow in 10_000..20_000 {
        assert_eq!(bed.send(&segment(flow, "S")).verdict, TX);
    }
    assert!(bed.reason("table-full") > 5_000, "{}", bed.reason("table-full"));
    for (flow, server) in &known {
        let frame = segment(*flow, "A");
        let outcome = bed.send(&frame);
        assert_eq!(bed.server_of(&frame, &outcome).as_ref(), Some(server), "flow {flow}");
    }
    // Who found no room finds the same server again without being remembered.
    let frame = segment(19_999, "S");
    let first = bed.send(&frame);
    let second = bed.send(&frame);
    assert_eq!(first, second);
}

#[test]
fn a_table_of_its_size_takes_as_many_connections() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(16_384);
    for flow in 0..16_384 {
        assert_eq!(bed.send(&segment(flow, "S")).verdict, TX);
    }
    let left_out = bed.reason("table-full");
    assert!(left_out < 16_384 / 500, "{left_out} of 16,384 found no room");
    assert_eq!(bed.sweep(PATIENCE).entries, 16_384 - left_out);
}

/// Sends flows from several CPUs at one time: `flow_of` says which the n-th of a CPU is.
fn send_from_cpus(bed: &mut Bed, cpus: usize, flow_of: impl Fn(usize, u32) -> u32 + Sync) {
    let program: &Xdp = bed.program();
    let send = |cpu: usize| {
        let mut set = nix::sched::CpuSet::new();
        set.set(cpu).unwrap();
        nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
        for number in 0..FLOWS {
            let frame = segment(flow_of(cpu, number), "S");
            let mut out = [0; 128];
            let options = TestRunOptions {
                data_in: Some(&frame),
                data_out: Some(&mut out),
                repeat: 1,
                ..TestRunOptions::default()
            };
            assert_eq!(program.test_run(options).unwrap().return_value, TX);
        }
    };
    std::thread::scope(|scope| {
        let send = &send;
        (0..cpus).for_each(|cpu| drop(scope.spawn(move || send(cpu))));
    });
}

const FLOWS: u32 = 6_000;

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

/// Connections opened at each server, which the table must confirm.
fn opened(bed: &mut Bed) -> Vec<u64> {
    let census = bed.sweep(PATIENCE);
    let of = |server| {
        let name = format!("shop:80:w{server}");
        let counted = bed.counters(&name).opened;
        assert_eq!(counted, census.of(bed.server_number(&name)).active, "counters and table agree");
        counted
    };
    (0..SERVERS).map(of).collect()
}

#[test]
fn cpus_that_see_the_same_flows_enter_each_once() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = bed(65_536);
    send_from_cpus(&mut bed, cpus(), |_, number| number);
    let mut keys: HashMap<u64, u32> = HashMap::new();
    for slot in bed.tables.connections.words().as_chunks::<2>().0 {
        let [key, value] = [&slot[0], &slot[1]].map(|word| word.load(Ordering::Relaxed));
        if key != 0 && Value(value).state().is_some() {
            *keys.entry(key).or_default() += 1;
        }
    }
    assert_eq!(keys.len(), FLOWS as usize);
    assert!(keys.values().all(|count| *count == 1), "no flow twice");
    assert_eq!(opened(&mut bed).iter().sum::<u64>(), u64::from(FLOWS));
}

#[test]
fn cpus_take_turns_from_one_ring_exactly() {
    if Bed::is_not_here() {
        return;
    }
    let (mut bed, cpus) = (bed(65_536), cpus());
    send_from_cpus(&mut bed, cpus, |cpu, number| cpu as u32 * FLOWS + number);
    let each = cpus as u64 * u64::from(FLOWS) / u64::from(SERVERS);
    assert_eq!(bed.reason("table-full"), 0);
    assert_eq!(opened(&mut bed), [each; SERVERS as usize]);
}
