use std::cell::RefCell;

use proptest::prelude::*;

use super::expected::{Expected, expected};
use super::*;
use crate::config::split_words;
use crate::control::Command;

/// A dispatcher with these objects, and what it was asked.
#[derive(Default)]
struct Site {
    asked: RefCell<Vec<String>>,
}

const PORTS: [(&str, &str); 5] =
    [("shop", "80"), ("shop", "443"), ("web", "8080"), ("2001:db8::1", "80"), ("2001:db8::2", "81")];
const SERVERS: [(&str, &str, &str); 8] = [
    ("shop", "80", "w1"),
    ("shop", "80", "w2"),
    ("shop", "80", "w10"),
    ("shop", "80", "backup"),
    ("shop", "443", "s1"),
    ("shop", "443", "2001:db8::a"),
    ("web", "8080", "w1"),
    ("2001:db8::1", "80", "six"),
];

impl Objects for Site {
    fn names(&self, question: &Question) -> Vec<String> {
        self.asked.borrow_mut().push(question.words().join(" "));
        let means = |part: &str, name: &str| part.is_empty() || part.split('+').any(|item| item == name);
        let names: Vec<&str> = match question {
            Question::Clusters => vec!["shop", "web", "2001:db8::1", "2001:db8::2"],
            Question::Ports { clusters } => {
                PORTS.iter().filter(|(cluster, _)| means(clusters, cluster)).map(|(_, port)| *port).collect()
            }
            Question::Servers { clusters, ports } => {
                let ours = SERVERS.iter().filter(|(cluster, port, _)| means(clusters, cluster) && means(ports, port));
                ours.map(|(_, _, server)| *server).collect()
            }
            Question::Rules { clusters, ports } if means(clusters, "shop") && means(ports, "80") => {
                vec!["night", "normal"]
            }
            Question::Rules { .. } => Vec::new(),
            Question::Scopes { kind } => {
                if kind.word() == "http" {
                    vec!["80", "shop:443"]
                } else {
                    Vec::new()
                }
            }
            Question::Files => vec!["today.toml", "site one.cfg"],
        };
        names.into_iter().map(str::to_owned).collect()
    }
}

/// Nobody there.
struct Nobody;

impl Objects for Nobody {
    fn names(&self, _: &Question) -> Vec<String> {
        Vec::new()
    }
}

/// `|` in the line is the cursor, at its end where there is none.
#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let cursor = line.find('|').unwrap_or(line.len());
    let line = line.replacen('|', "", 1);
    let completion = complete(&line, cursor, &Site::default());
    let spelled: Vec<&str> = completion.candidates.iter().map(|candidate| candidate.spelled.as_str()).collect();
    assert_eq!(spelled, expected, "{line}");
}

#[test]
fn words_of_the_language() {
    check("st", &["status "]);
    check("man", &["manager "]);
    check("MAN", &["manager "]);
    check("dscontrol man", &["manager "]);
    check("man qui", &["quiesce "]);
    check("m", &["manager ", "metrics "]);
    check("ex", &["executor ", "explain ", "exit "]);
    check("port ", &["add ", "set ", "remove ", "status ", "report "]);
    check("po re", &["remove ", "report "]);
    check("advisor s", &["start ", "stop ", "status "]);
    check("highavailability ", &["backup ", "heartbeat ", "reach ", "set ", "takeover ", "status "]);
    check("highavailability backup ", &["add ", "delete "]);
    check("highavailability backup a ", &["primary ", "backup ", "both "]);
    check("highavailability backup add primary ", &["auto ", "manual "]);
    check("highavailability backup delete ", &[]);
    check("binlog ", &[]);
    check("nonsense ", &[]);
    check("man nonsense ", &[]);
    check("help adv", &["advisor "]);
    check("help port ", &[]);
    check("status ", &[]);
    check("manager quiesce w1 ", &["now "]);
    check("manager quiesce w1 n", &["now "]);
    check("file save x ", &["force "]);
    check("status # ", &[]);
    check("status\u{1b}", &[]);
    check("first line\nman", &["manager "]);
}

#[test]
fn keywords_and_values() {
    check("port set shop:80 stickym", &["stickymask ", "stickymask6 "]);
    check("port set shop:80 stickym 32 stickyt", &[]);
    check("port set shop:80 stickymask 32 stickym", &["stickymask6 "]);
    check("port set shop:80 stickymask 32 stickymask", &["stickymask6 "]);
    check("port add shop:81 me", &["method "]);
    check("port set shop:80 me", &[]);
    check("port add shop:81 method ", &["http ", "tcp ", "mac "]);
    check("port add shop:81 me h", &["http "]);
    check("server set shop:80:w1 fixedw ", &["yes ", "no "]);
    check("server set shop:80:w1 weight ", &[]);
    check("server set shop:80:w1 weight 5 fix", &["fixedweight "]);
    check("cluster set shop proportions 49 50 ", &[]);
    check("cluster set shop proportions 49 50 1 0 propo", &[]);
    check("advisor verify https 443 ", &["yes ", "no "]);
    check("advisor timeout http 80 ", &["unlimited "]);
    check("set lo", &["loglevel ", "logformat "]);
    check("set logformat ", &["text ", "json "]);
    check("manager set velocity", &["velocitylimit "]);
    check("rule add shop:80:x type t", &["true ", "time "]);
    check("rule set shop:80:night ty", &[]);
    check("control set mo", &["mode "]);
    check("metrics set ", &["listen "]);
    check("alerts set ", &["directory ", "timeout ", "user "]);
    check("executor set nonsense 5 ", &[]);
    check("highavailability set pro", &["profile ", "probeport "]);
    check("highavailability set profile ", &["standard ", "fast ", "ibm "]);
}

#[test]
fn live_objects() {
    check("cluster status s", &["shop "]);
    check("cluster status shop+", &["shop+web ", "shop+2001:db8::1 ", "shop+2001:db8::2 "]);
    check("port status s", &["shop:"]);
    check("port status shop:", &["shop:80 ", "shop:443 "]);
    check("port status shop@", &["shop@80 ", "shop@443 "]);
    check("port status shop:80+", &["shop:80+443 "]);
    check("port status :80", &[":80 ", ":8080 "]);
    check("port status shop+w", &["shop+web:"]);
    check("server down shop:8", &["shop:80:"]);
    check("server down shop:80:w", &["shop:80:w1 ", "shop:80:w2 ", "shop:80:w10 "]);
    check("server down shop:80:w1+w", &["shop:80:w1+w2 ", "shop:80:w1+w10 "]);
    check("serv st shop:80:b", &["shop:80:backup "]);
    check("server down shop@80@w2", &["shop@80@w2 "]);
    check("server down shop::s", &["shop::s1 "]);
    check("server down shop:80:w1:", &[]);
    check("rule status shop:80:n", &["shop:80:night ", "shop:80:normal "]);
    check("rule useserver shop:80:night b", &["backup "]);
    check("rule useserver shop:80:night w1+b", &["w1+backup "]);
    check("manager quiesce w", &["w1 ", "w2 ", "w10 ", "web:"]);
    check("manager quiesce shop:80:w10", &["shop:80:w10 "]);
    check("explain 203.0.113.7 shop:4", &["shop:443 "]);
    check("file newload t", &["today.toml "]);
    check("file newload s", &["\"site one.cfg\" "]);
}

#[test]
fn what_is_added_has_no_name_yet() {
    check("cluster add s", &[]);
    check("port add s", &["shop:"]);
    check("port add shop:", &[]);
    check("server add shop:4", &["shop:443:"]);
    check("server add shop:443:", &[]);
    check("server add shop:443:s2 ad", &["address ", "advisorrequest ", "advisorresponse "]);
}

#[test]
fn advisors_and_where_they_probe() {
    check("advisor start ", &["http ", "https ", "connect ", "ping "]);
    check("advisor start http s", &["shop:"]);
    check("advisor start http shop:", &["shop:80 ", "shop:443 "]);
    check("advisor start http 8", &["80 ", "8080 ", "81 "]);
    check("advisor stop http ", &["80 ", "shop:443 "]);
    check("advisor status ht", &["http ", "https "]);
    check("advisor status http s", &["shop:443 "]);
    check("advisor report ping ", &[]);
}

#[test]
fn addresses_as_names() {
    check("cluster status 2001:", &["2001:db8::1 ", "2001:db8::2 "]);
    check("port status 2001:db8::1", &["2001:db8::1@"]);
    check("port status 2", &["2001:db8::1@", "2001:db8::2@"]);
    check("port status 2001:db8::1@", &["2001:db8::1@80 "]);
    check("port status [", &["[2001:db8::1]:", "[2001:db8::2]:"]);
    check("port status [2001:db8::1", &["[2001:db8::1]:"]);
    check("port status [2001:db8::1]:", &["[2001:db8::1]:80 "]);
    check("server status 2001:db8::1@80@", &["2001:db8::1@80@six "]);
    check("server status shop:443:", &["shop:443:s1 ", "shop:443:[2001:db8::a] "]);
    check("server status shop@443@2", &["shop@443@2001:db8::a "]);
}

#[test]
fn quotes_stay() {
    check("port \"st", &["\"status\" "]);
    check("server down 'shop:8", &["'shop:80:"]);
    check("file newload \"si", &["\"site one.cfg\" "]);
    check("file newload si\"te o", &["\"site one.cfg\" "]);
    check("file newload site\\ o", &["\"site one.cfg\" "]);
}

#[test]
fn in_the_middle_of_a_line() {
    check("ma| quiesce w1", &["manager "]);
    check("server do|wn shop:80:w1", &["down "]);
    let taken = |line: &str, begins: usize, spelled: &str| {
        let cursor = line.find('|').expect("a cursor");
        let (text, cursor) = super::taken(&line.replacen('|', "", 1), begins, cursor, spelled);
        format!("{}|{}", &text[..cursor], &text[cursor..])
    };
    let cases = [
        ("ma|", 0, "manager ", "manager |"),
        ("ma| quiesce w1", 0, "manager ", "manager| quiesce w1"),
        ("server do|wn shop:80:w1", 7, "down ", "server down| shop:80:w1"),
        ("server do|wn", 7, "down ", "server down |"),
        ("server do|x y", 7, "down ", "server down|x y"),
        ("port status s|:80", 12, "shop:", "port status shop:|80"),
        ("port | x", 5, "sta", "port sta| x"),
    ];
    for (line, begins, spelled, expected) in cases {
        // A separator that is typed already is not typed twice, as a blank is not.
        assert_eq!(taken(line, begins, spelled), expected, "{line}");
    }
}

#[test]
fn only_what_is_needed_is_asked() {
    let asked = |line: &str| {
        let site = Site::default();
        complete(line, line.len(), &site);
        site.asked.into_inner()
    };
    assert_eq!(asked("man qui"), Vec::<String>::new());
    assert_eq!(asked("port set shop:80 sticky"), Vec::<String>::new());
    assert_eq!(asked("server down sh"), ["cluster status"]);
    assert_eq!(asked("server down shop:80:"), ["server status shop@80@"]);
    assert_eq!(asked("server down shop+web@80@"), ["server status shop+web@80@"]);
    assert_eq!(asked("server down [2001:db8::1]:"), ["port status 2001:db8::1@"]);
    assert_eq!(asked("rule dropserver shop:80:night "), ["server status shop@80@"]);
}

#[test]
fn without_a_dispatcher_the_grammar_is_left() {
    let count = |line: &str| complete(line, line.len(), &Nobody).candidates.len();
    assert_eq!((count("po"), count("server down "), count("port add x:80 method ")), (1, 0, 3));
}

#[test]
fn too_many_are_no_list() {
    struct Many;
    impl Objects for Many {
        fn names(&self, _: &Question) -> Vec<String> {
            (0..MOST + 1).map(|number| format!("site-ü-{number:05}")).collect()
        }
    }
    let line = "cluster status s";
    let spelled = |line: &str| {
        let found = complete(line, line.len(), &Many).candidates.into_iter();
        found.map(|candidate| candidate.spelled).collect::<Vec<_>>()
    };
    assert_eq!(spelled(line), ["site-ü-0"]);
    assert_eq!(spelled("cluster status site-ü-0"), Vec::<String>::new());
    assert_eq!(spelled("cluster status site-ü-0000"), (0..10).map(|n| format!("site-ü-0000{n} ")).collect::<Vec<_>>());
}

#[test]
fn names_that_a_terminal_would_obey_are_left_out() {
    struct Evil;
    impl Objects for Evil {
        fn names(&self, _: &Question) -> Vec<String> {
            vec!["x\u{1b}[2J".to_owned(), "x".to_owned()]
        }
    }
    assert_eq!(complete("file newload ", 13, &Evil).candidates.len(), 1);
}

#[test]
fn hints() {
    let shown = |line: &str| hint(line).map(|hint| (hint.shown, hint.rest.unwrap_or_default()));
    let cases = [
        ("", None),
        ("man", Some(("ager  The part that weighs servers.", "ager "))),
        ("manager", Some(("  The part that weighs servers.", ""))),
        ("m", None),
        ("executor ", Some(("start|stop|set|status|report|logreopen|certreload|certificates", ""))),
        ("server down ", Some(("C:P:S[+S2...]", ""))),
        ("manager quiesce ", Some(("S|C:P:S", ""))),
        ("manager quiesce w1 ", Some(("[now]", ""))),
        ("manager interval ", Some(("SECONDS", ""))),
        ("port set shop:80 stickyt", Some(("ime", ""))),
        ("port set shop:80 stickytime 60 ", None),
        ("advisor stop ", Some(("http|https|connect|ping", ""))),
        ("advisor status http ", Some(("[P|C:P]", ""))),
        ("cluster status ", Some(("[C[+C2...]]", ""))),
        ("help ", Some(("[OBJECT]", ""))),
        ("explain ", Some(("CLIENT", ""))),
        ("explain 1.2.3.4 shop:80 ", Some(("[REQUEST-LINE]", ""))),
        ("file save x ", Some(("[force]", ""))),
        ("status ", None),
        ("highavailability heartbeat ", Some(("add|delete", ""))),
        ("highavailability heartbeat add ", Some(("SOURCE", ""))),
        ("highavailability heartbeat delete ", Some(("ADDRESS", ""))),
        ("highavailability reach add 10.0.0.254 ", Some(("[MASK]", ""))),
        ("port 'st", None),
    ];
    for (line, expected) in cases {
        let found = shown(line);
        match (line, expected) {
            // The meaning of keywords is theirs to change.
            (_, Some(("ime", _))) => assert!(found.expect(line).0.starts_with("ime  "), "{line}"),
            ("port set shop:80 stickytime 60 ", _) => assert!(found.expect(line).0.contains("stickymask|"), "{line}"),
            _ => assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "{line}"),
        }
    }
    let value = shown("port set shop:80 stickytime ").expect("a hint").0;
    assert!(value.contains("seconds from"), "{value}");
}

/// What an operator could write where the grammar only tells.
fn sample(told: &str) -> Option<&'static str> {
    let told = if told.starts_with("[C") { &told[1..] } else { told };
    Some(match told {
        "SECONDS" | "ROUNDS" | "N" | "SECONDS|unlimited" => "2",
        "PERCENT" => "5",
        "INDEX" => "1.5",
        "CLIENT" => "203.0.113.7",
        "SOURCE" => "10.0.0.1",
        "DESTINATION" => "10.0.0.2",
        "[PORT]" => "12345",
        "[MASK]" => "255.255.255.0",
        "[PRIMARYHOST]" => "10.0.0.1",
        _ if told.starts_with("ADDRESS") && !told.contains(':') => "10.0.0.254",
        _ if told.contains("list of IP addresses") => "10.0.0.254",
        "NAME" => "new.toml",
        "[OBJECT]" => "port",
        _ if told.contains("P|C:P") => "80",
        _ if told.contains("S|C:P:S") => "w1",
        "[REQUEST-LINE]" => "'GET / HTTP/1.1'",
        "[HEADER]" => "'Host: x'",
        _ if told.starts_with("C:P:G") => "shop:80:x",
        _ if told.starts_with("C:P:R") => "shop:80:x",
        _ if told.starts_with("C:P:S") => "shop:80:x",
        _ if told.starts_with("C:P") => "shop:82",
        _ if told.starts_with('C') => "new",
        _ if told.contains("four percentages") => "49 50 1 0",
        _ if told.starts_with("an IP address") => "192.0.2.1",
        _ if told.starts_with("ADDRESS:PORT") => "127.0.0.1:9150",
        _ if told.contains("octal") => "0660",
        _ if told.contains("request line") => "'GET / HTTP/1.1'",
        _ if told.contains("from the root") => "/x",
        _ if told.contains("an hour or an address") => "6",
        _ if told.contains("networks") => "10.0.0.0/8",
        _ if told.contains("list of paths") => "/x",
        _ if told.contains("set NAME: VALUE") => "'remove x'",
        _ if told.contains("list of methods") => "PUT",
        _ if told.contains("pattern such as") => "uri=/x",
        _ if told.starts_with("a list of 1.2") => "1.3",
        _ if told.starts_with("a list of TLS_") => "TLS_AES_128_GCM_SHA256",
        _ if told.starts_with("a list of X25519") => "X25519",
        _ if told.contains("from ") => {
            return ["200", "5", "1", "32", "100", "1000", "1024", "20", "302"]
                .into_iter()
                .find(|number| in_range(told, number));
        }
        _ if told.starts_with("one of") || told.starts_with("yes or no") => return None,
        "[now]" | "[force]" => return None,
        _ => "x",
    })
}

fn in_range(told: &str, number: &str) -> bool {
    let bound = |after: &str| {
        let (_, rest) = told.split_once(after)?;
        rest.split(' ').next()?.parse::<f64>().ok()
    };
    let number: f64 = number.parse().expect("a number");
    bound("from ").is_none_or(|least| number >= least) && bound(" to ").is_none_or(|most| number <= most)
}

fn words_of(line: &str) -> Option<Vec<String>> {
    split_words(line).ok()
}

fn is_command(words: &[String]) -> bool {
    matches!(words, [word] if word == "exit" || word == "quit") || Command::parse(words).is_ok()
}

/// Whether something that parses begins with this line.
fn leads_somewhere(line: &str, patience: usize) -> bool {
    if words_of(line).is_some_and(|words| is_command(&words)) {
        return true;
    }
    if patience == 0 {
        return false;
    }
    ways_on(line).iter().any(|next| leads_somewhere(next, patience - 1))
}

/// The line with each candidate and each sample of what is only told.
fn ways_on(line: &str) -> Vec<String> {
    let completion = complete(line, line.len(), &Site::default());
    let taken = completion
        .candidates
        .iter()
        .map(|candidate| super::taken(line, completion.begins, line.len(), &candidate.spelled).0);
    let mut ways: Vec<String> = taken.filter(|next| next != line).collect();
    ways.extend(new_part(line).map(|part| format!("{line}{part}")));
    let typed = split_unfinished(line).filter(|typed| typed.word.is_empty() && typed.quote.is_none());
    if let Some(typed) = typed {
        let told = expected(&typed.words).into_iter().filter_map(|one| match one {
            Expected::Told(told) => sample(&told),
            _ => None,
        });
        ways.extend(told.map(|sample| format!("{line}{sample} ")));
    }
    ways
}

/// A part of an operand that no live object is called by.
fn new_part(line: &str) -> Option<String> {
    let typed = split_unfinished(line)?;
    let shape = expected(&typed.words).into_iter().find_map(|one| match one {
        Expected::Operand(shape) => Some(shape),
        _ => None,
    })?;
    let separator = typed.word.chars().last().filter(|last| matches!(last, ':' | '@'))?;
    match (super::operand::parts(&typed.word, shape.depth).len(), shape.depth) {
        (2, 2) => Some("82 ".to_owned()),
        (2, 3) => Some(format!("82{separator}")),
        (3, 3) => Some("x ".to_owned()),
        _ => None,
    }
}

/// Every word of the language, once in its place: all that one TAB can do after each beginning.
#[test]
fn each_first_step_leads_to_a_command() {
    for first in ways_on("") {
        for second in ways_on(&first).into_iter().chain([first.clone()]) {
            for third in ways_on(&second).into_iter().chain([second.clone()]) {
                assert!(leads_somewhere(&third, 6), "`{third}` leads nowhere");
            }
        }
    }
}

proptest! {
    /// From nothing, by candidates and samples alone, cut short anywhere: what TAB then makes of it leads to a command.
    #[test]
    fn candidates_lead_to_commands(turns in proptest::collection::vec(any::<prop::sample::Index>(), 1..9), cut in any::<prop::sample::Index>()) {
        let mut line = String::new();
        for turn in turns {
            let ways = ways_on(&line);
            if ways.is_empty() {
                break;
            }
            line = turn.get(&ways).clone();
        }
        let end = (0..=cut.index(line.len() + 1)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let begun = &line[..end];
        let completion = complete(begun, begun.len(), &Site::default());
        for candidate in &completion.candidates {
            let (next, cursor) = super::taken(begun, completion.begins, begun.len(), &candidate.spelled);
            prop_assert_eq!(cursor, next.len());
            prop_assert!(leads_somewhere(&next, 6), "`{}` leads nowhere", next);
        }
    }

    #[test]
    fn nothing_panics(line in "[ -~\u{e9}\n\t]{0,40}", cursor in 0usize..50) {
        let completion = complete(&line, cursor, &Site::default());
        prop_assert!(completion.begins <= line.len());
        for candidate in completion.candidates {
            let _ = super::taken(&line, completion.begins, cursor, &candidate.spelled);
        }
        let _ = hint(&line);
    }
}
