//! Commands: words, operands, and what they touch.

use super::document;
use crate::config::{Change, Document, Refusal, split_words};

const SITE: &str = "
    cluster add shop address 192.0.2.10
    cluster add web address 192.0.2.11
    port add shop+web:80 method http
    port add shop:443 method tcp stickytime 60
    server add shop:80+443:w1+w2
    server add web:80:w1
    rule add shop:80:all type true
    rule useserver shop:80:all w1
    advisor start http 80
    advisor start http shop:443
";

fn site() -> Document {
    document(SITE, "site.cfg")
}

fn change(line: &str) -> Result<Option<Change>, Refusal> {
    Change::parse(&split_words(line).expect(line))
}

/// What a command touches, or the refusal's exit code and words.
fn outcome(line: &str) -> Result<Vec<String>, (u8, String)> {
    let code = |refusal: Refusal| match refusal {
        Refusal::Refused(message) => (1, message),
        Refusal::Misuse(message) => (2, message),
    };
    let change = change(line).map_err(code)?.expect("a change");
    let (before, mut after) = (site(), site());
    let outcome = after.apply(&change).map(|touched| touched.0).map_err(code);
    if outcome.is_err() {
        assert_eq!(before, after, "{line} is all or nothing");
    }
    outcome
}

#[test]
fn words_may_be_shortened_while_unique() {
    let cases = [
        ("cl a x add 192.0.2.1", "cluster add x address 192.0.2.1"),
        ("PORT SET shop:80 STICKYT 5", "port set shop:80 stickytime 5"),
        ("exe set work 4", "executor set workers 4"),
        ("man int 3", "manager interval 3"),
        ("manager set int 3 vel yes", "manager set interval 3 velocitylimit yes"),
        ("manager set failopen true", "manager set failopen yes"),
        ("man q w1 now", "manager quiesce ::w1 now"),
        ("manager unq shop@80@w1", "manager unquiesce shop:80:w1"),
        ("manager start manager.log 10004", "manager start"),
        ("ser d shop:80:w1", "server down shop:80:w1"),
        ("adv star http :80", "advisor start http :80"),
        ("adv conn http 80 2.50", "advisor connecttimeout http 80 2.5"),
        ("advisor verify https 443 yes", "advisor verify https 443 yes"),
        ("set logl 3 logf json", "set loglevel 3 logformat json"),
        ("control set mode 0600", "control set mode 0600"),
        ("metrics set listen \"\"", "metrics set listen \"\""),
        ("alerts set directory \"\" timeout 5", "alerts set directory \"\" timeout 5"),
        ("hi backup a primary auto 12345", "highavailability backup add primary auto 12345"),
        ("hi backup add both manual", "highavailability backup add both manual"),
        ("hi heart add 10.0.0.1 10.0.0.2", "highavailability heartbeat add 10.0.0.1 10.0.0.2"),
        ("hi heart d 10.0.0.2", "highavailability heartbeat delete 10.0.0.2"),
        ("hi reach add 10.0.0.254 255.255.255.0", "highavailability reach add 10.0.0.254"),
        ("hi set hat 3 prof fast", "highavailability set profile fast hatimeout 3"),
        ("man reach set int 9", "highavailability set reachinterval 9"),
        ("rule use shop:80:all w1+w2", "rule useserver shop:80:all w1+w2"),
        (
            "server set ::w1 advisorreq \"\\\"head / http/1.0\\\"\"",
            "server set ::w1 advisorrequest \"head / http/1.0\"",
        ),
        ("executor start", "executor start"),
    ];
    for (line, canonical) in cases {
        let read = match change(line) {
            Ok(Some(change)) => change,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(read.to_string(), format!("dscontrol {canonical}"), "{line}");
        assert_eq!(change(canonical), Ok(Some(read)), "{canonical}");
    }
}

#[test]
fn commands_that_change_nothing() {
    for line in [
        "",
        "status",
        "help cluster",
        "file save x.toml",
        "cluster report shop",
        "advisor list",
        "manager report",
        "executor status",
        "highavailability status",
        "highavailability takeover",
        "executor stop",
        "server status shop:80:w1",
        "logstatus",
        "explain 10.0.0.1 shop:80",
    ] {
        assert_eq!(change(line), Ok(None), "{line}");
    }
}

#[test]
fn words_without_effect_are_told() {
    let notes = |line: &str| change(line).expect(line).expect(line).notes().join("; ");
    let cases = [
        ("executor start", "the executor runs from the start"),
        ("executor set nfa 192.0.2.1", "`nfa` has no effect: a proxy needs no non-forwarding address"),
        ("manager start manager.log 10004", "the log file and the metric port of `manager start` have no effect"),
        ("advisor start http 80 http.log", "the log file of `advisor start` has no effect"),
        ("port set shop:80 porttype tcp", "`porttype` has no effect: ports are TCP ports"),
        ("port set shop:80 stickytime 3", ""),
    ];
    for (line, note) in cases {
        assert_eq!(notes(line), note, "{line}");
    }
    assert!(notes("set logsize unlimited").starts_with("`logsize` has no effect"));
    assert!(notes("advisor loglevel http 80 3").starts_with("`loglevel` has no effect"));
    assert!(notes("executor configure 192.0.2.10 eth0 255.255.255.0").contains("`ip address add` would be right"));
}

#[test]
fn what_commands_touch() {
    let cases: &[(&str, &[&str])] = &[
        ("manager quiesce w1", &["shop:80:w1", "shop:443:w1", "web:80:w1"]),
        ("manager quiesce w1+w2 now", &["shop:80:w1", "shop:80:w2", "shop:443:w1", "shop:443:w2", "web:80:w1"]),
        ("manager quiesce :80:w1", &["shop:80:w1", "web:80:w1"]),
        ("server set shop::w2 weight 3", &["shop:80:w2", "shop:443:w2"]),
        ("server set :: weight 3", &["shop:80:w1", "shop:80:w2", "shop:443:w1", "shop:443:w2", "web:80:w1"]),
        ("server set :80:w2 weight 3", &["shop:80:w2"]),
        ("server add :80:w3 address 192.0.2.3", &["shop:80:w3", "web:80:w3"]),
        ("server add shop::w3+w4", &["shop:80:w3", "shop:80:w4", "shop:443:w3", "shop:443:w4"]),
        ("port add :8080 method tcp", &["shop:8080", "web:8080"]),
        ("cluster set @ weightbound 80", &["shop", "web"]),
        ("port remove shop:", &["shop:80", "shop:443"]),
        ("port set :443 retries 1", &["shop:443"]),
        ("rule dropserver shop:80:all w1", &["shop:80:all"]),
        ("advisor interval http 80 3", &["http 80"]),
        ("advisor interval http shop: 3", &["http shop:443"]),
        ("advisor stop http :", &["http 80", "http shop:443"]),
        ("advisor start ping 80+443", &["ping 80", "ping 443"]),
        ("manager interval 3", &["manager"]),
        ("highavailability heartbeat add 10.0.0.1 10.0.0.2", &["10.0.0.1 10.0.0.2"]),
        ("highavailability reach add 10.0.0.254+10.0.0.253", &["highavailability"]),
        ("highavailability backup add primary auto", &["highavailability"]),
        ("executor start", &[]),
    ];
    for (line, touched) in cases {
        assert_eq!(outcome(line), Ok(touched.iter().map(ToString::to_string).collect()), "{line}");
    }
}

#[test]
fn refusals_say_what_would_be_right() {
    let cases: &[(&str, u8, &str)] = &[
        (
            "frobnicate",
            2,
            "unknown word `frobnicate`; there are executor, cluster, port, server, group, route, rule, manager, advisor, control, metrics, alerts, set, file, highavailability, binlog, metric, subagent, status, logstatus, explain, help",
        ),
        ("clustr add x", 2, "unknown word `clustr`, did you mean `cluster`?"),
        ("se x", 2, "`se` may mean `server` and `set`"),
        (
            "port",
            2,
            "the command is not complete: port is followed by add, set, remove, report, status, halfopenaddressreport",
        ),
        ("port r shop:80", 2, "port: `r` may mean `remove` and `report`"),
        ("port add", 2, "the command is not complete: port add|set|remove CLUSTER:PORT [KEYWORD VALUE]..."),
        (
            "port set shop:80",
            2,
            "the command is not complete: lastport, stickytime, stickymask, stickymask6, crossport, weightbound, all-down, ondown, headtimeout, idletimeout, parktime, bodytimeout, connecttimeout, servertimeout, staletimeout, pooltime, poolsize, maxconnections, sorrypage, sorrystatus, retryafter, sorrycache, accesslog, accesslogformat, trustedproxies, proxyprotocol, sendproxy, forwarded, upgrade, selectionalgorithm, fintimeout, reset, pickup, errorpages, requestheaders, responseheaders, excludemethods, follows, monitor, maxhead, bodyrate, maxperclient, h2streams, h2fields, h2window, h2resets, h2pings, h2frames, h2idletimeout, certificates, tlsversions, ciphers, keyexchanges, clientcertificates, clientca, clientcrl, tlstimeout, http2, misdirected, affinity, cookiename, urlidentifier, cookietime, compat, ignoreaffinity, retrybudget, iotimeoutretries, maxfails, retryinterval, ejectfloor, postbuffersize, postsizelimit, slowstart, maxqueue, queuetimeout, balance, retries",
        ),
        ("port set shop:80 sticky 3", 2, "`sticky` may mean `stickytime`, `stickymask` and `stickymask6`"),
        ("port set shop:80 stickytme 3", 2, "unknown keyword `stickytme`, did you mean `stickytime`?"),
        ("port set shop:80 stickytime", 2, "`stickytime` is whole seconds from 0 to 32000000, and nothing follows"),
        (
            "port set shop:80 stickytime x retries 99",
            2,
            "`stickytime` is whole seconds from 0 to 32000000, not `x`; `retries` is a whole number from 0 to 16, not `99`",
        ),
        ("port set shop:80 retries 1 retries 2", 2, "`retries` is said twice"),
        (
            "port set shop:80 method tcp",
            1,
            "`method` is given once, when the port is added; to change it, remove the port and add it again",
        ),
        ("port add shop:81 method nat", 1, "`method` is not `nat` yet: method http or tcp would be right"),
        ("port add shop:80 method tcp", 1, "port shop:80 is already there"),
        ("port add shop: method tcp", 2, "`port add` needs the name of the port; a wildcard may stand above it only"),
        ("cluster add :", 2, "`cluster add` needs the name of the cluster; a wildcard may stand above it only"),
        ("cluster add web2+web address 192.0.2.1", 1, "cluster web is already there"),
        ("cluster set shp weightbound 3", 1, "no cluster `shp`; did you mean `shop`?"),
        ("port set shop:8080 retries 1", 1, "cluster shop has no port `8080`; there are `443` and `80`"),
        ("port set web:443 retries 1", 1, "cluster web has no port `443`; there is `80`"),
        ("server set shop:80:w9 weight 1", 1, "port shop:80 has no server `w9`; did you mean `w1`?"),
        ("server set shop:80:w1+w9 weight 1", 1, "port shop:80 has no server `w9`; did you mean `w1`?"),
        ("server set ::zebra weight 1", 1, "no server `zebra`; there are `w1` and `w2`"),
        (
            "server set shop:80:w1 state down",
            2,
            "`state` is said by manager quiesce | manager unquiesce | server down | server up",
        ),
        (
            "server add shop:80:w9 cookievalue x",
            1,
            "`cookievalue` belongs to a later version: affinity by cookies belongs to ports and groups: `affinity`, `cookiename` and the servers' `cloneid` would be right",
        ),
        ("server set shop:80 weight 1", 2, "`shop:80` is not of the form CLUSTER:PORT:NAME"),
        ("server down shop:80:w1 now", 2, "`now` is one word too many"),
        ("rule useserver shop:80:all w7", 1, "port shop:80 has no server `w7`; did you mean `w1`?"),
        ("rule dropserver shop:80:all w2", 1, "rule shop:80:all does not use server `w2`"),
        ("manager unquiesce w9", 1, "no server `w9`; did you mean `w1`?"),
        ("manager quiesce w1 later", 2, "only `now` may follow, not `later`"),
        ("manager quiesce w1 daily 1 2", 1, "`quiesce … daily` is not there; a rule of type time would be right"),
        ("manager interval 0", 2, "`interval` is seconds from 0.1 to 3600, not `0`"),
        ("manager interval", 2, "the command is not complete: `interval` is seconds from 0.1 to 3600"),
        ("advisor start http", 2, "the command is not complete: advisor VERB NAME PORT | CLUSTER:PORT [VALUE]"),
        ("advisor start http 80", 1, "advisor http 80 is already started"),
        ("advisor start htp 80", 2, "an advisor is one of http, https, connect, ping, not `htp`; did you mean `http`?"),
        ("advisor start ftp 21", 1, "an advisor is not `ftp` yet: advisor connect would be right"),
        ("advisor start http shop:", 2, "an advisor is started for a port: PORT or CLUSTER:PORT"),
        ("advisor stop http 81", 1, "no advisor `http 81`; there are `http 80` and `http shop:443`"),
        ("advisor retries http 80 -1", 2, "`retries` is a whole number from 0 to 100, not `-1`"),
        (
            "highavailability backup delete",
            1,
            "this dispatcher has no partner; `highavailability backup add` gives it one",
        ),
        (
            "highavailability backup add primry auto",
            2,
            "`role` is one of primary, backup, both, not `primry`; did you mean `primary`?",
        ),
        (
            "highavailability backup add primary",
            2,
            "the command is not complete: highavailability backup add primary|backup|both auto|manual [PORT] | delete",
        ),
        ("highavailability heartbeat add 10.0.0.1 lb2", 2, "an IP address is needed, not `lb2`"),
        ("highavailability heartbeat delete 10.0.0.1", 1, "no heartbeat 10.0.0.1; there is none at all"),
        ("highavailability reach delete 10.0.0.1", 1, "10.0.0.1 is no reach target; there is none at all"),
        ("metric add shop:cpuload", 1, "`metric` belongs to a later version: metrics of servers are not there yet"),
    ];
    for (line, code, message) in cases {
        assert_eq!(outcome(line), Err((*code, (*message).to_owned())), "{line}");
    }
}

#[test]
fn a_server_that_is_down_is_not_brought_halfway_back() {
    let run = |document: &mut Document, line: &str| {
        document.apply(&change(line).expect(line).expect(line)).map(|touched| touched.0)
    };
    let mut document = site();
    run(&mut document, "server down shop:80:w1").expect("down");
    let refusal = run(&mut document, "manager quiesce shop:80:w1").expect_err("stays down");
    assert_eq!(refusal, Refusal::refused("server shop:80:w1 is down; `server up shop:80:w1` would be right"));
    assert_eq!(run(&mut document, "manager unquiesce w1"), Ok(vec!["shop:443:w1".to_owned(), "web:80:w1".to_owned()]));
    run(&mut document, "server up shop:80:w1").expect("up");
    assert_eq!(document, site());
}

#[test]
fn what_exists_keeps_its_values_when_the_executor_changes() {
    let text = format!(
        "{SITE}\nexecutor set stickytime 9 staletimeout 7\nport add web:21 method tcp\ncluster add new address 192.0.2.12\nport add new:21 method tcp"
    );
    let document = document(&text, "site.cfg");
    let config = document.resolve().unwrap_or_else(|faults| panic!("{faults}")).config;
    let seen: Vec<_> = config
        .clusters
        .iter()
        .flat_map(|cluster| &cluster.ports)
        .map(|port| (port.number.get(), port.stickytime.as_secs(), port.timeouts.stale.as_secs()))
        .collect();
    // The cluster `web` was there before, so its new port takes the cluster's values.
    assert_eq!(seen, [(80, 0, 300), (443, 60, 300), (80, 0, 300), (21, 0, 300), (21, 9, 7)]);
    for (print, file) in [(document.to_toml(), "x.toml"), (document.to_script(), "x.cfg")] {
        assert_eq!(super::document(&print, file), document, "{print}");
    }
}

#[test]
fn a_removed_server_leaves_its_rules() {
    let document = document(&format!("{SITE}\nserver remove shop:80:w1"), "site.cfg");
    let resolved = document.resolve().unwrap_or_else(|faults| panic!("{faults}"));
    assert!(resolved.config.clusters[0].ports[0].rules[0].servers.is_empty());
}
