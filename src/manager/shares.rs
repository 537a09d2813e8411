//! From loads to shares: the arithmetic of one kind of evidence on one port.

/// The share that each load deserves, relative to the best one: above 0, at most 1, the least loaded has 1.
///
/// `share = (least + ease) / (load + ease)` with `ease` a quarter of the mean load. Without the ease an idle server
/// would be infinitely better than one with a single connection; a fixed ease would make the answer depend on the unit
/// of the load. With n servers the worst share is 1 / (4n + 1). A load that is not known counts as the mean. The sum is
/// taken in ascending order and shares are rounded to a fine grid, so that neither the order of servers nor the last
/// bit of a division decides anything.
///
/// Why raising one load never raises its own share: the ease grows by d/4n when a load grows by d. The least loaded
/// keeps 1. For another one the numerator N grows by d/4n and the denominator D by d (1 + 1/4n), so the share grows
/// only if N < D / (4n + 1); but a load is at most n × mean − (n − 1) × least, hence D / (4n + 1) ≤ mean / 4 ≤ N.
pub(super) fn shares(loads: &[Option<f64>]) -> Vec<f64> {
    let mut known: Vec<f64> = loads.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let least = known.first().copied().unwrap_or(0.0);
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    if mean <= 0.0 {
        return vec![1.0; loads.len()];
    }
    let ease = EASE * mean;
    loads.iter().map(|load| on_grid((least + ease) / (load.unwrap_or(mean) + ease))).collect()
}

/// A measured load that can be reckoned with, and whether it had to be mended.
///
/// Not a number, infinite or negative: no load at all. Larger than anything sensible: the largest sensible.
pub(super) fn sane(load: f64) -> (Option<f64>, bool) {
    if !load.is_finite() || load < 0.0 {
        return (None, true);
    }
    (Some(load.min(LARGEST)), load > LARGEST)
}

fn on_grid(share: f64) -> f64 {
    (share * GRID).round() / GRID
}

/// Part of the mean load that is added to each load. Larger: gentler weights; 0: one idle server takes all.
const EASE: f64 = 0.25;
/// Thirty bits: far finer than any weight, far coarser than rounding errors.
const GRID: f64 = (1u64 << 30) as f64;
/// Beyond it a load is nonsense (as milliseconds: 30,000 years), and squares and sums stay finite below it.
const LARGEST: f64 = 1e15;

#[cfg(test)]
mod tests;
