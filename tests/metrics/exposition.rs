//! A strict reader of Prometheus's text format 0.0.4: what it accepts, every scraper accepts.

use std::collections::{HashMap, HashSet};

/// A page that was read without a fault.
#[derive(Debug, Default)]
pub struct Exposition {
    samples: HashMap<String, f64>,
    families: HashSet<String>,
    family: Option<Family>,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: String,
    /// Count of the bucket before, for histograms.
    cumulated: f64,
    bound: f64,
}

impl Exposition {
    /// The page, or the first line that is wrong and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut page = Self::default();
        let mut help = None;
        for (number, line) in text.lines().enumerate() {
            let read = if let Some(rest) = line.strip_prefix("# HELP ") {
                rest.split_once(' ')
                    .map(|(name, _)| help = Some(name.to_owned()))
                    .ok_or("HELP without a text".to_owned())
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                page.begin(rest, help.take())
            } else {
                page.sample(line)
            };
            read.map_err(|fault| format!("line {}: {fault}: {line}", number + 1))?;
        }
        Ok(page)
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The value of a series, written as on the page.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    fn begin(&mut self, rest: &str, help: Option<String>) -> Result<(), String> {
        let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
        check(help.as_deref() == Some(name), "HELP of this family does not stand before its TYPE")?;
        check(is_name(name), "not the name of a metric")?;
        check(matches!(kind, "counter" | "gauge" | "histogram"), "an unknown type")?;
        check((kind == "counter") == name.ends_with("_total"), "counters, and only they, end in _total")?;
        check(name.starts_with("tsuji_") || name.starts_with("process_"), "an unknown prefix")?;
        check(self.families.insert(name.to_owned()), "this family was there before")?;
        self.family = Some(Family { name: name.to_owned(), kind: kind.to_owned(), cumulated: 0.0, bound: f64::MIN });
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let value: f64 = value.parse().map_err(|_| "the value is not a number")?;
        let (name, labels) = labels_of(series)?;
        let family = self.family.as_mut().ok_or("a sample before the first TYPE")?;
        family.take(name, &labels, value)?;
        check(self.samples.insert(series.to_owned(), value).is_none(), "this series was there before")
    }
}

impl Family {
    fn take(&mut self, name: &str, labels: &Labels, value: f64) -> Result<(), String> {
        check(value.is_finite() && (value >= 0.0 || self.kind == "gauge"), "an impossible value")?;
        if self.kind != "histogram" {
            return check(name == self.name, "a sample of another family");
        }
        match name.strip_prefix(&self.name) {
            Some("_bucket") => self.bucket(labels, value),
            Some("_count") => check(value == self.cumulated, "the count is not the last bucket"),
            Some("_sum") => check(self.bound == f64::INFINITY, "a sum before the bucket +Inf"),
            _ => Err("a sample of another family".to_owned()),
        }
    }

    fn bucket(&mut self, labels: &Labels, value: f64) -> Result<(), String> {
        let (_, bound) = labels.last().filter(|(name, _)| name == "le").ok_or("a bucket without le")?;
        let bound: f64 = bound.parse().map_err(|_| "a bound that is not a number")?;
        // After +Inf the next histogram begins.
        if self.bound == f64::INFINITY {
            (self.bound, self.cumulated) = (f64::MIN, 0.0);
        }
        check(bound > self.bound, "bounds do not ascend")?;
        check(value >= self.cumulated, "buckets are not cumulative")?;
        (self.bound, self.cumulated) = (bound, value);
        Ok(())
    }
}

/// Names and unescaped values.
type Labels = Vec<(String, String)>;

/// The metric's name and its labels.
fn labels_of(series: &str) -> Result<(&str, Labels), String> {
    let Some((name, rest)) = series.split_once('{') else {
        return check(is_name(series), "not the name of a metric").map(|()| (series, Labels::new()));
    };
    check(is_name(name), "not the name of a metric")?;
    let mut rest = rest.strip_suffix('}').ok_or("labels without an end")?;
    let mut labels = Labels::new();
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        check(LABELS.contains(&label), "a label that is not ours")?;
        let (value, after) = unescape(after)?;
        labels.push((label.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Ok((name, labels))
}

/// The text up to its closing quote, and what follows.
fn unescape(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((value, text.get(place + 1..).unwrap_or_default())),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                _ => return Err("an unknown escape".to_owned()),
            }),
            other => value.push(other),
        }
    }
    Err("a value without an end".to_owned())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
}

fn check(holds: bool, fault: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault.to_owned()) }
}

/// None of them carries a client's words.
const LABELS: [&str; 17] = [
    "cluster", "port", "server", "rule", "advisor", "reason", "code", "phase", "le", "outcome", "event", "result",
    "version", "file", "group", "path", "target",
];
