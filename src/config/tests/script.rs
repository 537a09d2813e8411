//! Scripts of dscontrol commands.

use super::{document, faults};
use crate::config::Document;

const FILE: &str = "/etc/tsuji/site.cfg";

/// IBM's sample, without the pair.
const IBM: &str = "\u{feff}# a comment\r
dscontrol set loglevel 1\r
dscontrol executor start\r
dscontrol executor set nfa 10.19.90.20\r
dscontrol cluster add test address 10.19.90.110\r
dscontrol cluster set test proportions 49 50 1 0\r
dscontrol executor configure 10.19.90.110 en1 255.255.255.128\r
dscontrol port add test:80 reset no method http\r
dscontrol port set test:80 stickytime 300\r
\r
dscontrol server add test:80:w1a address 10.19.90.10\r
dscontrol server add test:80:w1b address 10.19.90.12\r
dscontrol manager start manager.log 10004\r
dscontrol advisor start http 80\r
";

#[test]
fn ibms_sample_loads_with_warnings() {
    let resolved = document(IBM, FILE).resolve().unwrap_or_else(|faults| panic!("{faults}"));
    let port = &resolved.config.clusters[0].ports[0];
    assert_eq!((port.stickytime.as_secs(), port.servers.len()), (300, 2));
    let notes: Vec<String> =
        resolved.warnings.iter().map(|note| note.to_string().replace("/etc/tsuji/site.cfg:", "")).collect();
    for note in [
        "3:11: the executor runs from the start",
        "4:11: `nfa` has no effect: a proxy needs no non-forwarding address",
        "13:11: the log file and the metric port of `manager start` have no effect",
    ] {
        assert!(notes.iter().any(|other| other.starts_with(note)), "{note} in {notes:#?}");
    }
}

#[test]
fn faults_have_the_place_of_their_word() {
    let script = "cluster add shop address 192.0.2.300\n\
                  port add shop:80 methd http\n\
                  server add shop:80:w1 weight 200 mapport x\n\
                  server add shop:81:w1\n\
                  \n\
                  dscontrol   status\n\
                  frobnicate\n\
                  say \"hi\n\
                  cluster add b\n\
                  a\u{0}b\n";
    let expected = [
        "1:26: `address` is an IP address, not `192.0.2.300`",
        "2:18: unknown keyword `methd`, did you mean `method`?",
        "3:30: `weight` is a whole number from 0 to 100, not `200`",
        "3:42: `mapport` is a whole number from 1 to 65535, not `x`",
        "4:12: cluster shop has no port `81`; there is `80`",
        "6:13: `status` changes nothing, so it has no place in a configuration",
        "7:1: unknown word `frobnicate`; there are executor, cluster, port, server, group, route, rule, manager, advisor, control, metrics, alerts, set, file, highavailability, binlog, metric, subagent, status, logstatus, explain, help",
        "8:5: the quote is not closed",
        "9:13: cluster b has no `address`, and its name is none",
        "10:2: the control character U+0000 has no place in a command",
    ];
    assert_eq!(faults(script, FILE), expected);
}

#[test]
fn appending_stands_on_what_is_there() {
    let base =
        document("cluster add shop address 192.0.2.10\nport add shop:80 method http\nserver add shop:80:w1", FILE);
    let more = base.append("server add shop:80:w2\nserver set shop:80:w1 weight 3", "more.cfg").expect("appends");
    let by_toml = base.append(
        "[[cluster]]\nname = \"shop\"\n[[cluster.port]]\nnumber = 80\n[[cluster.port.server]]\nname = \"w1\"\nweight = 3\n\
         [[cluster.port.server]]\nname = \"w2\"\n",
        "more.toml",
    );
    assert_eq!(by_toml, Ok(more));
    let fault = base.append("cluster add shop address 192.0.2.11", "more.cfg").expect_err("is there");
    assert_eq!(fault.to_string(), "more.cfg:1:13: cluster shop is already there");
}

#[test]
fn bounds() {
    let message = |text: &str, file: &str| Document::parse(text, file).expect_err("too large").to_string();
    let line = "x".repeat(10 << 20);
    assert_eq!(message(&line, "a.cfg"), "a.cfg: the file is larger than 4 MiB");
    assert_eq!(message(&line, "a.toml"), "a.toml: the file is larger than 4 MiB");
    let line = "x".repeat(200_000);
    assert_eq!(message(&line, "a.cfg"), "a.cfg:1:1: the line is longer than 128 KiB");
    assert_eq!(message(&line, "a.toml"), "a.toml:1:1: the line is longer than 128 KiB");
    let flood = Document::parse(&"x\n".repeat(1 << 20), "a.cfg").expect_err("garbage");
    assert!(flood.iter().count() < 210);
    let flood = Document::parse(&"=\n".repeat(1 << 20), "a.toml").expect_err("garbage");
    assert!(flood.iter().count() < 210);
    let flood = Document::parse(&"=\n".repeat(100_000), "a.toml").expect_err("garbage");
    assert!(flood.iter().count() < 210);
}

/// Twenty kilobytes of names made two hundred million servers, and the process was gone before anybody could count them.
#[test]
fn lists_that_multiply_are_refused_before_they_are_made() {
    let list = |letter: &str, count: usize| {
        (1..=count).map(|number| format!("{letter}{number}")).collect::<Vec<_>>().join("+")
    };
    let sites = format!("cluster add {} address 192.0.2.1\nport add :{}\n", list("c", 8), list("", 100));
    let found = faults(&format!("{sites}server add ::{} address 192.0.2.9\n", list("w", 50)), "x.cfg");
    let refused = "3:12: this would add 40000 of them; 32768 at once are the most";
    assert!(found.iter().any(|fault| fault == refused), "{found:#?}");

    let few = format!(
        "cluster add c address 192.0.2.1\nport add c:80\nserver add c:80:{} address 192.0.2.9\n",
        list("w", 1000)
    );
    let found = faults(&format!("{few}{}", "server set :: weight 5\n".repeat(1000)), "x.cfg");
    let refused = "265:1: commands up to here touch more than 262144 objects; the rest was not read";
    assert_eq!(found, [refused]);
}
