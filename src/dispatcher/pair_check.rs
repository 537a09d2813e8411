//! Whether the configurations of two dispatchers make a pair.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::model::{HeartbeatPath, PairRole, PairSettings};

use super::pair::PairPlan;

/// What is wrong between the two, one sentence each; nothing: they are a pair. `other` is what `one` runs beside.
pub fn compare_pair(one: &Config, other: &Config) -> Vec<String> {
    let (Some(own), Some(theirs)) = (&one.pair, &other.pair) else {
        let alone = [(one, "the first"), (other, "the second")].into_iter().filter(|(config, _)| config.pair.is_none());
        return alone
            .map(|(_, which)| format!("{which} has no partner: `role` of highavailability is not given"))
            .collect();
    };
    let mut faults = Vec::new();
    faults.extend(roles(own.role, theirs.role));
    faults.extend(nodes(own, theirs));
    faults.extend(paths(own, theirs));
    let alike = [
        ("port", own.port.get().to_string(), theirs.port.get().to_string()),
        ("recovery", own.recovery.word().to_owned(), theirs.recovery.word().to_owned()),
        ("interval", seconds(own.timings.interval()), seconds(theirs.timings.interval())),
        ("hatimeout", seconds(own.timings.dead()), seconds(theirs.timings.dead())),
    ];
    let differing = alike.into_iter().filter(|(_, own, theirs)| own != theirs);
    faults.extend(
        differing.map(|(word, own, theirs)| format!("`{word}` is {own} on the first and {theirs} on the second")),
    );
    if PairPlan::new(own, one).clusters_hash() != PairPlan::new(theirs, other).clusters_hash() {
        faults.push(
            "clusters, ports or servers differ; one file for both, and a small one for each, would be right".to_owned(),
        );
    }
    faults
}

fn seconds(time: std::time::Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

fn roles(own: PairRole, theirs: PairRole) -> Option<String> {
    use PairRole::{Backup, Both, Primary};
    let fits = matches!((own, theirs), (Primary, Backup) | (Backup, Primary) | (Both, Both));
    let (own, theirs) = (own.word(), theirs.word());
    (!fits).then(|| format!("the roles are {own} and {theirs}; primary and backup, or both and both, would be right"))
}

fn nodes(own: &PairSettings, theirs: &PairSettings) -> Option<String> {
    let node = own.node.as_ref().filter(|node| theirs.node.as_ref() == Some(*node))?;
    Some(format!("both are called {node}; `node` has to differ"))
}

/// Each way, seen from the other side.
fn paths(own: &PairSettings, theirs: &PairSettings) -> Vec<String> {
    let turned = |path: &HeartbeatPath| HeartbeatPath { source: path.destination, destination: path.source };
    let own: BTreeSet<HeartbeatPath> = own.paths.iter().copied().collect();
    let theirs: BTreeSet<HeartbeatPath> = theirs.paths.iter().map(turned).collect();
    let missing = |path: &HeartbeatPath, on: &str, words: String| {
        format!("heartbeat {path} has no counterpart on the {on}; `heartbeat add {words}` there would be right")
    };
    let on_second = own.difference(&theirs).map(|path| missing(path, "second", turned(path).to_string()));
    let on_first = theirs.difference(&own).map(|path| missing(&turned(path), "first", path.to_string()));
    on_second.chain(on_first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    fn config(role: &str, source: &str, destination: &str, more: &str) -> Config {
        let script = format!(
            "highavailability set key /k\nhighavailability heartbeat add {source} {destination}\n{more}\n\
             cluster add a address 192.0.2.1 primaryhost 10.0.0.1\nport add a:80 method http\n\
             highavailability backup add {role} auto\n"
        );
        let document = Document::parse(&script, "x.cfg").unwrap_or_else(|faults| panic!("{faults}"));
        document.resolve().unwrap_or_else(|faults| panic!("{faults}")).config
    }

    fn backup(more: &str) -> Config {
        config("backup", "10.0.0.2", "10.0.0.1", more)
    }

    #[test]
    fn two_that_fit_have_nothing_against_each_other() {
        let primary = config("primary", "10.0.0.1", "10.0.0.2", "");
        assert_eq!(compare_pair(&primary, &backup("")), Vec::<String>::new());
        let both = |source, destination| config("both", source, destination, "");
        assert_eq!(compare_pair(&both("10.0.0.1", "10.0.0.2"), &both("10.0.0.2", "10.0.0.1")), Vec::<String>::new());
    }

    #[test]
    fn whatever_does_not_fit_is_named_with_what_would() {
        let primary = config("primary", "10.0.0.1", "10.0.0.2", "highavailability set node lb1");
        let cases = [
            (config("primary", "10.0.0.2", "10.0.0.1", ""), "the roles are primary and primary"),
            (backup("highavailability set node lb1"), "both are called lb1"),
            (backup("highavailability set hatimeout 5"), "`hatimeout` is 2 s on the first and 5 s on the second"),
            (backup("highavailability set port 12346"), "`port` is 12345 on the first and 12346 on the second"),
            (
                backup("highavailability heartbeat add 10.0.1.2 10.0.1.1"),
                "heartbeat 10.0.1.2 10.0.1.1 has no counterpart on the first",
            ),
            (backup("cluster add b address 192.0.2.2"), "clusters, ports or servers differ"),
            (Document::default().resolve().expect("nothing is wrong with nothing").config, "the second has no partner"),
        ];
        for (other, words) in cases {
            let found = compare_pair(&primary, &other);
            assert!(found.len() == 1 && found[0].starts_with(words), "{found:?}, not {words}");
        }
    }
}
