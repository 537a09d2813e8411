//! Certificates and when they expire.

use std::collections::BTreeMap;

use super::page::{About, Labels, Page, flag};
use super::{CertificateReading, CertificatesReading};

pub(super) fn write(page: &mut Page, reading: &CertificatesReading) {
    let outcomes = [("done", reading.read), ("refused", reading.refused)];
    let outcomes = outcomes.map(|(outcome, count)| (Labels::new(&[("outcome", outcome)]), count as f64));
    page.counters(READS, outcomes);
    page.gauges(LAST_READ_GOOD, reading.good.map(|good| (Labels::default(), flag(good))));
    page.gauges(EXPIRY, series(&reading.in_use).into_iter().map(|one| (labels(one), one.expires as f64)));
}

/// A port may name a file twice, once alone and once with its directory; a series may be there once.
fn series(in_use: &[CertificateReading]) -> Vec<&CertificateReading> {
    let key = |one: &CertificateReading| (one.cluster.clone(), one.port, one.server.clone(), one.file.clone());
    let once: BTreeMap<_, _> = in_use.iter().rev().map(|one| (key(one), one)).collect();
    once.into_values().collect()
}

fn labels(one: &CertificateReading) -> Labels {
    let port = one.port.to_string();
    let labels = Labels::new(&[("cluster", one.cluster.as_str()), ("port", &port)]);
    let labels = match &one.server {
        Some(server) => labels.with("server", server.as_str()),
        None => labels,
    };
    labels.with("file", &one.file)
}

const READS: About =
    About::new("tsuji_certificate_reads_total", "Times that certificates were read again, by how it ended.");
const LAST_READ_GOOD: About = About::new(
    "tsuji_certificate_last_read_successful",
    "1 if certificates could be used when they were last read again, 0 if those in force stayed.",
);
const EXPIRY: About =
    About::new("tsuji_certificate_expiry_timestamp_seconds", "When the certificate expires, in seconds since 1970.");
