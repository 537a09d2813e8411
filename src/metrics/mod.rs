//! What Prometheus reads: a moment of the dispatcher as text.
//!
//! The daemon gathers a [`Reading`] when a scrape comes and [`encode`] writes it down. Names begin with `tsuji_` (those of the
//! process with `process_`, as everywhere), units are seconds and bytes, counters end in `_total`, and labels hold
//! only what the configuration or our own vocabulary names, so that no client can make new series.
//!
//! Nothing is counted here: data paths keep their own counters (`executor`), which are added up when asked. No socket
//! is served here and no clock is read; of files only those of this process under `/proc` ([`ProcessReading::take`]).

mod certificates;
mod dispatcher;
mod packets;
mod page;
mod pair;
mod ports;
mod process;
mod reading;
mod servers;

pub use pair::{PairGroupReading, PairPathReading, PairReading};
pub use process::ProcessReading;
pub use reading::{
    AccessLogReading, AdvisorReading, AffinityReading, CertificateReading, CertificatesReading, ConfigurationReading,
    PacketReading, ProxyCounter, Reading, ReloadReading,
};

use page::Page;

/// The `Content-Type` of the page.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Writes the page.
///
/// Its size is that of the configuration: about 1 KiB per server and 8 KiB per port. A thousand ports of ten servers take
/// some 150 ms (see `benches/metrics.rs`), so it is for a blocking thread, not for one that others wait for.
pub fn encode(reading: &Reading) -> Vec<u8> {
    let mut page = Page::default();
    dispatcher::write(&mut page, reading);
    certificates::write(&mut page, &reading.certificates);
    if let Some(packets) = &reading.packets {
        packets::write(&mut page, packets);
    }
    if let Some(pair) = &reading.pair {
        pair::write(&mut page, pair);
    }
    ports::write(&mut page, &reading.table, &reading.reasons);
    servers::write(&mut page, &reading.table);
    dispatcher::write_advisors(&mut page, &reading.advisors);
    process::write(&mut page, &reading.process, reading.started);
    page.into_text()
}
