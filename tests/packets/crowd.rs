//! Many flows, several CPUs.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aya::programs::{TestRun, TestRunOptions, Xdp};
use tsuji::datapath::xdp::directory::words_of;
use tsuji::model::StickyMask;
use tsuji::packet::connections::{State, Table, Value};
use tsuji::packet::hash::Flow;
use tsuji::packet::sweep::Patience;
use tsuji::packet::{Choice, Plan, ServerFlags, ServerPlan, ServicePlan, Sticky};

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
        services: vec![Arc::new(ServicePlan {
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
        })],
    }
}

/// Three servers of one port.
pub fn bed(connections: u32) -> Bed {
    let mut bed = Bed::new(connections);
    bed.apply(&plan(), &[], &[]);
    bed
}

/// Of a client for each flow.
pub fn segment(flow: u32, flags: &str) -> Vec<u8> {
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
    bed.both = false;
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

/// Each frame is of a client that nobody has seen, and there is room for one record. A CPU takes the record's node for its own
/// client; one that comes while the node is in its hands finds none, some times in a million. How often is the kernel's
/// business, so that it may not happen at all; that such a client is served like another is ours.
#[test]
fn a_client_whose_record_cannot_be_made_is_served() {
    if Bed::is_not_here() || cpus() < 2 {
        return;
    }
    let mut plan = plan();
    let service = Arc::make_mut(&mut plan.services[0]);
    let group = service.name.clone();
    service.sticky = Some(Sticky { group, mask: StickyMask::DEFAULT, time: Duration::from_secs(60) });
    service.unrecorded = true;
    let mut bed = Bed::with_records(1024, 1);
    bed.apply(&plan, &[], &[]);
    for round in 0..ROUNDS {
        send_from_cpus(&mut bed, cpus(), |cpu, number| ((round * 4 + cpu as u32) * FLOWS + number) << 8);
        if bed.reason("affinity-full") > 0 {
            let sent = u64::from((round + 1) * FLOWS) * cpus() as u64;
            let forwarded = (0..SERVERS).map(|server| bed.counters(&format!("shop:80:w{server}")).packets);
            assert_eq!(forwarded.sum::<u64>(), sent, "it is a remark beside its packet");
            return;
        }
    }
    println!("no CPU found the only node in another's hands");
}

/// Several times as many as it takes, most of the time.
const ROUNDS: u32 = 200;

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

/// What the program entered, its twin finds, by the same hashes and keys; exact ones and fingerprints.
#[test]
fn the_twin_finds_what_the_program_entered() {
    if Bed::is_not_here() {
        return;
    }
    let mut plan = plan();
    let six =
        ServicePlan { name: "six:80".into(), address: "2001:db8::10".parse().unwrap(), ..(*plan.services[0]).clone() };
    let server = |server: &ServerPlan| ServerPlan { name: server.name.replace("shop", "six"), ..server.clone() };
    plan.services.push(Arc::new(ServicePlan { servers: six.servers.iter().map(server).collect(), ..six }));
    let mut bed = Bed::new(65_536);
    bed.apply(&plan, &[], &[]);
    let mut flows = Vec::new();
    for number in 0..2_000_u16 {
        let tcp = number % 3 != 0;
        let (from, to) = if number % 2 == 0 {
            (SocketAddr::from(([203, 0, 113, (number % 251) as u8], 1024 + number)), "192.0.2.10:80")
        } else {
            (SocketAddr::from(([0x2001, 0xdb8, number, 0, 0, 0, 0, 7], 1024 + number)), "[2001:db8::10]:80")
        };
        let to: SocketAddr = to.parse().unwrap();
        let wrapping = Wrapping::default();
        let frame = if tcp { frame::tcp(from, to, "S", &wrapping) } else { frame::udp(from, to, &wrapping) };
        let outcome = bed.send(&frame);
        flows.push((from, to, tcp, bed.server_of(&frame, &outcome).unwrap()));
    }
    let table = Table::new(bed.tables.connections.words(), &bed.keys).unwrap();
    for (from, to, tcp, server) in flows {
        let name = if from.is_ipv4() { "shop:80" } else { "six:80" };
        let service = bed.service_number(name) + u16::from(!tcp);
        let flow = Flow {
            saddr: words_of(from.ip()),
            daddr: words_of(to.ip()),
            sport: from.port().to_be(),
            dport: to.port().to_be(),
            protocol: if tcp { 6 } else { 17 },
        };
        let key = if from.is_ipv4() { flow.exact_key(service) } else { flow.fingerprint_key(service, &bed.keys) };
        let found = table.find(key).unwrap_or_else(|| panic!("{from} > {to}"));
        assert_eq!(found.value.server(), bed.server_number(&format!("{name}:{server}")));
        assert_eq!(found.value.state(), Some(if tcp { State::New } else { State::Udp }));
        if from.is_ipv6() {
            let tuple = bed.tables.tuples.get(found.place.0).unwrap();
            assert_eq!((tuple.saddr, tuple.daddr), (flow.saddr, flow.daddr));
            assert_eq!((tuple.ports, tuple.protocol), ([flow.sport, flow.dport], flow.protocol));
        }
    }
}

/// The verifier walks so many instructions on the way through the program (kernel 6.18); its own bound is a million. A change
/// that needs many more shall be noticed here and not on an older kernel.
const VERIFIED: u32 = 55_420;

#[test]
fn the_verifier_is_not_given_much_more_to_read() {
    if Bed::is_not_here() {
        return;
    }
    let mut bed = Bed::new(1024);
    let info = bed.program().info().unwrap();
    let Some(verified) = info.verified_instruction_count() else {
        println!("skipped: this kernel does not tell");
        return;
    };
    println!("the verifier read {verified} instructions");
    assert!(verified <= VERIFIED + VERIFIED / 4, "{verified} instructions, {VERIFIED} are recorded");
}
