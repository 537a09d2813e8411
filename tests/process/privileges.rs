//! A daemon that root starts and that becomes somebody else: what it keeps, and what it can still do.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use crate::support::{Daemon, Origin, Site, free_port, get};

/// Everybody's system has him.
const USER: &str = "nobody";
const PORT: &str = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\n";

/// Numbers in `linux/capability.h`.
const KILL: u64 = 1 << 5;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_RAW: u64 = 1 << 13;

fn is_root() -> bool {
    let is_root = Uid::effective().is_root();
    if !is_root {
        eprintln!("skipped: only root can start a daemon that becomes somebody else");
    }
    is_root
}

fn user(name: &str) -> User {
    User::from_name(name).unwrap().unwrap()
}

/// Ports below 1024 that nobody uses at the moment. The system hands none out, so each test looks from a place of its own on.
fn low_ports() -> impl Iterator<Item = u16> {
    let first = 600 + (std::process::id() % 400) as u16;
    (first..1024).chain(600..first).filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

/// A site whose daemon becomes [`USER`], in a directory that everybody may look into. Its scripts run as nobody else.
fn site(first: u16, rest: &str) -> Site {
    let mut site = Site::new("");
    site.port = first;
    let own = User::from_uid(Uid::effective()).unwrap().unwrap().name;
    let text = site.text(rest).replace(&format!("user = \"{own}\"\n"), "");
    site.write("tsuji.toml", &text.replace("[executor]\n", &format!("[executor]\nuser = \"{USER}\"\n")));
    fs::set_permissions(site.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // What it keeps and where dscontrol comes in are directories that it makes for itself.
    let directory = site.directory.path().display().to_string();
    let text = fs::read_to_string(site.path("tsuji.toml")).unwrap();
    site.write(
        "tsuji.toml",
        &text.replace(&format!("{directory}/control.sock"), &format!("{directory}/run/control.sock")),
    );
    std::os::unix::fs::symlink("run/control.sock", site.path("control.sock")).unwrap();
    site
}

fn change(site: &Site, from: &str, to: &str) {
    let text = fs::read_to_string(site.path("tsuji.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    site.write("tsuji.toml", &text.replace(from, to));
}

/// A daemon that ends by itself; what it said.
fn refused(site: &Site) -> String {
    let mut daemon = Daemon::start(site.directory.path(), &["run", "--config", "tsuji.toml"]);
    assert_eq!(daemon.wait().code(), Some(1), "{}", daemon.errors());
    daemon.wait_until("it says why", |daemon| !daemon.errors().is_empty());
    daemon.errors()
}

/// What the kernel says of one thread.
fn thread_status(task: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(task.join("status")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(key, value)| (key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// Every thread is this user's and has no right to anything, but for those that are named with what they have.
fn check_threads(daemon: &Daemon, account: &User, expected: &[(&str, u64)]) {
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    let four = |id: u32| format!("{id} {id} {id} {id}");
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap().flatten().collect();
    assert!(tasks.len() > 4, "control, log, workers, files, scripts");
    for task in tasks {
        let status = thread_status(&task.path());
        // One that has just ended.
        let Some(name) = status.get("Name") else { continue };
        let may = expected.iter().find(|(thread, _)| thread == name).map_or(0, |(_, may)| *may);
        let hex = |value: u64| format!("{value:016x}");
        for (key, value) in [
            ("Uid", four(uid)),
            ("Gid", four(gid)),
            ("NoNewPrivs", "1".to_owned()),
            ("CapEff", hex(may)),
            ("CapPrm", hex(may)),
            ("CapInh", hex(0)),
            ("CapAmb", hex(0)),
            ("CapBnd", hex(0)),
        ] {
            assert_eq!(status[key], value, "{key} of thread {name}");
        }
        assert!(!status["Groups"].split(' ').any(|group| group == "0"), "root's groups are gone: {}", status["Groups"]);
    }
}

fn assert_no_core_dumps(daemon: &Daemon) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
    // The kernel gives what is in there to root where a process may not be looked into.
    assert_eq!(fs::metadata(format!("/proc/{}/environ", daemon.id())).unwrap().uid(), 0);
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn root_becomes_the_user_and_keeps_low_ports_alone() {
    if !is_root() {
        return;
    }
    let (origin, account) = (Origin::start("one"), user(USER));
    let mut low = low_ports();
    let (first, second) = (low.next().unwrap(), low.next().unwrap());
    let ports = format!("{PORT}{}", origin.server());
    let site = site(first, &ports);
    let daemon = site.start();
    let all = [("tsuji", NET_BIND_SERVICE)];
    check_threads(&daemon, &account, &all);
    assert_no_core_dumps(&daemon);
    assert_eq!(get(at(first), "/").server(), "one");
    let socket = fs::metadata(site.path("run/control.sock")).unwrap();
    assert_eq!((socket.uid(), socket.gid()), (account.uid.as_raw(), account.gid.as_raw()));

    // A reload brings another port below 1024.
    let text = fs::read_to_string(site.path("tsuji.toml")).unwrap();
    site.write("tsuji.toml", &(text + &ports.replace("{port}", &second.to_string())));
    daemon.must("file newload tsuji.toml");
    assert_eq!(get(at(second), "/").server(), "one");
    check_threads(&daemon, &account, &all);

    // What it keeps is the user's, and a second life goes on from it.
    daemon.must(&format!("server down shop:{second}:one"));
    let key = fs::read(site.path("state/cookie.key")).unwrap();
    for entry in fs::read_dir(site.path("state")).unwrap().flatten() {
        assert_eq!(entry.metadata().unwrap().uid(), account.uid.as_raw(), "{}", entry.path().display());
    }
    daemon.signal("TERM");
    let mut daemon = daemon;
    assert!(daemon.wait().success());
    assert!(!site.path("run/control.sock").exists(), "its socket is its own to remove");
    let daemon = site.start();
    check_threads(&daemon, &account, &all);
    assert_eq!((get(at(first), "/").status, get(at(second), "/").status), (200, 503));
    assert_eq!(fs::read(site.path("state/cookie.key")).unwrap(), key);
    assert!(!daemon.errors().contains("may not") && !daemon.errors().contains("may write"), "{}", daemon.errors());
}

#[test]
fn a_ping_takes_raw_sockets_and_nothing_more() {
    if !is_root() {
        return;
    }
    let origin = Origin::start("one");
    let ping = "[[advisor]]\nname = \"ping\"\nport = {port}\ninterval = 0.2\n";
    let site = site(free_port(), &format!("{PORT}{}{ping}", origin.server()));
    let daemon = site.start();
    check_threads(&daemon, &user(USER), &[("tsuji", NET_BIND_SERVICE | NET_RAW)]);
    let server = format!("server report shop:{}:one", site.port);
    daemon.wait_until("it is pinged", |daemon| daemon.must(&server).contains(" up"));
}

/// Keys and pages may be for root alone: they are read before. What operators changed later lies where the user may write, and
/// so root reads nothing for it.
#[test]
fn root_reads_what_its_own_files_name_and_nothing_else() {
    if !is_root() {
        return;
    }
    let site = site(free_port(), PORT);
    site.write("secret.html", "for root alone");
    let port = format!("shop:{}", site.port);
    let page = site.path("secret.html");
    let daemon = site.start();
    daemon.must(&format!("port set {port} sorrypage {}", page.display()));
    assert_eq!(get(site.address(), "/").body, "for root alone");
    drop(daemon);

    fs::set_permissions(&page, fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = site.start();
    let answer = get(site.address(), "/");
    assert!(answer.status == 503 && !answer.body.contains("for root alone"), "{answer:?}");
    assert!(daemon.errors().contains("secret.html` cannot be read"), "{}", daemon.errors());
    drop(daemon);

    fs::remove_dir_all(site.path("state")).unwrap();
    change(&site, "method = \"http\"\n", &format!("method = \"http\"\nsorrypage = \"{}\"\n", page.display()));
    let daemon = site.start();
    assert_eq!(get(site.address(), "/").body, "for root alone");
    // The daemon of now may not read it again; what it has stays.
    let again = daemon.dscontrol("file newload tsuji.toml");
    assert!(again.code == 1 && again.err.contains("nothing was changed"), "{again:?}");
    assert_eq!(get(site.address(), "/").body, "for root alone");
}

#[test]
fn scripts_run_as_the_user_and_as_another_only_where_that_is_asked_for() {
    if !is_root() {
        return;
    }
    let origin = Origin::start("one");
    let (own, other) = (user(USER), user("daemon"));
    let advisor = "[[advisor]]\nname = \"http\"\nport = {port}\ninterval = 0.2\n";
    let site = site(free_port(), &format!("{PORT}{}{advisor}", origin.server()));
    let log = site.path("log");
    let scripts = site.path("scripts");
    fs::create_dir(&scripts).unwrap();
    let body = format!("#!/bin/sh\n{{ id -u; id -G; grep CapEff /proc/self/status; }} >>{}\n", log.display());
    fs::write(scripts.join("managerAlert"), body).unwrap();
    for path in [&scripts, &scripts.join("managerAlert")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let told = |account: &User| format!("{}\n{}\nCapEff:\t0000000000000000\n", account.uid, account.gid);
    let runs_as = |daemon: &Daemon, account: &User| {
        fs::write(&log, "").unwrap();
        fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
        daemon.must("server down shop::one");
        daemon.wait_until("the script has run", |_| fs::read_to_string(&log).unwrap().lines().count() == 3);
        assert_eq!(fs::read_to_string(&log).unwrap(), told(account));
        daemon.must("server up shop::one");
    };
    let daemon = site.start();
    check_threads(&daemon, &own, &[("tsuji", NET_BIND_SERVICE)]);
    runs_as(&daemon, &own);
    drop(daemon);

    change(&site, "[alerts]\n", "[alerts]\nuser = \"daemon\"\n");
    let daemon = site.start();
    check_threads(&daemon, &own, &[("tsuji", NET_BIND_SERVICE), ("tsuji-scripts", SETUID | SETGID | KILL)]);
    runs_as(&daemon, &other);
    assert!(daemon.errors().contains("the right to become anybody is kept"), "{}", daemon.errors());
    daemon.must("alerts set user root");
    assert!(daemon.must("alerts status").contains("refused: a daemon that is no longer root runs nothing as root"));
}

#[test]
fn what_cannot_work_is_told_at_the_start() {
    if !is_root() {
        return;
    }
    let site = site(free_port(), PORT);
    let user = format!("user = \"{USER}\"");
    change(&site, &user, "user = \"no-such-user\"");
    let said = refused(&site);
    assert!(said.contains("there is no user `no-such-user`; `useradd --system no-such-user` makes one"), "{said}");
    change(&site, "user = \"no-such-user\"", &format!("{user}\ngroup = \"no-such-group\""));
    assert!(refused(&site).contains("there is no group `no-such-group`"));
    change(&site, &format!("{user}\ngroup"), "group");
    let said = refused(&site);
    assert!(said.contains("tsuji.toml:2:1") && said.contains("`user` beside it would be right"), "{said}");
    change(&site, "group = \"no-such-group\"", &user);
    fs::create_dir(site.path("state")).unwrap();
    let said = refused(&site);
    assert!(said.contains(&format!("`chown -R {USER} {}` would be right", site.path("state").display())), "{said}");
    fs::remove_dir(site.path("state")).unwrap();
    fs::create_dir(site.path("run")).unwrap();
    let said = refused(&site);
    let run = site.path("run");
    assert!(said.contains(&format!("may not make its control socket in {}", run.display())), "{said}");
    fs::remove_dir(run).unwrap();

    // Whoever may write the configuration decides as whom root starts it.
    fs::set_permissions(site.path("tsuji.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    let daemon = site.start();
    assert!(daemon.errors().contains("root alone should"), "{}", daemon.errors());
    drop(daemon);
    fs::set_permissions(site.path("tsuji.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = site.start();
    assert!(daemon.errors().contains("it cannot be loaded again before a restart"), "{}", daemon.errors());
}

/// The last good configuration is where the user may write, so it cannot have root run the daemon as somebody else.
#[test]
fn a_broken_file_does_not_give_roots_rights_back() {
    if !is_root() {
        return;
    }
    let site = site(free_port(), PORT);
    let whole = fs::read_to_string(site.path("tsuji.toml")).unwrap();
    drop(site.start());
    site.write("tsuji.toml", &format!("[control]\nstatedir = \"{}\"\nbroken", site.path("state").display()));
    let daemon = site.start();
    check_threads(&daemon, &user(USER), &[("tsuji", NET_BIND_SERVICE)]);
    drop(daemon);
    let good = site.path("state/last-good.toml");
    let text = fs::read_to_string(&good).unwrap();
    fs::write(&good, text.replace(&format!("user = \"{USER}\""), "user = \"\"")).unwrap();
    let said = refused(&site);
    assert!(said.contains("root runs it as nobody else"), "{said}");
    // Nor does a link lead root anywhere.
    fs::remove_dir_all(site.path("state")).unwrap();
    fs::create_dir(site.path("elsewhere")).unwrap();
    fs::create_dir(site.path("state")).unwrap();
    chown(site.path("state"), Some(user(USER).uid.as_raw()), None).unwrap();
    std::os::unix::fs::symlink(site.path("elsewhere/made"), site.path("state/cookie.new")).unwrap();
    site.write("tsuji.toml", &whole);
    let _daemon = site.start();
    assert!(!site.path("elsewhere/made").exists(), "only root could have made it");
}

#[test]
fn who_is_not_root_is_the_user_already_or_is_refused() {
    if !is_root() {
        return;
    }
    let origin = Origin::start("one");
    let site = site(free_port(), &format!("{PORT}{}", origin.server()));
    for directory in ["run", "state"] {
        fs::create_dir(site.path(directory)).unwrap();
        chown(site.path(directory), Some(user(USER).uid.as_raw()), None).unwrap();
    }
    // The checkout may be somewhere that nobody can look into.
    fs::copy(env!("CARGO_BIN_EXE_tsuji"), site.path("tsuji")).unwrap();
    let start = |account: &User| {
        let mut command = Command::new(site.path("tsuji"));
        command.args(["run", "--config", "tsuji.toml"]).current_dir(site.directory.path()).stdin(Stdio::null());
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        command
    };
    let stranger = start(&user("daemon")).output().unwrap();
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert_eq!(stranger.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("only root can become `{USER}`, and this is `daemon`")), "{said}");

    let daemon = Daemon::of(start(&user(USER)), site.directory.path());
    daemon.wait_until("it answers", |daemon| daemon.dscontrol("status").code == 0);
    assert_eq!(get(site.address(), "/").server(), "one");
    let status = thread_status(Path::new(&format!("/proc/{}", daemon.id())));
    assert_eq!((status["NoNewPrivs"].as_str(), status["CapPrm"].as_str()), ("1", "0000000000000000"));
    assert_no_core_dumps(&daemon);
}

/// Whoever runs it, and whether or not it changes its user.
#[test]
fn nobody_gets_a_core_dump() {
    let origin = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}", origin.server()));
    assert_no_core_dumps(&site.start());
}

/// A daemon that the service manager starts as somebody else than root is asked where root's would be.
#[test]
fn the_socket_is_in_the_directory_that_a_service_manager_made() {
    let site = Site::new(PORT);
    let named = format!("socket = \"{}\"\n", site.path("control.sock").display());
    change(&site, &named, "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tsuji"));
    command.args(["run", "--config", "tsuji.toml"]).current_dir(site.directory.path());
    let directories = format!("{}:/nowhere", site.directory.path().display());
    command.env("RUNTIME_DIRECTORY", directories);
    let daemon = Daemon::of(command, site.directory.path());
    daemon.wait_until("it answers", |daemon| daemon.dscontrol("status").code == 0);
}
