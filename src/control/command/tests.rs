use super::*;
use crate::model::{AdvisorKind, AdvisorScope};

fn parse(line: &[&str]) -> Result<Command, Refusal> {
    let words: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
    Command::parse(&words)
}

fn spoken(line: &str) -> Result<Command, Refusal> {
    parse(&line.split_whitespace().collect::<Vec<_>>())
}

fn misuse(line: &str) -> String {
    match spoken(line) {
        Err(Refusal::Misuse(text)) => text,
        other => panic!("`{line}` gave {other:?}"),
    }
}

fn refused(line: &str) -> String {
    match spoken(line) {
        Err(Refusal::Refused(text)) => text,
        other => panic!("`{line}` gave {other:?}"),
    }
}

#[test]
fn plain_commands() {
    for (line, command) in [
        ("status", Command::Status),
        ("executor start", Command::ExecutorStart),
        ("executor stop", Command::ExecutorStop),
        ("executor status", Command::ExecutorStatus),
        ("executor report", Command::ExecutorReport),
        ("manager status", Command::ManagerStatus),
        ("manager version", Command::ManagerVersion),
        ("advisor list", Command::AdvisorList),
        ("file report", Command::FileReport),
        ("file save site.toml", Command::FileSave { name: "site.toml".into(), force: false }),
        ("file save site.toml force", Command::FileSave { name: "site.toml".into(), force: true }),
        ("file newload ../site.cfg", Command::FileNewload { name: "../site.cfg".into() }),
        ("file appendload more.cfg", Command::FileAppendload { name: "more.cfg".into() }),
        ("file delete old.cfg", Command::FileDelete { name: "old.cfg".into() }),
        ("logstatus", Command::LogStatus),
        ("help", Command::Help(None)),
        ("help file", Command::Help(Some("file"))),
        ("version", Command::Version),
    ] {
        assert_eq!(spoken(line), Ok(command), "{line}");
    }
}

#[test]
fn words_may_be_shortened_while_unique() {
    for (short, long) in [
        ("he f", "help file"),
        ("stat", "status"),
        ("exe rep", "executor report"),
        ("cl s", ""),
        ("me s", ""),
        ("ex rep", ""),
        ("CL STATUS shop", "cluster status shop"),
        ("serv sta shop:80:w1", "server status shop:80:w1"),
        ("f sa a.toml f", "file save a.toml force"),
        ("l", "logstatus"),
        ("cont st", "control status"),
        ("metrics st", "metrics status"),
        ("al st", "alerts status"),
        ("ad l", ""),
        ("ad li", "advisor list"),
        ("ad rep con 80", "advisor report connect 80"),
        ("expl 203.0.113.7 shop:80", "explain 203.0.113.7 shop:80"),
    ] {
        match long {
            "" => assert!(misuse(short).contains("ambiguous"), "{short}"),
            _ => assert_eq!(spoken(short), spoken(long), "{short}"),
        }
    }
}

#[test]
fn changes_are_handed_to_the_configuration_unshortened() {
    let long = spoken("server add shop:80:w1 address 192.0.2.1").expect("a change");
    assert!(matches!(long, Command::Change(_)));
    assert_eq!(spoken("serv ad shop:80:w1 address 192.0.2.1"), Ok(long));
    assert!(matches!(spoken("manager quiesce w1 now"), Ok(Command::Change(_))));
    assert!(matches!(spoken("manager stop"), Ok(Command::Change(_))));
    assert!(matches!(spoken("set loglevel 3"), Ok(Command::Change(_))));
}

#[test]
fn an_operand_left_out_means_all() {
    assert!(matches!(spoken("cluster report"), Ok(Command::ClusterReport(_))));
    assert_eq!(spoken("port report"), spoken("port report @"));
    assert_eq!(spoken("server status"), spoken("server status @@"));
    assert_eq!(spoken("rule status"), spoken("rule status ::"));
    assert!(matches!(spoken("manager report"), Ok(Command::ManagerReport(_))));
    assert!(matches!(spoken("advisor status"), Ok(Command::AdvisorStatus(all)) if all == AdvisorSelection::default()));
}

#[test]
fn advisors_are_selected_by_name_and_scope() {
    let selection = |line| match spoken(line) {
        Ok(Command::AdvisorReport(selection)) => selection,
        other => panic!("`{line}` gave {other:?}"),
    };
    assert_eq!(selection("advisor report http").kind, Some(AdvisorKind::Http));
    let at_shop = selection("advisor report http shop@80");
    assert_eq!(at_shop, selection("advisor report http shop:80"));
    let key = crate::model::AdvisorKey { kind: AdvisorKind::Http, scope: at_shop.scope.clone().expect("a scope") };
    assert!(at_shop.matches(&key));
    assert!(!selection("advisor report https").matches(&key));
    assert!(matches!(selection("advisor report ping 443").scope, Some(AdvisorScope::Port(port)) if port.get() == 443));
    for bad in ["advisor report ldap", "advisor report http 0", "advisor report http 80 x", "advisor status http a:b"] {
        assert!(misuse(bad).contains("usage: dscontrol advisor"), "{bad}");
    }
}

#[test]
fn exchanges() {
    let exchange = |words: &[&str]| match parse(&[&["explain"], words].concat()) {
        Ok(Command::Explain(exchange)) => exchange,
        other => panic!("{words:?} gave {other:?}"),
    };
    let full = exchange(&["203.0.113.7", "shop:80", "GET /a?b=c HTTP/1.1", "Host: example.com", "Cookie:a=b"]);
    assert_eq!(full.request, Some(RequestLine { method: "GET".into(), target: "/a?b=c".into() }));
    assert_eq!(full.headers, [("Host".into(), "example.com".into()), ("Cookie".into(), "a=b".into())]);
    assert_eq!(exchange(&["::1", "shop@80"]).request, None);
    assert_eq!(exchange(&["[::1]", "[2001:db8::1]:80"]).port, exchange(&["::1", "2001:db8::1@80"]).port);
    assert_eq!(exchange(&["::1", "shop:80", "Host: a"]).headers.len(), 1, "a request line may be left out");
    for bad in [
        &["203.0.113.7"][..],
        &["203.0.113", "shop:80"],
        &["203.0.113.7", "shop"],
        &["203.0.113.7", ":80"],
        &["203.0.113.7", "shop:80+81"],
        &["203.0.113.7", "2001:db8::1:80"],
        &["203.0.113.7", "shop:80", "/cart"],
        &["203.0.113.7", "shop:80", "GET / HTTP/9"],
        &["203.0.113.7", "shop:80", "GET /", "no header"],
        &["203.0.113.7", "shop:80", "GET /", "X: a\r\nY: b"],
    ] {
        let refusal = parse(&[&["explain"], bad].concat());
        assert!(matches!(refusal, Err(Refusal::Misuse(_))), "{bad:?} gave {refusal:?}");
    }
}

#[test]
fn misuse_says_what_would_be_right() {
    for (line, wanted) in [
        ("", "a command is missing\nusage: dscontrol OBJECT VERB"),
        ("prot status", "`prot` is not a known object, did you mean `port`?"),
        ("s", "`s` is ambiguous, it may be `server`, `set`, `status` or `subagent`"),
        ("port", "`port` needs a verb: `add`, `set`, `remove`"),
        ("port statsu", "`statsu` is not a verb of `port`, did you mean `status`?\nusage: dscontrol port add|set|"),
        ("server re shop:80:w1", "`re` is ambiguous, it may be `remove` or `report`"),
        ("status now", "`now` is one operand too many\nusage: dscontrol status"),
        ("executor stop now", "usage: dscontrol executor stop"),
        ("file save", "the name of a file is missing\nusage: dscontrol file save NAME [force]"),
        ("file save /etc/passwd force", "`/etc/passwd` is a path"),
        ("file delete ../x", "`../x` is a path"),
        ("file newload ..", "`..` is not the name of a file"),
        ("file save a.toml farce", "`farce` is one operand too many"),
        ("help zebra", "`zebra` is not a known object\nusage: dscontrol help [OBJECT]"),
        ("server add", "usage: dscontrol server add C:P:S"),
        ("advisor start", "usage: dscontrol advisor start NAME P|C:P"),
    ] {
        let text = misuse(line);
        assert!(text.contains(wanted), "`{line}` gave `{text}`");
    }
}

#[test]
fn words_of_later_versions_have_their_own_sentence() {
    for (line, wanted) in [
        ("host:balancer2", "run dscontrol on the dispatcher itself"),
        ("binlog start", "Prometheus"),
        ("manager restart", "`server set C:P:S weight N`"),
    ] {
        assert!(refused(line).contains(wanted), "{line}: {}", refused(line));
    }
}

#[test]
fn words_without_effect_are_accepted_for_old_scripts() {
    for line in
        ["executor configure 10.0.0.1 eth0 255.0.0.0", "manager logsize unlimited", "advisor loglevel http 80 1"]
    {
        let Ok(Command::Change(change)) = spoken(line) else { panic!("{line} is refused") };
        assert_eq!(change.notes().len(), 1, "{line}");
    }
}

/// Both tables shorten words, so they must hold the same ones; else a script and a prompt would differ.
#[test]
fn the_grammar_and_the_configuration_know_the_same_words() {
    for known in &crate::config::schema::COMMANDS {
        let object = grammar::find_object(known.object).expect("known here too");
        let mut verbs: Vec<_> = object.verbs.iter().map(|verb| verb.word).filter(|word| !word.is_empty()).collect();
        let mut theirs = known.verbs.to_vec();
        verbs.sort_unstable();
        theirs.sort_unstable();
        let is_later = crate::config::schema::later_object(known.object).is_some();
        assert!(verbs == theirs || is_later, "{}: {verbs:?} here, {theirs:?} there", known.object);
    }
}

#[test]
fn hostile_words_are_not_repeated_whole_or_raw() {
    for line in [vec!["\u{1b}[2J"], vec!["port", "\u{7}"], vec!["file", "newload", "a\nb"]] {
        let Err(refusal) = parse(&line) else { panic!("{line:?} was understood") };
        let first = refusal.to_string().lines().next().map(str::to_owned).unwrap_or_default();
        assert!(!first.chars().any(char::is_control), "{first:?}");
    }
    let huge = "x".repeat(1 << 20);
    assert!(misuse(&huge).len() < 300);
    assert!(misuse(&format!("help {huge}")).len() < 300);
}

#[test]
fn levels() {
    for (line, level) in [
        ("status", Level::Read),
        ("explain 203.0.113.7 shop:80", Level::Read),
        ("server down shop:80:w1", Level::Operate),
        ("server add shop:80:w1", Level::Admin),
        ("manager quiesce w1", Level::Operate),
        ("file save x.toml", Level::Admin),
        ("file newload x.toml", Level::Admin),
        ("executor stop", Level::Admin),
    ] {
        let command = spoken(line).expect(line);
        assert_eq!(command.level(), level, "{line}");
        assert_eq!(command.is_change(), level > Level::Read, "{line}");
    }
}
