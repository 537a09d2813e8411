//! What the manager remembers of one server from round to round.

use super::evidence::Evidence;
use super::sample::ServerSample;
use crate::model::{Weight, WeightBound};

/// One server's memory.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// The weight before rounding, so that small steps add up instead of being rounded away.
    smoothed: f64,
    /// As last seen or asked for; anything else in a sample is the operator's doing.
    published: Weight,
    damper: Damper,
    in_service: bool,
    /// Connections ever begun, at the last count, if the server was in service then.
    total: Option<u64>,
    /// Counts that tell how the server carries load; `None` until it was in service between two counts.
    counted: Option<Counted>,
    evidence: Evidence,
}

/// Connections of one server over one period of service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) active: u64,
    pub(super) new: u64,
}

/// How the manager may move weights in this round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Part of the way to the target that is gone in one round, 0 to 1.
    pub(super) part: f64,
    pub(super) bound: WeightBound,
}

impl Track {
    pub(super) fn new(sample: &ServerSample) -> Self {
        let evidence =
            Evidence { active: 0, new: None, advisor: None, system: None, partial: None, weight: sample.weight };
        Self {
            smoothed: f64::from(sample.weight.get()),
            published: sample.weight,
            damper: Damper::default(),
            in_service: false,
            total: None,
            counted: None,
            evidence,
        }
    }

    /// Takes the sample's weight and state. True if the server went in or out of service.
    pub(super) fn follow(&mut self, sample: &ServerSample) -> bool {
        if sample.weight != self.published {
            self.smoothed = f64::from(sample.weight.get());
            self.published = sample.weight;
            self.damper = Damper::default();
        }
        let moved = sample.in_service() != self.in_service;
        self.in_service = sample.in_service();
        if moved {
            self.total = None;
            self.counted = None;
        }
        moved
    }

    /// Takes connection counts. Those of a time out of service say nothing about how a server carries load. False if
    /// the counter went backwards, so that its difference means nothing.
    pub(super) fn count(&mut self, sample: &ServerSample) -> bool {
        let before = self.total.replace(sample.total).filter(|_| self.in_service);
        let new = before.and_then(|total| sample.total.checked_sub(total));
        if self.counted.is_none() {
            // The first counts are evidence of a new kind, not an answer to the weight.
            self.damper = Damper::default();
        }
        self.counted = new.map(|new| Counted { active: sample.active, new });
        self.evidence.active = sample.active;
        self.evidence.new = new;
        before.is_none() || new.is_some()
    }

    pub(super) fn counted(&self) -> Option<Counted> {
        self.counted
    }

    /// One step from where the weight is towards `target`.
    pub(super) fn approach(&mut self, target: f64, pace: Pace) {
        let bound = f64::from(pace.bound.get());
        let old = self.smoothed.clamp(1.0, bound);
        let target = target.clamp(1.0, bound);
        let slack = SLACK * bound;
        self.smoothed = step(old, target, pace.part * self.damper.gain, slack * self.damper.gain);
        self.damper.feel(target, target - old, bound);
    }

    /// What the manager would publish: at least 1, unless the operator set 0.
    pub(super) fn computed(&self, bound: WeightBound) -> Weight {
        if self.published == Weight::ZERO {
            return Weight::ZERO;
        }
        Weight::saturating(self.smoothed.clamp(1.0, f64::from(bound.get())))
    }

    pub(super) fn published(&self) -> Weight {
        self.published
    }

    pub(super) fn publish(&mut self, weight: Weight) {
        self.published = weight;
    }

    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub(super) fn evidence_mut(&mut self) -> &mut Evidence {
        &mut self.evidence
    }
}

/// Keeps a weight from swinging.
///
/// Weights change loads, and loads change weights. A server near its limit answers a little more weight with a lot more
/// load, so a full step overshoots, is taken back at the next look, and the weight swings for ever. The damper sees
/// that: one turn of the evidence is a change of mind, another one soon after is swinging and halves the step. Evidence
/// that goes on wanting the same direction, or stands still for long, lets the step grow again. Turns by less than a
/// tenth of the bound are left alone: noise does that to a quiet site, which should stay quick to answer a real change.
#[derive(Clone, Copy, Debug)]
struct Damper {
    /// Factor for each step, [`Damper::LEAST`] to 1.
    gain: f64,
    /// The target of the last round.
    target: f64,
    /// Which way the last fresh evidence pulled: -1, 0 (not yet known) or 1.
    lean: i8,
    /// Looks at fresh evidence since it last turned.
    looks: u8,
    /// Rounds since evidence was fresh.
    rest: u8,
}

impl Damper {
    /// Strong enough for servers whose load grows with the tenth power of their weight.
    const LEAST: f64 = 0.125;
    /// Two turns within so many looks at fresh evidence are swinging.
    const SOON: u8 = 8;
    /// Rounds of standing still that mean peace. Longer than an advisor's value stands still between two probes.
    const PEACE: u8 = 8;

    /// Learns from a round whose target was `error` away, on a port with this bound.
    fn feel(&mut self, target: f64, error: f64, bound: f64) {
        let fresh = (target - self.target).abs() > SLACK * bound;
        self.target = target;
        if !fresh {
            self.rest = self.rest.saturating_add(1);
            let growth = if self.rest > Self::PEACE { 1.25 } else { 1.0 };
            self.gain = (self.gain * growth).min(1.0);
            return;
        }
        self.rest = 0;
        self.looks = self.looks.saturating_add(1);
        if error.abs() > bound / 10.0 {
            self.pull(if error > 0.0 { 1 } else { -1 });
        }
    }

    fn pull(&mut self, lean: i8) {
        let turned = lean == -self.lean;
        let factor = match turned {
            false => 1.15,
            true if self.looks <= Self::SOON => 0.5,
            true => 1.0,
        };
        if turned {
            self.looks = 0;
        }
        self.gain = (self.gain * factor).clamp(Self::LEAST, 1.0);
        self.lean = lean;
    }
}

impl Default for Damper {
    fn default() -> Self {
        Self { gain: 1.0, target: 0.0, lean: 0, looks: Self::SOON, rest: 0 }
    }
}

/// The smallest step, as a part of the weightbound. A pure proportion of the rest never arrives; with this one, five
/// steps of the default smoothing (1.5) get from any weight to any other exactly: (1/3)⁴ of the bound is less than one
/// such step.
const SLACK: f64 = 1.0 / 80.0;

/// From `old` towards `target` by a part of the way, at least by `least`, never beyond. The larger the target, the
/// larger the answer.
fn step(old: f64, target: f64, part: f64, least: f64) -> f64 {
    let error = target - old;
    let stride = (part * error.abs()).max(least);
    if stride >= error.abs() { target } else { old + stride.copysign(error) }
}
