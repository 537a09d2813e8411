//! Starting, stopping, and starting on a bad day.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::support::{Daemon, Origin, Output, Site, free_port, get};

const PORT: &str = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\n";

fn tsuji(words: &[&str], site: &Site) -> Output {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tsuji")).args(words).current_dir(site.directory.path()).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn check_names_all_faults_with_their_places() {
    let site = Site::new(PORT);
    let good = tsuji(&["check", "tsuji.toml"], &site);
    assert_eq!(
        (good.code, good.out.lines().last()),
        (0, Some("ok: 1 clusters, 1 ports, 0 servers, 0 advisors")),
        "{good:?}"
    );
    site.write("bad.toml", &site.text("[[cluster.port]]\nnumber = 99999\nmethod = \"http\"\nstickytme = 3\n"));
    let bad = tsuji(&["check", "bad.toml"], &site);
    assert_eq!(bad.code, 1);
    assert!(bad.err.contains("unknown key `stickytme`, did you mean `stickytime`?"), "{}", bad.err);
    assert!(bad.err.contains("99999"), "{}", bad.err);
    assert!(bad.err.lines().all(|line| line.starts_with("error: bad.toml:")), "{}", bad.err);
    assert_eq!(tsuji(&["check", "nowhere.toml"], &site).code, 1);
    assert_eq!(tsuji(&["chekc"], &site).code, 2);
}

#[test]
fn a_sorry_page_that_is_not_there_is_found_by_check() {
    let site = Site::new(&format!("{PORT}sorrypage = \"gone.html\"\n"));
    let output = tsuji(&["check", "tsuji.toml"], &site);
    assert_eq!(output.code, 1);
    assert!(output.err.contains("gone.html"), "{}", output.err);
}

#[test]
fn a_sorry_page_that_is_not_there_does_not_keep_clients_from_servers() {
    let origin = Origin::start("one");
    let site = Site::new(&format!("{PORT}sorrypage = \"gone.html\"\n{}", origin.server()));
    let mut daemon = site.start();
    assert_eq!(get(site.address(), "/").server(), "one");
    assert!(daemon.must("status").contains("gone.html"), "{}", daemon.must("status"));
    assert!(daemon.errors().contains("the built-in page stands in"));
    let reload = daemon.dscontrol("file newload tsuji.toml");
    assert_eq!(reload.code, 1, "a running daemon does not take such a file: {reload:?}");
    assert!(daemon.is_running());
}

#[test]
fn a_port_in_use_is_named_and_nothing_starts() {
    let site = Site::new(PORT);
    let _occupied = TcpListener::bind((Ipv4Addr::LOCALHOST, site.port)).unwrap();
    let mut daemon = Daemon::start(site.directory.path(), &["run", "--config", "tsuji.toml"]);
    assert_eq!(daemon.wait().code(), Some(1));
    daemon.wait_until("it says why", |daemon| daemon.errors().contains(&format!("127.0.0.1:{} is in use", site.port)));
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let origin = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", origin.server()));
    let mut first = site.start();
    let mut second = Daemon::start(site.directory.path(), &["run", "--config", "tsuji.toml"]);
    assert_eq!(second.wait().code(), Some(1));
    second.wait_until("it names the first", |daemon| daemon.errors().contains("already listens on"));
    assert!(first.is_running());
    assert_eq!(get(site.address(), "/").status, 200);
}

#[test]
fn a_broken_file_at_boot_starts_what_worked_last() {
    let origin = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", origin.server()));
    drop(site.start());
    site.write("tsuji.toml", "[[cluster]]\nname = \"shop\"\nadress = 1\n");
    let run = |state: Option<&std::path::Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tsuji"));
        command.args(["run", "--config", "tsuji.toml"]).current_dir(site.directory.path());
        command
            .env_remove("STATE_DIRECTORY")
            .env("XDG_STATE_HOME", site.path("nowhere"))
            .env("HOME", site.path("nowhere"));
        state.map(|state| command.env("STATE_DIRECTORY", state));
        command
    };
    let fresh = run(Some(&site.path("empty"))).output().unwrap();
    assert_eq!(fresh.status.code(), Some(1), "nothing ever worked here");
    assert!(String::from_utf8_lossy(&fresh.stderr).contains("did you mean `address`?"));
    // The state is where the file says, broken as it is.
    site.write("tsuji.toml", &site.text("").replace("address = ", "adress = "));
    let mut daemon = run(None).spawn().unwrap();
    let served = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::net::TcpStream::connect(site.address()).is_ok()
    });
    let answer = served.then(|| get(site.address(), "/"));
    let page = get(site.metrics_address(), "/metrics").body;
    let mut dscontrol = Command::new(env!("CARGO_BIN_EXE_dscontrol"));
    let status = dscontrol.arg("--socket").arg(site.path("control.sock")).arg("status").output().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    assert!(page.contains("\ntsuji_configuration_last_reload_successful 0\n"), "{page}");
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("the configuration is broken") && status.contains("did you mean `address`?"), "{status}");
    assert!(!status.contains("\\n"), "each fault has a line: {status}");
}

#[test]
fn check_does_not_panic_when_nobody_can_read_it() {
    let site = Site::new(PORT);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsuji"));
    command.args(["check", "tsuji.toml"]).current_dir(site.directory.path());
    let output = command.stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left"), "{said}");
}

#[test]
fn a_server_without_an_address_is_shown_as_unresolved() {
    let server = "[[cluster.port.server]]\nname = \"gone\"\naddress = \"nosuch.invalid\"\n";
    let site = Site::new(&format!("{PORT}{server}"));
    let daemon = site.start();
    assert!(daemon.must("manager report").contains("| UNRESOLVED |"));
    let status = daemon.must("server status shop::gone");
    assert!(status.lines().any(|line| line.starts_with("Server up") && line.ends_with(" N")), "{status}");
    daemon.wait_until("the alarm comes when the name is known not to be", |daemon| {
        let errors = daemon.errors();
        let (asked, alarm) = (errors.find("cannot resolve"), errors.find("all servers are down"));
        asked.is_some() && alarm > asked
    });
}

#[test]
fn sigterm_lets_what_runs_come_to_its_end() {
    let site = Site::new(&PORT.replace("http", "tcp"));
    let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = format!(
        "[[cluster.port.server]]\nname = \"echo\"\naddress = \"127.0.0.1\"\nmapport = {}\n",
        echo.local_addr().unwrap().port()
    );
    site.write("tsuji.toml", &site.text(&format!("{}{server}", PORT.replace("http", "tcp"))));
    let mut daemon = site.start();
    let mut client = std::net::TcpStream::connect(site.address()).unwrap();
    let (mut peer, _) = echo.accept().unwrap();
    daemon.signal("TERM");
    daemon.wait_until("it takes no more", |_| std::net::TcpStream::connect(site.address()).is_err());
    use std::io::{Read, Write};
    client.write_all(b"still here").unwrap();
    let mut heard = [0; 10];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here");
    assert!(daemon.is_running());
    drop((client, peer));
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn asked_twice_it_does_not_wait() {
    let port = PORT.replace("http", "tcp");
    let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let number = echo.local_addr().unwrap().port();
    let site = Site::new(&format!(
        "{port}[[cluster.port.server]]\nname = \"echo\"\naddress = \"127.0.0.1\"\nmapport = {number}\n"
    ));
    site.write(
        "tsuji.toml",
        &std::fs::read_to_string(site.path("tsuji.toml")).unwrap().replace("draintime = 5", "draintime = 3000"),
    );
    let mut daemon = site.start();
    let _client = std::net::TcpStream::connect(site.address()).unwrap();
    let _peer = echo.accept().unwrap();
    daemon.signal("INT");
    daemon.wait_until("it drains", |daemon| daemon.errors().contains("stopping"));
    daemon.signal("INT");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_metrics_port_in_use_is_named() {
    let site = Site::new(PORT);
    let _occupied = TcpListener::bind((Ipv4Addr::LOCALHOST, site.metrics)).unwrap();
    let mut daemon = Daemon::start(site.directory.path(), &["run", "--config", "tsuji.toml"]);
    assert_eq!(daemon.wait().code(), Some(1));
    daemon.wait_until("it says why", |daemon| daemon.errors().contains("for metrics"));
}

#[test]
fn the_demo_runs_without_root_and_says_what_to_try() {
    let site = Site::new("");
    let (listen, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let child = Command::new(env!("CARGO_BIN_EXE_tsuji"))
        .args(["demo", "--listen", &listen, "--metrics", &metrics])
        .current_dir(site.directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let address = listen.parse().unwrap();
    let up = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::net::TcpStream::connect(address).is_ok() && get(address, "/").status == 200
    });
    let metrics = get(metrics.parse().unwrap(), "/metrics");
    let status = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(up);
    assert!(metrics.body.contains("tsuji_server_up"), "{}", metrics.head);
    assert_eq!(output.status.code(), Some(0));
    for wanted in [listen.as_str(), "manager report", "server down", "/metrics"] {
        assert!(said.contains(wanted), "{wanted} in {said}");
    }
}

/// The examples of `config/examples`, as deploy/README.md has them checked.
#[test]
fn check_says_whether_two_dispatchers_are_a_pair() {
    let site = Site::new(PORT);
    let example = |name: &str| format!("{}/config/examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let [shared, one, two] = ["pair.toml", "pair-lb1.toml", "pair-lb2.toml"].map(example);
    let good = tsuji(&["check", &shared, &one, "--pair", &shared, &two], &site);
    assert_eq!((good.code, good.err.as_str()), (0, ""), "{good:?}");
    let same = tsuji(&["check", &shared, &one, "--pair", &shared, &one], &site);
    assert_eq!(same.code, 1);
    assert!(same.err.contains("error: the roles are primary and primary") && same.err.contains("both are called lb1"));
    let missing = tsuji(&["check", &shared, &one, "--pair", "nowhere.toml"], &site);
    assert!(missing.code == 1 && missing.err.contains("nowhere.toml"), "{missing:?}");
}
