//! What people get to see.

use super::figures::measure::Measure;
use super::figures::table::{number, table};
use super::numbers::{cell, row};

#[test]
fn numbers_have_three_digits_that_count() {
    let cases = [(0.0, "0.00"), (2.346, "2.35"), (23.44, "23.4"), (234.4, "234"), (23456.7, "23457"), (-2.0, "-2.00")];
    for (value, expected) in cases {
        assert_eq!(number(value), expected);
    }
}

#[test]
fn a_table() {
    let mut cell = cell(vec![
        row("tsuji", Measure::CpuPerRequest, &[18.0, 20.0, 25.0]),
        row("haproxy", Measure::CpuPerRequest, &[10.0, 10.0, 10.0]),
    ]);
    cell.compare("tsuji", "haproxy");
    let expected = "\
100 bytes, 64 connections (small64)
           CPU/req µs  (least to most)
  tsuji          20.0   (18.0 to 25.0)
  haproxy        10.0   (10.0 to 10.0)
  tsuji ÷ haproxy: 2.000 (1.800 to 2.500)
";
    assert_eq!(table(&cell), expected);
}

#[test]
fn failures_are_shown_where_there_were_some() {
    let quiet = cell(vec![row("tsuji", Measure::Failures, &[0.0, 0.0])]);
    assert!(!table(&quiet).contains("failures"), "{}", table(&quiet));
    let loud = cell(vec![row("tsuji", Measure::Failures, &[0.0, 3.0])]);
    assert!(table(&loud).contains("failures"), "{}", table(&loud));
}
