//! Medians and ratios.

use super::figures::measure::{Measure, Sample, Spread};
use super::figures::order::bring_together;
use super::figures::report::{Cell, Ratio, Row};

/// Median, the middle half, and the ends.
fn spread([least, lower, median, upper, most]: [f64; 5]) -> Option<Spread> {
    Some(Spread { median, lower, upper, least, most })
}

#[test]
fn medians() {
    let cases: [(&[f64], _); 8] = [
        (&[], None),
        (&[7.0], spread([7.0; 5])),
        (&[3.0, 1.0], spread([1.0, 1.5, 2.0, 2.5, 3.0])),
        (&[9.0, 1.0, 2.0], spread([1.0, 1.5, 2.0, 5.5, 9.0])),
        (&[4.0, 1.0, 100.0, 2.0], spread([1.0, 1.75, 3.0, 28.0, 100.0])),
        (&[5.0, 4.0, 3.0, 2.0, 1.0], spread([1.0, 2.0, 3.0, 4.0, 5.0])),
        (&[1.0, f64::NAN], None),
        (&[1.0, f64::INFINITY], None),
    ];
    for (values, expected) in cases {
        assert_eq!(Spread::of(values), expected, "{values:?}");
    }
}

/// A slow second round makes both slower. Ratios of medians would compare different rounds.
#[test]
fn ratios_are_of_one_round() {
    assert_eq!(Spread::of_ratios(&[2.0, 40.0, 3.0], &[1.0, 20.0, 1.5]), spread([2.0; 5]));
    assert_eq!(Spread::of_ratios(&[2.0], &[0.0]), None, "nothing is so many times nothing");
    assert_eq!(Spread::of_ratios(&[], &[]), None);
}

pub fn row(name: &str, measure: Measure, values: &[f64]) -> Row {
    Row::new(name.to_owned(), values.iter().map(|&value| Sample::from([(measure, value)])).collect())
}

pub fn cell(rows: Vec<Row>) -> Cell {
    let (name, title) = ("small64".to_owned(), "100 bytes, 64 connections".to_owned());
    Cell { name, title, headline: Measure::CpuPerRequest, rows, ratios: Vec::new(), remark: None }
}

#[test]
fn rows_are_compared_by_the_headline() {
    let cpu = Measure::CpuPerRequest;
    let mut cell = cell(vec![
        row("tsuji", cpu, &[10.0, 12.0, 30.0]),
        row("nginx", cpu, &[20.0, 20.0, 20.0]),
        row("haproxy", Measure::Rate, &[20.0, 20.0, 20.0]),
    ]);
    for other in ["nginx", "haproxy", "nobody"] {
        cell.compare("tsuji", other);
    }
    let spread = Spread::of(&[0.5, 0.6, 1.5]).expect("numbers");
    assert_eq!(cell.ratios, [Ratio { of: "tsuji".to_owned(), to: "nginx".to_owned(), spread }]);
}

#[test]
fn system_calls_are_summed_up() {
    let mut row = row("tsuji", Measure::Rate, &[1.0]);
    row.count(Vec::new());
    assert!(!row.figures.contains_key(&Measure::SystemCallsPerRequest), "none were counted");
    row.count(vec![("sendto".to_owned(), 2.0), ("epoll_wait".to_owned(), 0.5)]);
    assert_eq!(row.figures.get(&Measure::SystemCallsPerRequest).copied(), spread([2.5; 5]));
    assert_eq!(row.calls.len(), 2);
}

/// Kinds in the order of their first, each kind's own in the order that was drawn.
#[test]
fn what_is_compared_runs_together() {
    let cases = [
        (vec![], vec![]),
        (vec!["b1", "a1", "b0", "a0"], vec!["b1", "b0", "a1", "a0"]),
        (vec!["c0", "a1", "b0", "c1", "a0"], vec!["c0", "c1", "a1", "a0", "b0"]),
    ];
    for (drawn, expected) in cases {
        let mut entries = drawn.clone();
        bring_together(&mut entries, |entry| entry.chars().next());
        assert_eq!(entries, expected, "{drawn:?}");
    }
}
