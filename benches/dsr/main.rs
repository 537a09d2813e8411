//! HTTP through MAC forwarding beside HTTP without a dispatcher, in the lab of tests/netns.
//!
//! Three ways to one nginx: directly; over a hop that changes MAC addresses and asks nothing, which is what the lab's extra
//! passage costs; and over Tsuji's XDP program. In alternating rounds of one run. Measures with `--measure`, as root
//! (`--quick`: fewer and shorter rounds); without it, only says so.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the lab is shared with tests, where what is unexpected stops right there"
)]

mod hop;
// All of the lab is there for the tests; a bench needs less.
#[expect(dead_code, reason = "shared with tests/netns")]
#[path = "../../tests/netns/lab.rs"]
mod lab;
mod load;

use std::process::ExitCode;

use hop::Hop;
use lab::{CLUSTER, Lab};
use load::{Connections, Server, requests};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of the server that all requests go to, on the lab's link.
const SERVER: &str = "10.77.0.3";
const NAME: &str = "s1";

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--measure") {
        println!("dsr: run `make bench-dsr` to measure");
        return ExitCode::SUCCESS;
    }
    let quick = std::env::args().any(|argument| argument == "--quick");
    match measure(if quick { (2, 2) } else { (7, 4) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dsr: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure((rounds, seconds): (usize, u32)) -> Result<(), Failure> {
    let Some(lab) = Lab::new() else { return Err("it needs the lab".into()) };
    let _server = Server::start(&lab, NAME, SERVER)?;
    println!("requests/s on 64 connections, medians of {rounds} rounds of {seconds} s\n");
    println!(
        "{:<24} {:>10} {:>10} {:>10} {:>14} {:>14} {:>8}",
        "", "direct", "bare hop", "Tsuji", "Tsuji/direct", "Tsuji/hop", "target"
    );
    for (what, connections, target) in
        [("kept connections", Connections::Kept, 0.80), ("connection per request", Connections::Fresh, 0.90)]
    {
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            let round = round(&lab, connections, seconds)?;
            found.iter_mut().zip(round).for_each(|(values, value)| values.push(value));
        }
        let [direct, hop, tsuji] = found.map(median);
        let (to_direct, to_hop) = (tsuji / direct, tsuji / hop);
        println!("{what:<24} {direct:>10.0} {hop:>10.0} {tsuji:>10.0} {to_direct:>14.3} {to_hop:>14.3} >= {target:.2}");
    }
    Ok(())
}

/// Directly, over the bare hop, over Tsuji.
fn round(lab: &Lab, connections: Connections, seconds: u32) -> Result<[f64; 3], Failure> {
    let direct = requests(lab, SERVER, connections, seconds)?;
    let bare = {
        let _hop = Hop::start(lab, NAME)?;
        // Nobody claims the address for it.
        lab.sh("client", &format!("ip neigh replace {CLUSTER} dev eth0 lladdr {}", hop::mac_of(lab, "lb")?));
        requests(lab, CLUSTER, connections, seconds)?
    };
    lab.sh("client", &format!("ip neigh del {CLUSTER} dev eth0"));
    let daemon = lab.start(&site());
    daemon.wait_until("it forwards", || requests(lab, CLUSTER, connections, 1).is_ok_and(|rate| rate > 0.0));
    let tsuji = requests(lab, CLUSTER, connections, seconds)?;
    drop(daemon);
    let detached = lab.tsuji(&["datapath", "detach"]);
    detached.status.success().then_some([direct, bare, tsuji]).ok_or_else(|| "nothing to detach".into())
}

fn site() -> String {
    format!(
        "[executor]\nengine = \"xdp\"\nworkers = 1\ninterfaces = [\"eth0\"]\nbpffs = \"{{bpffs}}\"\nxdpmode = \"native\"\n\
         [[cluster]]\nname = \"shop\"\naddress = \"{CLUSTER}\"\n[[cluster.port]]\nnumber = 80\nmethod = \"mac\"\n\
         [[cluster.port.server]]\nname = \"{NAME}\"\naddress = \"{SERVER}\"\n"
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
