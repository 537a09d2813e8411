//! MAC forwarding.

use super::PacketReading;
use super::page::{About, Labels, Page};

pub(super) fn write(page: &mut Page, reading: &PacketReading) {
    let labels = |reason| Labels::new(&[("reason", reason)]);
    let rows = || reading.reasons.iter();
    page.counters(PACKETS, rows().map(|&(reason, packets, _)| (labels(reason), packets as f64)));
    page.counters(BYTES, rows().map(|&(reason, _, bytes)| (labels(reason), bytes as f64)));
    page.gauge(CONNECTIONS, reading.connections as f64);
    page.gauge(HALF_OPEN, reading.half_open as f64);
    page.gauge(ROOM, reading.room as f64);
    page.gauge(DRIFT, reading.drift as f64);
    page.counter(REFUSED_PLANS, reading.refused_plans);
    page.counter(LOST, reading.lost);
    page.counter(ANSWERS, reading.arp_answers);
    page.counter(ANNOUNCEMENTS, reading.announcements);
    page.counter(DUPLICATES, reading.duplicates);
    let (taken, refused) = reading.copied;
    page.counter(COPIED, taken);
    page.counter(UNCOPIED, refused);
}

const PACKETS: About = About::new("tsuji_packets_total", "Packets of MAC forwarding by what became of them.");
const BYTES: About = About::new("tsuji_packet_bytes_total", "Bytes of those packets, Ethernet headers included.");
const CONNECTIONS: About = About::new("tsuji_packet_connections", "Entries of the connection table.");
const HALF_OPEN: About = About::new("tsuji_packet_half_open_connections", "Entries that have only seen a SYN.");
const ROOM: About = About::new("tsuji_packet_connection_places", "Places of the connection table.");
const DRIFT: About = About::new(
    "tsuji_packet_counter_drift",
    "By how much counters and connection table differed at the last count; 0 when nothing is going on.",
);
const REFUSED_PLANS: About =
    About::new("tsuji_packet_refused_plans_total", "Changes that the kernel's tables had no room for.");
const LOST: About =
    About::new("tsuji_packet_socket_lost_total", "Packets lost because a packet socket or an interface was full.");
const ANSWERS: About =
    About::new("tsuji_claim_answers_total", "Questions for cluster addresses (ARP, neighbour discovery) answered.");
const ANNOUNCEMENTS: About = About::new("tsuji_claim_announcements_total", "Announcements of cluster addresses.");
const COPIED: About =
    About::new("tsuji_packet_copied_connections_total", "Connections of the partner that were taken in or renewed.");
const UNCOPIED: About = About::new(
    "tsuji_packet_uncopied_connections_total",
    "Connections of the partner that found no place, or no server of their name.",
);
const DUPLICATES: About = About::new(
    "tsuji_claim_duplicates_total",
    "Other stations that claimed a cluster address, each time one was told of.",
);
