use crate::config::{Change, Document, Overrides, split_words};

const FILE: &str = "
    cluster add shop address 192.0.2.10
    port add shop:80 method http stickytime 60
    server add shop:80:w1 address 192.0.2.21 weight 5
    server add shop:80:w2 address 192.0.2.22
    rule add shop:80:all type true
    rule useserver shop:80:all w1+w2
    advisor start http 80
";

fn file(text: &str) -> Document {
    Document::parse(text, "tsuji.cfg").unwrap_or_else(|faults| panic!("{faults}"))
}

fn changed(document: &Document, commands: &[&str]) -> Document {
    let mut document = document.clone();
    for command in commands {
        let change = Change::parse(&split_words(command).expect(command)).expect(command).expect(command);
        document.apply(&change).unwrap_or_else(|refusal| panic!("{command}: {refusal}"));
    }
    document
}

const COMMANDS: &[&str] = &[
    "manager quiesce w1 now",
    "server set shop:80:w1 weight 9 advisorrequest \"GET /a\\\"b\\\" HTTP/1.1\"",
    "server add shop:80:w3 address 192.0.2.23 advisorresponse \"\\\"\\\"UP\\\"\\\"\"",
    "rule useserver shop:80:all w3",
    "server remove shop:80:w2",
    "cluster add api address 192.0.2.11 proportions 20 20 60 0",
    "port add api:443 method tcp crossport 443",
    "server add api:443:a1 address 192.0.2.31",
    "server down api:443:a1",
    "advisor stop http 80",
    "advisor start connect api:443",
    "advisor interval connect api:443 0.5",
    "advisor timeout connect api:443 unlimited",
    "manager stop",
    "manager smoothing 2.5",
    "executor set stickytime 30",
    "cluster set shop proportions 49 50 1 0",
    "port set shop:80 trustedproxies 10.0.0.0/8+::1 upgrade \"\"",
];

#[test]
fn they_lead_from_the_file_to_what_is_in_effect() {
    let file = file(FILE);
    let effective = changed(&file, COMMANDS);
    let overrides = Overrides::between(&file, &effective);
    assert_eq!(overrides.over(&file), (effective, Vec::new()));
    assert_eq!(Overrides::parse(&overrides.to_text()), Ok(overrides.clone()), "{}", overrides.to_text());
    assert!(!overrides.is_empty() && Overrides::between(&file, &file).is_empty());
}

#[test]
fn a_field_that_the_file_changed_wins_over_its_override() {
    let old = file(FILE);
    let overrides = Overrides::between(&old, &changed(&old, &["server set shop:80:w1 weight 9", "manager quiesce w2"]));
    let new = file(&FILE.replace("weight 5", "weight 7"));
    let (document, dropped) = overrides.over(&new);
    assert_eq!(dropped, ["server shop:80:w1 weight 9: the file now says 7"]);
    assert_eq!(document, changed(&new, &["manager quiesce w2"]));
}

#[test]
fn the_rest_of_the_file_may_change_freely() {
    let old = file(FILE);
    let overrides =
        Overrides::between(&old, &changed(&old, &["server set shop:80:w1 weight 9", "server remove shop:80:w2"]));
    let new = file(&FILE.replace("stickytime 60", "stickytime 90"));
    let (document, dropped) = overrides.over(&new);
    assert_eq!(dropped, [""; 0]);
    assert_eq!(document, changed(&new, &["server set shop:80:w1 weight 9", "server remove shop:80:w2"]));
}

#[test]
fn what_the_file_says_by_now_needs_no_word() {
    let old = file(FILE);
    let effective = changed(&old, &["server set shop:80:w1 weight 9", "server add shop:80:w3 address 192.0.2.23"]);
    let overrides = Overrides::between(&old, &effective);
    assert_eq!(overrides.over(&effective), (effective.clone(), Vec::new()));
}

#[test]
fn overrides_of_what_is_gone_are_named() {
    let old = file(FILE);
    let effective =
        changed(&old, &["manager quiesce w2", "server add shop:80:w3 address 192.0.2.23", "server remove shop:80:w1"]);
    let overrides = Overrides::between(&old, &effective);
    let (document, dropped) = overrides.over(&Document::default());
    assert_eq!(document, Document::default());
    let expected = [
        "server shop:80:w2 state quiesced: the file no longer has it",
        "server shop:80:w3 added: the file no longer has what it was added to",
        "rule shop:80:all servers w2: the file no longer has it",
    ];
    assert_eq!(dropped, expected);
}

/// A rule added by an operator named a server that later left the file: the file could not be loaded any more.
#[test]
fn an_override_cannot_make_a_right_file_wrong() {
    let old = file(FILE);
    let commands =
        ["rule add shop:80:busy type active beginrange 9", "rule useserver shop:80:busy w2", "manager quiesce w1"];
    let overrides = Overrides::between(&old, &changed(&old, &commands));
    let new = file(&FILE.replace("server add shop:80:w2 address 192.0.2.22", "").replace("w1+w2", "w1"));
    let (document, dropped) = overrides.over(&new);
    assert_eq!(
        dropped,
        ["rule shop:80:busy added: rule shop:80:busy: this port has no server `w2`, did you mean `w1`?"]
    );
    assert_eq!(document, changed(&new, &["manager quiesce w1"]));
}

/// A lower bound in the file and weights above it on every server: each would be tried by itself.
#[test]
fn many_wrong_overrides_end_soon() {
    let mut text = FILE.to_owned();
    (10..1000).for_each(|at| text.push_str(&format!("server add shop:80:s{at} address 192.0.2.30\n")));
    let old = file(&text);
    let overrides = Overrides::between(&old, &changed(&old, &["server set ::  weight 15", "manager quiesce w1"]));
    let new = file(&text.replace("stickytime 60", "weightbound 9"));
    let (document, dropped) = overrides.over(&new);
    assert!(document.resolve().is_ok());
    assert_eq!(dropped.iter().filter(|reason| reason.contains("weight 15 is above")).count(), 992);
}

#[test]
fn relative_paths_are_completed() {
    let toml = |page: &str| {
        let text = format!(
            "[[cluster]]\nname = \"192.0.2.1\"\n[[cluster.port]]\nnumber = 80\nmethod = \"http\"\nsorrypage = \"{page}\"\n"
        );
        Document::parse(&text, "/etc/tsuji/tsuji.toml").expect("right")
    };
    let overrides = Overrides::between(&Document::default(), &toml("sorry"));
    assert!(overrides.to_text().contains("sorrypage /etc/tsuji/sorry"), "{}", overrides.to_text());
    let overrides = Overrides::between(&toml("sorry"), &toml("other"));
    assert!(overrides.to_text().contains("now = \"/etc/tsuji/other\""), "{}", overrides.to_text());
    assert_eq!(overrides.over(&toml("sorry")).1, [""; 0]);
}

#[test]
fn garbage_is_refused_with_its_place() {
    let cases = [
        ("[[override]]\n", "overrides:1:1: this override has no `object`"),
        ("x = 1\n", "overrides:1:1: unknown key `x`"),
        (
            "[[override]]\nobject = \"server\"\noperand = \"shop:80:\"\n",
            "overrides:1:1: `shop:80:` is not the operand of one server",
        ),
        (
            "[[override]]\nobject = \"manager\"\noperand = \"\"\nchange = \"field\"\nkeyword = \"interval\"\nnow = \"x\"\n",
            "overrides:1:1: `interval` is seconds from 0.1 to 3600, not `x`",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Overrides::parse(text).expect_err(text).to_string(), message);
    }
    assert!(Overrides::parse("\u{0}").is_err());
}

#[test]
fn back_to_the_default_is_no_override() {
    let file = file(FILE);
    let there = changed(&file, &["manager set velocitylimit yes", "port set shop:80 retries 5"]);
    assert_eq!(Overrides::between(&file, &there).len(), 2);
    let back = changed(&there, &["manager set velocitylimit no", "port set shop:80 retries 2"]);
    assert!(Overrides::between(&file, &back).is_empty());
    let named = changed(&file, &["server set shop:80:w1 weight 10"]);
    assert_eq!(Overrides::between(&file, &named).len(), 1, "the file says 5");
}
