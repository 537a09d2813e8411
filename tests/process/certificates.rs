//! Certificates that are bad, missing, replaced, or half written: what is said, and that traffic goes on.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Daemon, Issuer, Made, Origin, Output, Session, Site, Traffic, ask, free_port, get, put, served};

const NAME: &str = "shop.example";

/// A port with these lines before a server behind it.
fn port(lines: &str, origin: &Origin) -> String {
    format!("[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\n{lines}\n{}", origin.server())
}

/// A port whose certificate and key are in two files, served.
struct Shop {
    site: Site,
    daemon: Daemon,
    issuer: Issuer,
    made: Made,
    _origin: Origin,
}

impl Shop {
    fn start() -> Self {
        let (origin, issuer) = (Origin::start("one"), Issuer::new());
        let site = Site::new(&port("certificates = [\"shop.pem\"]", &origin));
        let made = issuer.certificate(&[NAME]);
        install(&site, &made);
        let daemon = site.start();
        assert_eq!(served(site.address(), NAME), made.der);
        Self { site, daemon, issuer, made, _origin: origin }
    }

    fn metric(&self, series: &str) -> f64 {
        metric(&self.site, series)
    }
}

fn install(site: &Site, made: &Made) {
    put(&site.path("shop.key"), &made.key);
    put(&site.path("shop.pem"), &made.chain);
}

fn metric(site: &Site, series: &str) -> f64 {
    let page = get(site.metrics_address(), "/metrics").body;
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{series} is not on the page"))
}

fn check(site: &Site) -> Output {
    checked(site, |command| command)
}

fn checked(site: &Site, change: impl FnOnce(&mut Command) -> &mut Command) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsuji"));
    command.args(["check", "tsuji.toml"]).current_dir(site.directory.path()).stdin(Stdio::null());
    let output = change(&mut command).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// What replaces what: a file's name, and its content; `None`: it is taken away.
type Bad<'a> = &'a [(&'a str, Option<&'a str>)];

#[test]
fn what_cannot_be_used_is_refused_and_what_is_in_force_stays() {
    let shop = Shop::start();
    let traffic = Traffic::begin(shop.site.address(), NAME);
    let (issuer, other) = (&shop.issuer, shop.issuer.certificate(&[NAME]));
    let expired = issuer.expired(&[NAME]);
    let unordered = format!("{}{}", issuer.pem(), other.chain);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let torn = &other.chain[..other.chain.len() / 2];
    let cases: &[(&str, Bad<'_>, &str)] = &[
        ("a key of another", &[("shop.key", Some(&other.key))], "is not that of the first certificate in"),
        ("a certificate of another", &[("shop.pem", Some(&other.chain))], "is not that of the first certificate in"),
        ("no key", &[("shop.key", None)], "has no private key; one in it, or in"),
        ("an encrypted key", &[("shop.key", Some(encrypted))], "openssl pkey -in"),
        ("no certificate", &[("shop.pem", Some("hello\n"))], "has no certificate; a PEM file with BEGIN CERTIFICATE"),
        ("an empty file", &[("shop.pem", Some(""))], "has no certificate; a PEM file with BEGIN CERTIFICATE"),
        ("half a file", &[("shop.pem", Some(torn))], "is not readable as PEM"),
        ("no file", &[("shop.pem", None)], "cannot be read"),
        ("no order", &[("shop.pem", Some(&unordered)), ("shop.key", Some(&other.key))], "are no chain: number 1"),
        ("PKCS#12", &[("shop.pem", Some("0\u{2}\u{1}\u{3}rest"))], "convert it: openssl"),
        ("expired", &[("shop.pem", Some(&expired.chain)), ("shop.key", Some(&expired.key))], "expired on 1999-12-31"),
    ];
    for (what, bad, said) in cases {
        for (file, text) in *bad {
            match text {
                Some(text) => put(&shop.site.path(file), text),
                None => fs::remove_file(shop.site.path(file)).unwrap(),
            }
        }
        refused(&shop, what, said);
    }
    traffic.end();
}

/// Nothing but files is read, and nobody waits for them.
#[test]
fn a_directory_or_a_pipe_in_the_place_of_a_key_is_named() {
    let shop = Shop::start();
    let traffic = Traffic::begin(shop.site.address(), NAME);
    let key = shop.site.path("shop.key");
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    refused(&shop, "a directory", "shop.key` is neither a file nor a directory");
    fs::remove_dir(&key).unwrap_or_else(|_| fs::remove_file(&key).unwrap());
    let made = Command::new("mkfifo").arg(&key).status().unwrap();
    assert!(made.success());
    refused(&shop, "a pipe", "shop.key` is neither a file nor a directory");
    traffic.end();
}

/// By command, by `tsuji check`, in reports and figures; and it is over when the files are good again.
#[track_caller]
fn refused(shop: &Shop, what: &str, said: &str) {
    let reads = |outcome: &str| shop.metric(&format!("tsuji_certificate_reads_total{{outcome=\"{outcome}\"}}"));
    let before = reads("refused");
    let answer = shop.daemon.dscontrol("executor certreload");
    assert_eq!(answer.code, 1, "{what}: {answer:?}");
    assert!(answer.err.contains("those in force stay") && answer.err.contains(said), "{what}: {answer:?}");
    assert!(reads("refused") > before, "{what}");
    assert_eq!(shop.metric("tsuji_certificate_last_read_successful"), 0.0, "{what}");
    assert!(shop.daemon.must("status").contains("those in force stay"), "{what}");
    assert_eq!(served(shop.site.address(), NAME), shop.made.der, "{what}: the one in force stays");
    let checked = check(&shop.site);
    // What has expired can be used: an operator may have nothing else at a start.
    let code = i32::from(!said.starts_with("expired"));
    assert!(checked.code == code && checked.err.contains(said), "{what}: {checked:?}");
    if shop.site.path("shop.key").is_dir() {
        fs::remove_dir(shop.site.path("shop.key")).unwrap();
    }
    install(&shop.site, &shop.made);
    shop.daemon.must("executor certreload");
    assert_eq!(shop.metric("tsuji_certificate_last_read_successful"), 1.0, "{what}");
    assert!(!shop.daemon.must("status").contains("those in force stay"), "{what}");
}

#[test]
fn a_key_that_belongs_to_somebody_else_is_named() {
    let (origin, issuer) = (Origin::start("one"), Issuer::new());
    let site = Site::new(&port("certificates = [\"shop.pem\"]", &origin));
    install(&site, &issuer.certificate(&[NAME]));
    fs::set_permissions(site.path("shop.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(site.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if !nix::unistd::Uid::effective().is_root() {
        fs::set_permissions(site.path("shop.key"), fs::Permissions::from_mode(0o000)).unwrap();
        let checked = check(&site);
        assert!(checked.code == 1 && checked.err.contains("shop.key` cannot be read: Permission"), "{checked:?}");
        return;
    }
    // Root reads everything, so somebody else looks, if the program lies where others may run it.
    let program = site.path("tsuji");
    fs::copy(env!("CARGO_BIN_EXE_tsuji"), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(["check", "tsuji.toml"]).current_dir(site.directory.path()).stdin(Stdio::null()).uid(65_534);
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            eprintln!("skipped: nobody else may run programs in {}", site.directory.path().display());
            return;
        }
        output => output.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("shop.key` cannot be read: Permission denied"), "{said}");
}

#[test]
fn faults_of_the_configuration_are_named_before_anything_starts() {
    let (origin, issuer) = (Origin::start("one"), Issuer::new());
    let shown = "certificates = [\"shop.pem\"]\n";
    let cases = [
        (format!("{shown}ciphers = [\"RC4-MD5\"]"), "TLS_AES_256_GCM_SHA384"),
        (format!("{shown}tlsversions = [\"1.1\"]"), "a list of 1.2 and 1.3"),
        (format!("{shown}clientcertificates = \"required\""), "clientca"),
        (
            format!("{shown}clientcertificates = \"required\"\nclientca = \"nowhere.pem\""),
            "nowhere.pem` cannot be read",
        ),
        (format!("{shown}clientcertificates = \"optional\"\nclientca = \"empty.pem\""), "empty.pem` has no issuer"),
        ("certificates = [\"store.p12\"]".to_owned(), "openssl pkcs12 -in"),
        ("certificates = [\"store.kdb\"]".to_owned(), "gskcapicmd"),
        ("certificates = [\"store.jks\"]".to_owned(), "keytool -importkeystore"),
        ("certificates = [\"nothing\"]".to_owned(), "nothing` has no certificates"),
    ];
    for (lines, said) in cases {
        let site = Site::new(&port(&lines, &origin));
        install(&site, &issuer.certificate(&[NAME]));
        for store in ["store.p12", "store.kdb", "store.jks", "empty.pem"] {
            site.write(store, "\0");
        }
        fs::create_dir(site.path("nothing")).unwrap();
        let checked = check(&site);
        assert!(checked.code == 1 && checked.err.contains(said), "{lines}: {checked:?}");
        // What is wrong in the file has a place in it; what is wrong with another file has that one's name.
        let is_word = lines.contains("RC4") || lines.contains("1.1") || said == "clientca";
        assert_eq!(checked.err.contains("tsuji.toml:"), is_word, "{lines}: {checked:?}");
        if lines.contains("clientcertificates") {
            let mut daemon = Daemon::start(site.directory.path(), &["run", "--config", "tsuji.toml"]);
            assert_eq!(daemon.wait().code(), Some(1), "whom to believe is not known: {lines}");
            daemon.wait_until("it says why", |daemon| daemon.errors().contains(said));
        }
    }
}

#[test]
fn at_the_start_what_has_expired_is_served_and_told() {
    let (origin, issuer) = (Origin::start("one"), Issuer::new());
    let site = Site::new(&port("certificates = [\"shop.pem\"]", &origin));
    let expired = issuer.expired(&[NAME]);
    install(&site, &expired);
    let daemon = site.start();
    assert_eq!(served(site.address(), NAME), expired.der);
    let said = daemon.errors();
    assert!(said.contains("shop.pem` expired on 1999-12-31"), "{said}");
    assert!(daemon.must("status").contains("expired on 1999-12-31"));
    let report = daemon.must("executor certificates");
    assert!(report.contains("| expired |") || report.contains("   expired |"), "{report}");
    assert!(daemon.must("--json executor certificates").contains("\"subject\": \"CN=shop.example\""));
    let expiry = format!("tsuji_certificate_expiry_timestamp_seconds{{cluster=\"shop\",port=\"{}\"", site.port);
    assert!(get(site.metrics_address(), "/metrics").body.contains(&expiry));
    let made = issuer.certificate(&[NAME]);
    install(&site, &made);
    daemon.must("executor certreload");
    assert_eq!(served(site.address(), NAME), made.der);
}

#[test]
fn what_servers_are_shown_is_reported_beside_what_clients_are() {
    let (origin, issuer) = (Origin::start("one"), Issuer::new());
    let inside = "tls = true\ntlsverify = false\ntlscertificate = \"own.pem\"\n";
    let site = Site::new(&format!("{}{inside}", port("certificates = [\"shop.pem\"]", &origin)));
    install(&site, &issuer.certificate(&[NAME]));
    site.write("own.pem", &issuer.certificate(&["dispatcher"]).together());
    let daemon = site.start();
    let report = daemon.must("executor certificates");
    let rows = [(format!("| shop:{} ", site.port), "shop.pem"), (format!("| shop:{}:one ", site.port), "own.pem")];
    for (object, file) in rows {
        assert!(report.lines().any(|row| row.starts_with(&object) && row.contains(file)), "{report}");
    }
    let expiry = format!("tsuji_certificate_expiry_timestamp_seconds{{cluster=\"shop\",port=\"{}\"", site.port);
    let page = get(site.metrics_address(), "/metrics").body;
    let shown = |labels: &str| page.lines().any(|line| line.starts_with(&format!("{expiry},{labels}=")));
    assert!(shown("file") && shown("server=\"one\",file"), "{page}");
}

#[test]
fn at_the_start_a_port_without_a_usable_certificate_turns_clients_away_and_others_are_served() {
    let (origin, other) = (Origin::start("one"), free_port());
    let second = format!("[[cluster.port]]\nnumber = {other}\nmethod = \"http\"\n{}", origin.server());
    let site = Site::new(&format!("{}{second}", port("certificates = [\"shop.pem\"]", &origin)));
    let daemon = site.start();
    let said = daemon.errors();
    assert!(said.contains("shop.pem` cannot be read"), "{said}");
    assert!(Session::open(site.address(), NAME).is_err());
    assert_eq!(get((std::net::Ipv4Addr::LOCALHOST, other).into(), "/").status, 200);
    let key = format!("{{cluster=\"shop\",port=\"{}\",reason=\"no-certificate\"}}", site.port);
    assert_eq!(metric(&site, &format!("tsuji_port_refusals_total{key}")), 1.0);
    assert!(daemon.must("executor certificates").contains("none of its certificates can be used"));
    install(&site, &Issuer::new().certificate(&[NAME]));
    daemon.must("executor certreload");
    assert_eq!(Session::open(site.address(), NAME).unwrap().get(NAME).unwrap(), 200);
}

#[test]
fn a_new_file_is_found_and_connections_go_on() {
    let shop = Shop::start();
    let traffic = Traffic::begin(shop.site.address(), NAME);
    let mut session = Session::open(shop.site.address(), NAME).unwrap();
    assert_eq!(session.get(NAME).unwrap(), 200);
    let next = shop.issuer.certificate(&[NAME]);
    install(&shop.site, &next);
    shop.daemon.wait_until("the new certificate is served", |_| served(shop.site.address(), NAME) == next.der);
    assert_eq!(session.get(NAME).unwrap(), 200, "what is there goes on");
    put(&shop.site.path("shop.pem"), "nothing of use");
    shop.daemon.wait_until("the log tells of it", |daemon| daemon.errors().contains("those in force stay"));
    assert_eq!(served(shop.site.address(), NAME), next.der);
    assert!(shop.daemon.must("status").contains("has no certificate; a PEM file"));
    assert_eq!(session.get(NAME).unwrap(), 200);
    traffic.end();
}

/// Somebody writes key and certificate over and over while they are read: what is served is always one that was there
/// whole, with its own key.
#[test]
fn files_that_change_while_they_are_read_are_never_mixed() {
    let shop = Shop::start();
    let traffic = Traffic::begin(shop.site.address(), NAME);
    let generations: Vec<Made> = (0..4).map(|_| shop.issuer.certificate(&[NAME])).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, generations) = (Arc::clone(&stop), generations.clone());
        let (key, chain) = (shop.site.path("shop.key"), shop.site.path("shop.pem"));
        thread::spawn(move || {
            for turn in 0.. {
                let made = &generations[turn % generations.len()];
                // In place, as an editor or a copy does it, and as a whole.
                let write = if turn % 2 == 0 { |path: &Path, text: &str| fs::write(path, text).unwrap() } else { put };
                write(&key, &made.key);
                write(&chain, &made.chain);
                thread::sleep(Duration::from_millis((turn % 7) as u64));
                if stop.load(Ordering::SeqCst) {
                    return made.clone();
                }
            }
            panic!("turns are not counted so far")
        })
    };
    let mut known: Vec<&[u8]> = generations.iter().map(|made| made.der.as_slice()).collect();
    known.push(&shop.made.der);
    for _ in 0..8 {
        let answer = shop.daemon.dscontrol("executor certreload");
        let excuses = ["changes while it is read", "is not that of the first", "has no", "not readable as PEM"];
        let is_excused = excuses.iter().any(|excuse| answer.err.contains(excuse));
        assert!(answer.code == 0 || is_excused, "{answer:?}");
        assert!(known.contains(&served(shop.site.address(), NAME).as_slice()));
    }
    stop.store(true, Ordering::SeqCst);
    let last = writer.join().unwrap();
    shop.daemon.must("executor certreload");
    assert_eq!(served(shop.site.address(), NAME), last.der);
    traffic.end();
}

#[test]
fn http_at_a_port_of_tls_is_told_so_and_tls_at_a_port_of_http_ends() {
    let (origin, plain) = (Origin::start("one"), free_port());
    let second = format!("[[cluster.port]]\nnumber = {plain}\nmethod = \"http\"\n{}", origin.server());
    let site = Site::new(&format!("{}{second}", port("certificates = [\"shop.pem\"]", &origin)));
    install(&site, &Issuer::new().certificate(&[NAME]));
    let _daemon = site.start();
    let refusals = |port: u16, reason: &str| {
        metric(&site, &format!("tsuji_port_refusals_total{{cluster=\"shop\",port=\"{port}\",reason=\"{reason}\"}}"))
    };
    let answer = ask(site.address(), "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((answer.status, answer.field("tsuji-error")), (400, Some("plain-on-tls-port")), "{answer:?}");
    assert!(answer.body.contains("https"), "{answer:?}");
    assert_eq!(refusals(site.port, "plain-on-tls-port"), 1.0);
    let plain_address = (std::net::Ipv4Addr::LOCALHOST, plain).into();
    assert!(Session::open(plain_address, NAME).is_err());
    assert_eq!(refusals(plain, "tls-on-plain-port"), 1.0);
    let mut garbage = TcpStream::connect(site.address()).unwrap();
    garbage.write_all(b"\x16\x03\x01\xff\xffnot a hello").unwrap();
    assert_eq!(get(plain_address, "/").status, 200);
    assert_eq!(Session::open(site.address(), NAME).unwrap().get(NAME).unwrap(), 200);
}
