//! Families of samples, written one after the other.

use std::time::{Duration, SystemTime};

use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::executor::{HistogramReading, LATENCY_BOUNDS_US};

/// The page so far.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<u8>);

/// What a family is called and what it means.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    name: &'a str,
    help: &'a str,
}

impl<'a> About<'a> {
    pub const fn new(name: &'a str, help: &'a str) -> Self {
        Self { name, help }
    }
}

/// A family with one sample for each subject, and how to read it.
pub(super) type Column<Subject, Value> = (About<'static>, fn(&Subject) -> Value);

impl Page {
    /// Figures that only ever grow.
    pub fn counters(&mut self, about: About<'_>, samples: impl IntoIterator<Item = (Labels, f64)>) {
        self.family(MetricType::COUNTER, about, samples.into_iter().map(counter));
    }

    /// Figures that go up and down.
    pub fn gauges(&mut self, about: About<'_>, samples: impl IntoIterator<Item = (Labels, f64)>) {
        self.family(MetricType::GAUGE, about, samples.into_iter().map(gauge));
    }

    pub fn counter(&mut self, about: About<'_>, value: u64) {
        self.counters(about, [(Labels::default(), value as f64)]);
    }

    pub fn gauge(&mut self, about: About<'_>, value: f64) {
        self.gauges(about, [(Labels::default(), value)]);
    }

    /// Durations, in seconds.
    pub fn histograms(&mut self, about: About<'_>, samples: impl IntoIterator<Item = (Labels, HistogramReading)>) {
        self.family(MetricType::HISTOGRAM, about, samples.into_iter().map(histogram));
    }

    /// Families are encoded and freed one by one: all at once, the largest configuration would take a
    /// hundred MiB for the length of each scrape.
    fn family(&mut self, kind: MetricType, about: About<'_>, samples: impl Iterator<Item = Metric>) {
        let samples: Vec<Metric> = samples.collect();
        // The text format has no family without samples.
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(about.name.to_owned());
        family.set_help(about.help.to_owned());
        family.set_field_type(kind);
        family.set_metric(samples);
        TextEncoder::new().encode(&[family], &mut self.0).expect("a named family with samples is written to memory");
    }

    pub fn into_text(self) -> Vec<u8> {
        self.0
    }
}

/// What a sample belongs to.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(Vec<LabelPair>);

impl Labels {
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| pair(name, value)).collect())
    }

    /// These and one more.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs = Vec::with_capacity(self.0.len() + 1);
        pairs.extend(self.0.iter().cloned());
        pairs.push(pair(name, value));
        Self(pairs)
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn counter((labels, value): (Labels, f64)) -> Metric {
    let mut metric = Metric::from_label(labels.0);
    let mut counter = proto::Counter::default();
    counter.set_value(value);
    metric.set_counter(counter);
    metric
}

fn gauge((labels, value): (Labels, f64)) -> Metric {
    let mut metric = Metric::from_label(labels.0);
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn histogram((labels, reading): (Labels, HistogramReading)) -> Metric {
    let mut sum = 0;
    let cumulated = reading.buckets.iter().map(|count| {
        sum += count;
        sum
    });
    // The bucket without a bound is the count itself; the encoder writes it as `+Inf`.
    let buckets = LATENCY_BOUNDS_US.iter().zip(cumulated).map(|(&bound_us, count)| bucket(seconds(bound_us), count));
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(reading.buckets.iter().sum());
    histogram.set_sample_sum(seconds(reading.sum_us));
    let mut metric = Metric::from_label(labels.0);
    metric.set_histogram(histogram);
    metric
}

fn bucket(bound: f64, cumulated: u64) -> proto::Bucket {
    let mut bucket = proto::Bucket::default();
    bucket.set_upper_bound(bound);
    bucket.set_cumulative_count(cumulated);
    bucket
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// Seconds since 1970; a clock before that reads as 0.
pub(super) fn timestamp(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// 1 for yes, 0 for no.
pub(super) fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The labels of the classes of responses, by their place in the counters.
pub(super) const CODES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
