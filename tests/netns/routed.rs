//! Clients behind a router: it finds the cluster address by our claim, and its errors find the server that they are about.

use super::bulk;
use super::forwarding::{count, lab, settle, site};
use super::lab::{CLUSTER, CLUSTER6, Lab};

/// The lab with a router, and behind it a client `far` in a network of its own.
fn routed() -> Option<Lab> {
    let lab = lab()?;
    ["s1", "s2", "s3"].into_iter().for_each(|server| bulk::serve(&lab, server));
    lab.add_host("router", 6);
    lab.add_namespace("far");
    let far = lab.namespace("far");
    lab.sh("router", &format!("ip link add eth1 type veth peer name eth0 netns {}", far.display()));
    lab.sh("router", "ip link set eth1 up; ip addr add 10.78.0.1/24 dev eth1; ip addr add fd78::1/64 dev eth1 nodad");
    lab.sh("router", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    lab.sh("far", "ip link set eth0 up; ip addr add 10.78.0.2/24 dev eth0; ip addr add fd78::2/64 dev eth0 nodad");
    lab.sh("far", "ip route add default via 10.78.0.1; ip route add default via fd78::1");
    lab.sh("far", "ethtool -K eth0 tx off gso off tso off");
    for server in ["s1", "s2", "s3"] {
        lab.sh(server, "ip route add 10.78.0.0/24 via 10.77.0.6; ip route add fd78::/64 via fd77::6");
    }
    Some(lab)
}

/// A site for all ports, of which `bulk` has one.
fn all_ports(mode: &str) -> String {
    site(mode, "").replace("number = 80", "number = 0")
}

/// Both engines.
const MODES: [&str; 2] = ["native", "packet_socket"];

#[test]
fn a_router_finds_the_cluster_address_by_our_claim() {
    let Some(lab) = routed() else { return };
    let daemon = lab.start(&all_ports("native"));
    settle(&lab, &daemon);
    let own = lab.output("lb", "ip -brief link show eth0");
    let mac = own.split_whitespace().nth(2).unwrap();
    for address in [CLUSTER, CLUSTER6] {
        let transfers = move || (0..40).map(|_| bulk::transfer(address, 10, 10).unwrap()).collect::<Vec<_>>();
        let answers = lab.on("far", transfers).join().unwrap();
        assert_eq!(count(&answers), [20, 10, 10], "{address}: {answers:?}");
        let known = lab.output("router", &format!("ip neigh show {address}"));
        assert!(known.contains(mac), "{mac}: {known}");
    }
}

#[test]
fn an_error_about_an_answer_reaches_the_server_that_gave_it() {
    for mode in MODES {
        let Some(lab) = routed() else { return };
        let daemon = lab.start(&all_ports(mode));
        settle(&lab, &daemon);
        // The client believes that its link carries 1500 bytes, and says so; no server knows better before the router tells it.
        lab.sh("router", "ip link set eth1 mtu 1280");
        for (address, far) in [(CLUSTER, "10.78.0.2"), (CLUSTER6, "fd78::2")] {
            let server = lab.on("far", move || bulk::transfer(address, 10, 1 << 20)).join().unwrap().unwrap();
            for other in ["s1", "s2", "s3"] {
                let route = lab.output(other, &format!("ip route get {far}"));
                assert_eq!(
                    route.contains("mtu 1280"),
                    other == server,
                    "{mode}: {server} answered; {other} has {route}"
                );
            }
        }
    }
}

#[test]
fn a_datagram_in_fragments_reaches_one_server_whole() {
    for mode in MODES {
        let Some(lab) = routed() else { return };
        let daemon = lab.start(&all_ports(mode));
        settle(&lab, &daemon);
        for (host, address) in [("client", CLUSTER), ("client", CLUSTER6), ("far", CLUSTER), ("far", CLUSTER6)] {
            let open = move || (0..8).map(|_| bulk::socket(address)).collect::<Result<Vec<_>, _>>();
            let sockets = lab.on(host, open).join().unwrap().unwrap();
            let servers = |length: u32| -> Vec<String> {
                let answers = sockets.iter().map(|socket| bulk::send(socket, length).unwrap());
                let whole = |answer: String| answer.strip_suffix(&format!(" {length}")).map(str::to_owned).unwrap();
                answers.map(whole).collect()
            };
            let small = servers(100);
            assert_eq!(count(&small), [4, 2, 2], "{mode} {host} {address}: {small:?}");
            assert_eq!([servers(4_000), servers(40_000)], [small.clone(), small], "{mode} {host} {address}");
        }
        // Such a connection may begin with a fragment as well.
        let first = move || bulk::socket(CLUSTER).and_then(|socket| bulk::send(&socket, 4_000));
        assert!(lab.on("client", first).join().unwrap().unwrap().ends_with(" 4000"));
    }
}
