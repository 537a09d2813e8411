//! What people get to see.

use std::collections::BTreeMap;

use super::figures::chart::chart;
use super::figures::measure::Measure;
use super::figures::report::{Buffers, Cell, Machine, Method, Report};
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
    cell.remark = Some("all on one machine".to_owned());
    let expected = "\
100 bytes, 64 connections (small64)
           CPU/req µs  (least to most)
  tsuji          20.0   (18.0 to 25.0)
  haproxy        10.0   (10.0 to 10.0)
  tsuji ÷ haproxy: 2.000 (half of the rounds: 1.900 to 2.250)
  all on one machine
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

fn report(cells: Vec<Cell>) -> Report {
    let machine = Machine {
        processor: "a <fast> one".to_owned(),
        cpus: 2,
        kernel: "6.1.0".to_owned(),
        system: "Debian".to_owned(),
        load_average: 0.0,
        versions: BTreeMap::from([("tsuji".to_owned(), "0.1.0".to_owned())]),
    };
    let method = Method {
        peers_buffers: Buffers::Default,
        rounds: 3,
        seconds: 1,
        precise_rounds: 9,
        precise_seconds: 2,
        seed: 7,
        proxy_cpu: "1".to_owned(),
        load_cpu: "0".to_owned(),
        file_system: "ext2/ext3".to_owned(),
    };
    Report { machine, method, cells, notes: Vec::new() }
}

/// The values of an attribute of all elements of this kind.
fn values(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
    let start = format!("<{element}");
    let elements = svg.split(&start).skip(1).filter_map(|rest| rest.split('>').next());
    let value = |element: &str| element.split_once(&format!(" {attribute}=\""))?.1.split('"').next()?.parse().ok();
    elements.filter_map(value).collect()
}

#[test]
fn a_chart_has_every_row_with_its_figure() {
    let cpu = Measure::CpuPerRequest;
    let rows =
        || vec![row("tsuji", cpu, &[20.0, 30.0, 40.0]), row("a<b & c", cpu, &[15.0; 3]), row("silent", cpu, &[])];
    let svg = chart(&report(vec![cell(rows()), cell(rows()), cell(Vec::new())]));
    for (text, times) in [
        (">tsuji</text>", 2),
        (">30.0 µs</text>", 2),
        (">a&lt;b &amp; c</text>", 2),
        (">15.0 µs</text>", 2),
        (">silent</text>", 2),
        ("a &lt;fast&gt; one", 1),
        (">100 bytes, 64 connections</text>", 2),
        ("class=\"bar tsuji\"", 2),
        ("class=\"spread\"", 4),
    ] {
        assert_eq!(svg.matches(text).count(), times, "{text}\n{svg}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"));
}

/// Figures of one kind of buffers say nothing of the other.
#[test]
fn buffers_are_named() {
    for (buffers, title, word) in
        [(Buffers::Default, "with their default buffers", "default"), (Buffers::Tuned, "with buffers tuned", "tuned")]
    {
        let mut report = report(Vec::new());
        report.method.peers_buffers = buffers;
        assert!(chart(&report).contains(title), "{buffers:?}");
        let json = serde_json::to_value(&report.method).expect("JSON");
        assert_eq!(json["peers_buffers"], word);
    }
}

/// The longest spread fills its panel and leaves room for the figure behind it; nothing leaves the ground.
#[test]
fn a_chart_stays_within_its_bounds() {
    for most in [0.001, 1.0, 31.0, 98_765.0] {
        for count in 1..8 {
            let cells = (0..count).map(|rows| {
                cell(
                    (0..=rows)
                        .map(|_| row("tsuji, 2 workers", Measure::CpuPerRequest, &[0.0, most / 2.0, most]))
                        .collect(),
                )
            });
            let svg = chart(&report(cells.collect()));
            let (width, height) = (values(&svg, "svg", "width")[0], values(&svg, "svg", "height")[0]);
            let within = |values: Vec<f64>, bound: f64| values.iter().all(|value| (0.0..=bound).contains(value));
            assert!(within(values(&svg, "text", "x"), width - 60.0), "{svg}");
            assert!(within(values(&svg, "line", "x2"), width - 60.0), "{svg}");
            assert!(within(values(&svg, "text", "y"), height - 4.0), "{svg}");
        }
    }
}

/// Two texts in one place could not be read.
#[test]
fn a_chart_has_every_text_in_a_place_of_its_own() {
    let rows =
        || vec![row("tsuji", Measure::CpuPerRequest, &[1.0, 2.0]), row("nginx", Measure::CpuPerRequest, &[3.0, 3.0])];
    let svg = chart(&report((0..5).map(|_| cell(rows())).collect()));
    let mut places: Vec<(f64, f64)> = values(&svg, "text", "x").into_iter().zip(values(&svg, "text", "y")).collect();
    places.sort_by(|left, right| left.partial_cmp(right).expect("numbers"));
    for pair in places.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[1].1 - pair[0].1 >= 12.0, "{pair:?}");
    }
}
