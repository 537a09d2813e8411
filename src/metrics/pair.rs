//! The pair.

use crate::executor::HistogramReading;

use super::page::{About, Labels, Page, flag};

/// What is known of the pair.
#[derive(Clone, Debug)]
pub struct PairReading {
    pub groups: Vec<PairGroupReading>,
    pub paths: Vec<PairPathReading>,
    pub partner_heard: bool,
    pub in_sync: bool,
    /// What the two should have alike, or different, and do not.
    pub misconfigurations: usize,
    /// Heartbeats that were told to the machine.
    pub admitted: u64,
    /// Datagrams that were refused, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// News of the thread that nobody could take in time.
    pub news_lost: u64,
    /// How much later than it wanted the thread of heartbeats ran.
    pub lateness: HistogramReading,
    /// Targets that are pinged, and whether they answer.
    pub reach: Vec<(String, bool)>,
}

/// A group of clusters that is claimed together.
#[derive(Clone, Copy, Debug)]
pub struct PairGroupReading {
    pub group: u8,
    pub active: bool,
    pub partner_active: bool,
    pub fault: bool,
    pub epoch: u64,
}

/// A way to the partner.
#[derive(Clone, Debug)]
pub struct PairPathReading {
    /// As operators write it.
    pub name: String,
    pub heard: bool,
    /// Of the last heartbeats.
    pub loss: f64,
    pub round_trip_seconds: Option<f64>,
}

pub(super) fn write(page: &mut Page, reading: &PairReading) {
    let groups = || reading.groups.iter().map(|group| (Labels::new(&[("group", &group.group.to_string())]), group));
    page.gauges(ACTIVE, groups().map(|(labels, group)| (labels, flag(group.active))));
    page.gauges(PARTNER_ACTIVE, groups().map(|(labels, group)| (labels, flag(group.partner_active))));
    page.gauges(FAULT, groups().map(|(labels, group)| (labels, flag(group.fault))));
    page.gauges(EPOCH, groups().map(|(labels, group)| (labels, group.epoch as f64)));
    page.gauge(HEARD, flag(reading.partner_heard));
    page.gauge(IN_SYNC, flag(reading.in_sync));
    page.gauge(MISCONFIGURED, reading.misconfigurations as f64);
    let paths = || reading.paths.iter().map(|path| (Labels::new(&[("path", &path.name)]), path));
    page.gauges(PATH_HEARD, paths().map(|(labels, path)| (labels, flag(path.heard))));
    page.gauges(PATH_LOSS, paths().map(|(labels, path)| (labels, path.loss)));
    page.gauges(PATH_TRIP, paths().filter_map(|(labels, path)| Some((labels, path.round_trip_seconds?))));
    page.counter(ADMITTED, reading.admitted);
    let refused = reading.refused.iter();
    page.counters(REFUSED, refused.map(|&(reason, count)| (Labels::new(&[("reason", reason)]), count as f64)));
    page.counter(NEWS_LOST, reading.news_lost);
    page.histograms(LATENESS, [(Labels::default(), reading.lateness)]);
    let reach = reading.reach.iter();
    page.gauges(REACH, reach.map(|(target, answers)| (Labels::new(&[("target", target)]), flag(*answers))));
}

const ACTIVE: About = About::new("tsuji_pair_active", "1: this dispatcher is active for the group of clusters.");
const PARTNER_ACTIVE: About = About::new("tsuji_pair_partner_active", "1: the partner says that it is.");
const FAULT: About = About::new("tsuji_pair_fault", "1: this dispatcher is not fit to serve.");
const EPOCH: About = About::new("tsuji_pair_epoch", "The number of the newest claim that is known.");
const HEARD: About = About::new("tsuji_pair_partner_heard", "1: the partner is heard on some path.");
const IN_SYNC: About = About::new("tsuji_pair_in_sync", "1: the tables are copied between the two.");
const MISCONFIGURED: About =
    About::new("tsuji_pair_misconfigurations", "What the two dispatchers should have alike, or different, and do not.");
const PATH_HEARD: About = About::new("tsuji_pair_path_heard", "1: heartbeats come in on the path.");
const PATH_LOSS: About =
    About::new("tsuji_pair_path_loss_ratio", "Of the last 64 heartbeats on the path, what is lost.");
const PATH_TRIP: About =
    About::new("tsuji_pair_path_round_trip_seconds", "There and back, without the time that the partner took.");
const ADMITTED: About = About::new("tsuji_pair_heartbeats_total", "Heartbeats of the partner.");
const REFUSED: About =
    About::new("tsuji_pair_refused_datagrams_total", "Datagrams at the port of heartbeats that were not believed.");
const NEWS_LOST: About =
    About::new("tsuji_pair_news_lost_total", "What the thread of heartbeats said that nobody could take in time.");
const LATENESS: About =
    About::new("tsuji_pair_lateness_seconds", "How much later than it wanted the thread of heartbeats ran.");
const REACH: About = About::new("tsuji_pair_reach_target_up", "1: the reach target answers pings.");
