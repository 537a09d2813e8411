//! Laws that hold for every document: printing, reading, applying.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::fault::MAX_FAULTS;
use super::super::schema::{Keyword, Kind, Usage, ValueKind};
use crate::config::{Change, Document, Overrides, split_words};

/// Where most documents begin, so that commands find something.
const SITE: &str = "cluster add a address 192.0.2.1
cluster add b address 192.0.2.2
port add a:80+443 method http
port add b:80 method tcp
server add :80:w1+w2 address 192.0.2.21
rule add a:80:w1 type true
rule useserver a:80:w1 w1";

/// A word of a command for a keyword, most often a right one.
fn value(keyword: &'static Keyword) -> BoxedStrategy<String> {
    match keyword.value {
        ValueKind::Whole { least, most } => (least..=most.min(least + 200)).prop_map(|n| n.to_string()).boxed(),
        ValueKind::Seconds { most, .. } => (0..=most).prop_map(|n| n.to_string()).boxed(),
        ValueKind::Decimal { .. } => (1.0..900.0f64).prop_map(|n| n.to_string()).boxed(),
        ValueKind::Fractions { least_ms, most } => {
            (least_ms..999_999u64.min(most * 1000)).prop_map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000)).boxed()
        }
        ValueKind::FractionsOrUnlimited { .. } => {
            select(vec!["unlimited", "0.5", "90"]).prop_map(str::to_owned).boxed()
        }
        ValueKind::WholeOrUnlimited { least, most } => {
            prop_oneof![(least..=most.min(least + 200)).prop_map(|n| n.to_string()), Just("unlimited".to_owned())]
                .boxed()
        }
        ValueKind::Hosts => {
            select(vec!["\"\"", "*", "WWW.example.com:80+*.example.org"]).prop_map(str::to_owned).boxed()
        }
        ValueKind::Uris => select(vec!["\"\"", "/*", "/shop/*+*.jsp+/login"]).prop_map(str::to_owned).boxed(),
        ValueKind::HeaderEdits => {
            select(vec!["\"\"", "\"set X-Env: prod\"", "\"remove Server+add a: b\""]).prop_map(str::to_owned).boxed()
        }
        ValueKind::Paths => select(vec!["\"\"", "/srv/a.pem", "/srv/a.pem+/srv/certs"]).prop_map(str::to_owned).boxed(),
        ValueKind::TlsVersions => select(vec!["\"\"", "1.3", "1.2+1.3"]).prop_map(str::to_owned).boxed(),
        ValueKind::Ciphers => select(vec!["\"\"", "tls_aes_128_gcm_sha256", "ECDHE-RSA-AES128-GCM-SHA256"])
            .prop_map(str::to_owned)
            .boxed(),
        ValueKind::KeyExchanges => select(vec!["\"\"", "x25519+P-256"]).prop_map(str::to_owned).boxed(),
        ValueKind::Methods => select(vec!["\"\"", "PUT", "PUT+DELETE"]).prop_map(str::to_owned).boxed(),
        ValueKind::CookieName | ValueKind::CloneId => "[A-Za-z0-9_.-]{1,12}".boxed(),
        ValueKind::Pattern => select(vec!["uri=/a/*", "\"(method=GET)&!(uri=*.gif)\""]).prop_map(str::to_owned).boxed(),
        ValueKind::Flag => select(vec!["yes", "no", "TRUE"]).prop_map(str::to_owned).boxed(),
        ValueKind::Choice { words, .. } => select(words).prop_map(str::to_owned).boxed(),
        ValueKind::Name | ValueKind::RuleName | ValueKind::Account => "[a-z][a-z0-9_.-]{0,9}".boxed(),
        ValueKind::Address => select(vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]).prop_map(str::to_owned).boxed(),
        ValueKind::Host => select(vec!["192.0.2.21", "::7", "app.example.com"]).prop_map(str::to_owned).boxed(),
        ValueKind::Listen => select(vec!["\"\"", "[::1]:9150", "127.0.0.1:0"]).prop_map(str::to_owned).boxed(),
        ValueKind::Mode => select(vec!["0600", "660"]).prop_map(str::to_owned).boxed(),
        ValueKind::RequestLine => {
            select(vec!["\"GET /a\\\"b HTTP/1.1\"", "'head / http/1.0'"]).prop_map(str::to_owned).boxed()
        }
        ValueKind::Text | ValueKind::Phrase => text().boxed(),
        ValueKind::HeaderValue => {
            select(vec!["no-store", "\"max-age=3, \\\\ x\"", "\"\""]).prop_map(str::to_owned).boxed()
        }
        ValueKind::Path | ValueKind::PathOrOff | ValueKind::AbsolutePath => {
            text().prop_map(|word| format!("/srv/{word}")).boxed()
        }
        ValueKind::Bound => select(vec!["0", "007", "23", "10.0.0.1", "2001:DB8::1"]).prop_map(str::to_owned).boxed(),
        ValueKind::Accounts => Just("nobody+ops".to_owned()).boxed(),
        ValueKind::Names => Just("w1+w2".to_owned()).boxed(),
        ValueKind::Addresses => {
            select(vec!["\"\"", "10.0.0.254", "10.0.0.254+2001:DB8::1"]).prop_map(str::to_owned).boxed()
        }
        ValueKind::Networks => select(vec!["\"\"", "10.0.0.0/8+::1", "192.0.2.0/24"]).prop_map(str::to_owned).boxed(),
        ValueKind::Interfaces => select(vec!["\"\"", "eth0", "eth0+bond0.12"]).prop_map(str::to_owned).boxed(),
        ValueKind::Protocols => select(vec!["\"\"", "*", "WebSocket+x/1"]).prop_map(str::to_owned).boxed(),
        ValueKind::Proportions => select(vec!["49 50 1 0", "25 25 25 25"]).prop_map(str::to_owned).boxed(),
    }
}

/// Any text, quoted for a command line.
fn text() -> impl Strategy<Value = String> {
    "[ -~äß€]{0,12}".prop_map(|text| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"")))
}

fn pairs(kind: Kind, adding: bool) -> impl Strategy<Value = String> {
    let fits = move |keyword: &&Keyword| keyword.usage == Usage::Set || (adding && keyword.usage == Usage::Add);
    let keywords: Vec<&'static Keyword> = kind.schema().keywords.iter().filter(fits).collect();
    let spoken = |keyword: &Keyword| if keyword.word == "format" { "logformat" } else { keyword.word };
    let pair = move |keyword: &'static Keyword| value(keyword).prop_map(move |value| (spoken(keyword), value));
    let most = keywords.len().min(3);
    let chosen = prop::sample::subsequence(keywords, 0..=most);
    chosen
        .prop_flat_map(move |keywords| keywords.into_iter().map(pair).collect::<Vec<_>>())
        .prop_map(|pairs| pairs.into_iter().map(|(word, value)| format!(" {word} {value}")).collect())
}

/// A command on a small site, so that commands often meet.
fn command() -> impl Strategy<Value = String> {
    let cluster = || select(vec!["a", "b", "2001:db8::9", ""]);
    let port = || select(vec!["80", "443", "21", "80+443", ""]);
    let third = || select(vec!["w1", "w2", "::5", "w1+w3", ""]);
    let whole =
        move || (cluster(), port(), third()).prop_map(|(cluster, port, third)| format!("{cluster}@{port}@{third}"));
    let cluster_name =
        move || cluster().prop_map(|name| if name.is_empty() { "@".to_owned() } else { name.to_owned() });
    let port_name = move || (cluster(), port()).prop_map(|(cluster, port)| format!("{cluster}@{port}"));
    let method = select(vec!["http", "tcp"]);
    let rule_type = select(vec!["true", "active", "ip", "time", "connection"]);
    let advisor = || (select(vec!["http", "https", "ping"]), select(vec!["80", "443", "a@80", "@"]));
    let advised = prop::sample::select(&["interval", "timeout", "connecttimeout", "retries", "verify"][..])
        .prop_flat_map(|word| {
            let keyword = Kind::Advisor.keyword(word).expect("a keyword of advisors");
            value(keyword).prop_map(move |value| (word, value))
        });
    let steering = select(vec![
        "server down X",
        "server up X",
        "manager quiesce X",
        "manager quiesce X now",
        "manager unquiesce X",
    ]);
    prop_oneof![
        4 => (cluster_name(), pairs(Kind::Cluster, true)).prop_map(|(name, pairs)| format!("cluster add {name}{pairs}")),
        1 => (cluster_name(), pairs(Kind::Cluster, false)).prop_map(|(name, pairs)| format!("cluster set {name}{pairs}")),
        6 => (port_name(), method, pairs(Kind::Port, false)).prop_map(|(name, method, pairs)| format!("port add {name} method {method}{pairs}")),
        2 => (port_name(), pairs(Kind::Port, false)).prop_map(|(name, pairs)| format!("port set {name}{pairs}")),
        8 => (whole(), pairs(Kind::Server, true)).prop_map(|(name, pairs)| format!("server add {name}{pairs}")),
        2 => (whole(), pairs(Kind::Server, false)).prop_map(|(name, pairs)| format!("server set {name}{pairs}")),
        4 => (whole(), rule_type, pairs(Kind::Rule, false)).prop_map(|(name, kind, pairs)| format!("rule add {name} type {kind}{pairs}")),
        4 => (whole(), select(vec!["useserver", "dropserver"]), third()).prop_map(|(rule, verb, servers)| format!("rule {verb} {rule} {servers}")),
        3 => (steering, whole()).prop_map(|(line, name)| line.replace('X', &name)),
        1 => (select(vec!["cluster", "port", "server", "rule"]), whole()).prop_map(|(kind, name)| {
            let depth = match kind { "cluster" => 1, "port" => 2, _ => 3 };
            let name: Vec<&str> = name.split('@').take(depth).collect();
            format!("{kind} remove {}", name.join("@"))
        }),
        3 => advisor().prop_map(|(name, scope)| format!("advisor start {name} {scope}")),
        1 => advisor().prop_map(|(name, scope)| format!("advisor stop {name} {scope}")),
        2 => (advisor(), advised).prop_map(|((name, scope), (word, value))| format!("advisor {word} {name} {scope} {value}")),
        1 => select(vec!["manager start", "manager stop", "executor start"]).prop_map(str::to_owned),
        3 => pairs(Kind::Executor, false).prop_map(|pairs| format!("executor set{pairs}")),
        1 => pairs(Kind::Manager, false).prop_map(|pairs| format!("manager set{pairs}")),
        1 => pairs(Kind::Control, false).prop_map(|pairs| format!("control set{pairs}")),
        1 => pairs(Kind::Metrics, false).prop_map(|pairs| format!("metrics set{pairs}")),
        1 => pairs(Kind::Alerts, false).prop_map(|pairs| format!("alerts set{pairs}")),
        3 => pairs(Kind::HighAvailability, false).prop_map(|pairs| format!("highavailability set{pairs}")),
        3 => pair_verb(),
        1 => pairs(Kind::Log, false).prop_map(|pairs| format!("set{pairs}")),
    ]
}

/// What the pair has verbs of its own for.
fn pair_verb() -> impl Strategy<Value = String> {
    let address = || select(vec!["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    let role = select(vec!["primary", "backup", "both"]);
    let join = (role, select(vec!["auto", "manual"]), select(vec!["", " 12346"]));
    prop_oneof![
        2 => join.prop_map(|(role, recovery, port)| format!("backup add {role} {recovery}{port}")),
        1 => Just("backup delete".to_owned()),
        4 => (address(), address()).prop_map(|(source, destination)| format!("heartbeat add {source} {destination}")),
        1 => address().prop_map(|address| format!("heartbeat delete {address}")),
        1 => (address(), address()).prop_map(|(source, destination)| format!("heartbeat delete {source} {destination}")),
        2 => select(vec!["add 10.0.0.254", "add 10.0.0.253+10.0.0.254 255.255.255.0", "delete 10.0.0.254"])
            .prop_map(|reach| format!("reach {reach}")),
    ]
    .prop_map(|words| format!("highavailability {words}"))
}

fn change(line: &str) -> Option<Change> {
    Change::parse(&split_words(line).expect("splits")).ok().flatten()
}

/// What the commands that can be done make of a document.
fn after(document: &Document, commands: &[String]) -> Document {
    let mut document = document.clone();
    for change in commands.iter().filter_map(|line| change(line)) {
        let _ = document.apply(&change);
    }
    document
}

fn document() -> impl Strategy<Value = Document> {
    let some = SITE.lines().map(str::to_owned).collect::<Vec<_>>();
    let sites = prop_oneof![1 => Just(Vec::new()), 5 => Just(some)];
    (sites, prop::collection::vec(command(), 0..40))
        .prop_map(|(site, commands)| after(&after(&Document::default(), &site), &commands))
}

fn read(text: &str, file: &str) -> Document {
    Document::parse(text, file).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

proptest! {
    #[test]
    fn a_printed_document_reads_back_as_the_same(document in document()) {
        for (text, file) in [(document.to_toml(), "x.toml"), (document.to_script(), "x.cfg")] {
            let again = read(&text, file);
            prop_assert_eq!(&again, &document, "{}", text);
            prop_assert_eq!(again.resolve().map(|resolved| resolved.config).ok(), document.resolve().map(|resolved| resolved.config).ok());
            let printed = if file == "x.toml" { again.to_toml() } else { again.to_script() };
            prop_assert_eq!(printed, text, "printing is canonical");
        }
    }

    #[test]
    fn a_change_reads_back_as_the_same(line in command()) {
        if let Some(read) = change(&line) {
            let words = split_words(&read.to_string()).expect("splits");
            prop_assert_eq!(Change::parse(&words[1..]), Ok(Some(read)), "{}", line);
        }
    }

    #[test]
    fn a_refused_change_leaves_no_trace(document in document(), line in command()) {
        let mut changed = document.clone();
        if let Some(change) = change(&line) && changed.apply(&change).is_err() {
            prop_assert_eq!(changed, document);
        }
    }

    #[test]
    fn overrides_lead_from_one_document_to_another(file in document(), commands in prop::collection::vec(command(), 0..10)) {
        let effective = after(&file, &commands);
        let overrides = Overrides::between(&file, &effective);
        prop_assert_eq!(Overrides::parse(&overrides.to_text()), Ok(overrides.clone()), "{}", overrides.to_text());
        if effective.resolve().is_ok() {
            let (laid, dropped) = overrides.over(&file);
            prop_assert!(Overrides::between(&laid, &effective).is_empty(), "{}", overrides.to_text());
            prop_assert_eq!(dropped, Vec::<String>::new());
        }
    }

    /// A new file under old overrides: never a panic, and never wrong because of them alone.
    #[test]
    fn overrides_never_spoil_a_file(old in document(), commands in prop::collection::vec(command(), 0..10), new in document()) {
        let (laid, _) = Overrides::between(&old, &after(&old, &commands)).over(&new);
        prop_assert!(laid.resolve().is_ok() || new.resolve().is_err());
    }

    #[test]
    fn a_damaged_file_is_refused_with_places_or_means_something(
        document in document(), toml in any::<bool>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
    ) {
        let (text, file) = if toml { (document.to_toml(), "x.toml") } else { (document.to_script(), "x.cfg") };
        let mut bytes = text.into_bytes();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        check_damaged(&String::from_utf8_lossy(&bytes), file)?;
    }

    #[test]
    fn garbage_never_panics(text in "\\PC{0,200}", lines in prop::collection::vec("[a-z0-9=\\[\\]\"{}.,:@+ #\\\\']{0,30}", 0..20)) {
        for file in ["x.toml", "x.cfg"] {
            check_damaged(&text, file)?;
            check_damaged(&lines.join("\n"), file)?;
        }
        let _ = Overrides::parse(&text);
        let _ = Overrides::parse(&lines.join("\n"));
    }
}

fn check_damaged(text: &str, file: &str) -> Result<(), TestCaseError> {
    match Document::parse(text, file) {
        // Beyond the most that are listed, the last line counts the rest and stands nowhere.
        Err(faults) => prop_assert!(faults.iter().take(MAX_FAULTS).all(|fault| fault.place.is_some()), "{}", faults),
        Ok(document) => {
            let _ = document.resolve();
            let reprinted = document.to_toml();
            // A relative path belongs to its own file, which is the same here.
            prop_assert_eq!(read(&reprinted, "x.toml"), document, "{}", reprinted);
        }
    }
    Ok(())
}
