use proptest::prelude::*;

use super::*;

#[test]
fn shares_of_plain_loads() {
    let close = |shares: Vec<f64>, wanted: &[f64]| {
        assert_eq!(shares.len(), wanted.len());
        assert!(shares.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{shares:?} {wanted:?}");
    };
    close(shares(&[]), &[]);
    close(shares(&[None, None]), &[1.0, 1.0]);
    close(shares(&[Some(0.0), Some(0.0)]), &[1.0, 1.0]);
    close(shares(&[Some(0.0), Some(8.0)]), &[1.0, 1.0 / 9.0]);
    close(shares(&[Some(10.0), Some(10.0), None]), &[1.0, 1.0, 1.0]);
    close(shares(&[Some(1.0), Some(3.0)]), &[1.0, 1.5 / 3.5]);
}

#[test]
fn mended_loads() {
    for (load, mended) in [
        (0.0, (Some(0.0), false)),
        (12.5, (Some(12.5), false)),
        (f64::NAN, (None, true)),
        (f64::INFINITY, (None, true)),
        (-1.0, (None, true)),
        (1e300, (Some(LARGEST), true)),
    ] {
        assert_eq!(sane(load), mended, "{load}");
    }
}

/// Exactly, in thousandths of a billionth: (4n·least + sum) / (4n·load + sum), the same fraction without divisions
/// inside.
fn exact(loads: &[u64]) -> Vec<f64> {
    let n = 4 * loads.len() as i128;
    let sum: i128 = loads.iter().map(|load| i128::from(*load)).sum();
    let least = i128::from(loads.iter().copied().min().unwrap_or(0));
    let share = |load: &u64| match n * i128::from(*load) + sum {
        0 => 1.0,
        below => ((n * least + sum) * 1_000_000_000_000 / below) as f64 / 1e12,
    };
    loads.iter().map(share).collect()
}

proptest! {
    /// W10: whole loads up to the largest number there is, against exact arithmetic.
    #[test]
    fn agrees_with_whole_numbers(loads in prop::collection::vec(prop_oneof![0u64..50, any::<u64>(), Just(u64::MAX)], 1..40)) {
        let floats: Vec<Option<f64>> = loads.iter().map(|load| Some(*load as f64)).collect();
        for (share, exact) in shares(&floats).into_iter().zip(exact(&loads)) {
            prop_assert!(share > 0.0 || exact < 1e-9);
            prop_assert!((share - exact).abs() < 2e-9, "{share} {exact}");
        }
    }

    /// W2: a larger load never has a larger share, however the others stand.
    #[test]
    fn more_load_never_earns_more(mut loads in prop::collection::vec(0.0..1e4f64, 1..12), at in any::<prop::sample::Index>(), more in 0.0..1e6f64) {
        let at = at.index(loads.len());
        let before = shares(&loads.iter().copied().map(Some).collect::<Vec<_>>());
        loads[at] += more;
        let after = shares(&loads.iter().copied().map(Some).collect::<Vec<_>>());
        prop_assert!(after[at] <= before[at]);
    }

    /// W4: the unit of the load does not matter.
    #[test]
    fn scale_free(loads in prop::collection::vec(0.0..1e4f64, 1..12), factor in 1e-3..1e3f64) {
        let of = |factor: f64| shares(&loads.iter().map(|load| Some(load * factor)).collect::<Vec<_>>());
        for (a, b) in of(1.0).into_iter().zip(of(factor)) {
            prop_assert!((a - b).abs() < 3.0 / GRID);
        }
    }
}
