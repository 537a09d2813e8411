//! Sums over counters.

use crate::control::reply::{Count, LatencyReport, Traffic};
use crate::executor::{HistogramReading, PortReading, ServerReading};
use crate::message::ErrorReason;

use super::super::state::ServerState;

/// What these servers carry together.
pub(super) fn traffic<'s>(servers: impl Iterator<Item = &'s ServerState>) -> Traffic {
    servers.fold(Traffic::default(), |sum, server| {
        let reading = server.counters.read();
        Traffic {
            active: sum.active + reading.active,
            total: sum.total + reading.begun,
            new_per_second: sum.new_per_second + reading.rate as f64,
            bytes_in: sum.bytes_in + reading.bytes_in,
            bytes_out: sum.bytes_out + reading.bytes_out,
            kbytes_per_second: sum.kbytes_per_second + server.bytes_per_second / 1024.0,
        }
    })
}

/// Refusals by reason, only those that happened.
pub(super) fn refusals<'r>(ports: impl Iterator<Item = &'r PortReading>) -> Vec<Count> {
    let mut sums = [0; ErrorReason::ALL.len()];
    for reading in ports {
        for (sum, count) in sums.iter_mut().zip(&reading.reasons) {
            *sum += count;
        }
    }
    let counts = ErrorReason::ALL.into_iter().zip(sums).filter(|(_, count)| *count > 0);
    counts.map(|(reason, count)| Count { reason: reason.word().to_owned(), count }).collect()
}

/// Responses by class, only those that happened.
pub(super) fn responses(classes: &[u64]) -> Vec<Count> {
    let counts = (1..).zip(classes).filter(|(_, count)| **count > 0);
    counts.map(|(class, &count)| Count { reason: format!("{class}xx"), count }).collect()
}

pub(super) fn server_responses(reading: &ServerReading) -> Vec<Count> {
    responses(&reading.responses)
}

pub(super) fn latency(reading: &PortReading) -> LatencyReport {
    let [connect, first_byte, total] = &reading.phases;
    LatencyReport { connect_ms: mean_ms(connect), first_byte_ms: mean_ms(first_byte), total_ms: mean_ms(total) }
}

fn mean_ms(histogram: &HistogramReading) -> Option<f64> {
    let count: u64 = histogram.buckets.iter().sum();
    (count > 0).then(|| histogram.sum_us as f64 / count as f64 / 1000.0)
}
