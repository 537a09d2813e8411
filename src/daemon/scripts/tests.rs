//! Real scripts: good ones, and all the others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::dispatcher::{Alert, AlertedServer};
use crate::model::{Name, PortNumber};

/// A directory with scripts, and a runner for them.
struct Desk {
    directory: TempDir,
    scripts: Scripts,
}

/// As whom this test is run: what is tried here is tried as root and as others.
fn own_name() -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::effective())
        .ok()
        .flatten()
        .map_or("root".to_owned(), |user| user.name)
}

impl Desk {
    fn new(timeout: Duration) -> Self {
        Self::with_user(timeout, &own_name())
    }

    fn with_user(timeout: Duration, user: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Others may look, so that scripts can run as somebody else.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let scripts = Scripts::start(Path::new("/run/tsuji/control.sock")).unwrap();
        let user = Some(user.to_owned());
        scripts.configure(&AlertSettings { directory: Some(directory.path().to_owned()), timeout, user });
        Self { directory, scripts }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A script that finds the directory in `$here`.
    fn script(&self, name: &str, body: &str) {
        let here = self.directory.path().display();
        let beside = self.path("beside");
        fs::write(&beside, format!("#!/bin/sh\nhere={here}\n{body}\n")).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
        // In one step, for no script is run half written.
        fs::rename(&beside, self.path(name)).unwrap();
    }

    fn run(&self, event: AlertEvent) {
        self.scripts.run(alert(event, "w1"));
    }

    fn count(&self, event: AlertEvent, ending: Ending) -> u64 {
        let is_meant = |(script, result, _): &(&str, &str, u64)| {
            *script == event.script() && *result == format!("{ending:?}").to_lowercase()
        };
        self.scripts.counts().into_iter().find(is_meant).unwrap().2
    }

    #[track_caller]
    fn wait_for(&self, event: AlertEvent, ending: Ending, count: u64) {
        wait_until(|| self.count(event, ending) == count, &format!("{:?}", self.scripts.counts()));
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

#[track_caller]
fn wait_until(mut holds: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn alert(event: AlertEvent, server: &str) -> Alert {
    Alert {
        event,
        cluster: Name::new("shop").unwrap(),
        cluster_address: "192.0.2.10".parse().unwrap(),
        port: PortNumber::new(80).unwrap(),
        server: Some(AlertedServer { name: Name::new(server).unwrap(), address: Some("192.0.2.21".parse().unwrap()) }),
        reason: "unreachable (no\nroute)".to_owned(),
    }
}

/// Whether the process whose number a script left behind is still there, other than as a number.
fn lives(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z")
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
use AlertEvent::{ManagerAlert, ManagerClear, ServerDown, ServerUp};

#[test]
fn scripts_get_arguments_and_an_environment_and_nothing_else() {
    let desk = Desk::new(LONG);
    for script in ["serverDown", "managerAlert"] {
        desk.script(
            script,
            "echo \"$0 $# $*\" >>$here/arguments; env | sort >$here/environment; pwd >>$here/environment",
        );
    }
    desk.run(ServerDown);
    desk.run(ManagerAlert);
    desk.wait_for(ManagerAlert, Ending::Done, 1);
    let here = desk.directory.path().display();
    assert_eq!(desk.text("arguments"), format!("{here}/serverDown 3 shop 80 w1\n{here}/managerAlert 2 shop 80\n"));
    let environment = desk.text("environment");
    let variables: Vec<&str> = environment
        .lines()
        // The shell's own.
        .filter(|line| !["PWD=", "_=", "SHLVL=", "OLDPWD="].iter().any(|own| line.starts_with(own)))
        .collect();
    let time = variables.iter().find(|line| line.starts_with("TSUJI_TIME=")).unwrap();
    assert!(time.len() == "TSUJI_TIME=2024-01-01T00:00:00Z".len() && time.ends_with('Z'), "{time}");
    let others: Vec<&str> = variables.iter().filter(|line| *line != time).copied().collect();
    let wanted = [
        "LANG=C",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "TSUJI_CLUSTER=shop",
        "TSUJI_CLUSTER_ADDRESS=192.0.2.10",
        "TSUJI_EVENT=managerAlert",
        "TSUJI_PORT=80",
        "TSUJI_REASON=unreachable (no\\nroute)",
        "TSUJI_SERVER=w1",
        "TSUJI_SERVER_ADDRESS=192.0.2.21",
        "TSUJI_SOCKET=/run/tsuji/control.sock",
        "/",
    ];
    assert_eq!(others, wanted);
}

#[test]
fn scripts_run_in_the_order_of_events() {
    let desk = Desk::new(LONG);
    for script in ["serverDown", "managerAlert", "managerClear", "serverUp"] {
        let pause = if script == "serverDown" { "sleep 0.2;" } else { "" };
        desk.script(script, &format!("{pause} echo {script} >>$here/log"));
    }
    for event in [ServerDown, ManagerAlert, ManagerClear, ServerUp] {
        desk.run(event);
    }
    desk.wait_for(ServerUp, Ending::Done, 1);
    assert_eq!(desk.text("log"), "serverDown\nmanagerAlert\nmanagerClear\nserverUp\n");
}

#[test]
fn a_script_that_hangs_is_ended_with_its_children() {
    let desk = Desk::new(SHORT);
    desk.script(
        "serverDown",
        "trap '' TERM; (trap '' TERM; echo $(exec sh -c 'echo $PPID') >$here/child; exec sleep 99) & sleep 99",
    );
    desk.run(ServerDown);
    desk.script("serverUp", "echo next >>$here/log");
    desk.run(ServerUp);
    desk.wait_for(ServerDown, Ending::Timeout, 1);
    let child = desk.text("child");
    assert!(!child.trim().is_empty() && !lives(&child), "its child is gone: {child}");
    desk.wait_for(ServerUp, Ending::Done, 1);
}

#[test]
fn a_polite_script_may_say_why() {
    let desk = Desk::new(SHORT);
    desk.script("serverDown", "trap 'echo told >$here/log; exit 0' TERM; while :; do sleep 0.05; done");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Timeout, 1);
    assert_eq!(desk.text("log"), "told\n");
}

#[test]
fn children_that_outlive_their_script_are_ended() {
    let desk = Desk::new(LONG);
    desk.script("serverDown", "sleep 99 & echo $! >$here/child; exit 0");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Done, 1);
    let child = desk.text("child");
    wait_until(|| !lives(&child), "its child ends");
}

#[test]
fn a_flood_of_processes_ends_at_the_timeout() {
    let desk = Desk::new(SHORT);
    // Each makes two more, up to a bound that spares the machine that this is tried on.
    desk.script(
        "serverDown",
        "flood() { echo x >>$here/flood; [ $1 -gt 0 ] && { flood $(($1-1)) & flood $(($1-1)) & }; sleep 99; }; flood 5",
    );
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Timeout, 1);
    assert!(desk.text("flood").lines().count() > 2, "there were many");
    let here = desk.directory.path().display().to_string();
    let of_ours = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
        lines.filter(|line| line.contains(&here)).count()
    };
    wait_until(|| of_ours() == 0, "all of them are gone");
}

#[test]
fn what_a_script_prints_is_kept_in_part() {
    let desk = Desk::new(LONG);
    desk.script("serverDown", "exec head -c 100000000 /dev/zero");
    let order = Order {
        program: &desk.path("serverDown"),
        arguments: &[],
        environment: &[("PATH", "/usr/bin:/bin".into())],
        account: None,
        timeout: LONG,
    };
    let (end, output) = child::run(&order, || false).unwrap();
    assert!(matches!(end, End::Itself(status) if status.success()), "{end:?}");
    assert_eq!((output.kept.len(), output.more), (16 * 1024, 100_000_000 - 16 * 1024));
    let said = said(&output);
    assert!(said.starts_with("; it said: \\u{0}") && said.ends_with("bytes more)"), "{}", said.len());
}

#[test]
fn one_that_prints_without_end_is_ended_too() {
    let desk = Desk::new(SHORT);
    desk.script("serverDown", "exec cat /dev/zero");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Timeout, 1);
}

#[test]
fn output_is_closed_and_the_script_goes_on() {
    let desk = Desk::new(LONG);
    desk.script("serverDown", "exec >&- 2>&-; sleep 0.2; echo late >$here/log");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Done, 1);
    assert_eq!(desk.text("log"), "late\n");
}

#[test]
fn what_goes_wrong_is_counted() {
    let desk = Desk::new(LONG);
    desk.script("serverDown", "exit 3");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Failed, 1);
    desk.script("serverDown", "");
    fs::write(desk.path("managerAlert"), "#!/no/such/shell\n").unwrap();
    fs::set_permissions(desk.path("managerAlert"), fs::Permissions::from_mode(0o755)).unwrap();
    desk.run(ManagerAlert);
    desk.wait_for(ManagerAlert, Ending::Failed, 1);
    for mode in [0o775, 0o757, 0o644] {
        fs::set_permissions(desk.path("serverDown"), fs::Permissions::from_mode(mode)).unwrap();
        desk.run(ServerDown);
    }
    desk.wait_for(ServerDown, Ending::Refused, 3);
    assert_eq!(desk.count(ServerDown, Ending::Done), 0);
}

#[test]
fn a_script_that_is_not_there_is_nothing() {
    let desk = Desk::new(LONG);
    desk.script("serverUp", "");
    desk.run(ServerDown);
    desk.run(ServerUp);
    desk.wait_for(ServerUp, Ending::Done, 1);
    assert_eq!(desk.scripts.counts().iter().map(|(_, _, count)| count).sum::<u64>(), 1);
}

#[test]
fn the_oldest_give_way_when_too_many_wait() {
    let desk = Desk::new(LONG);
    desk.script("managerAlert", "until [ -e $here/go ]; do sleep 0.02; done");
    desk.script("serverDown", "echo $3 >>$here/log");
    desk.run(ManagerAlert);
    wait_until(|| desk.scripts.shared.desk().waiting.is_empty(), "the first one begins");
    for number in 0..WAITING + 10 {
        desk.scripts.run(alert(ServerDown, &format!("w{number}")));
    }
    assert_eq!(desk.count(ServerDown, Ending::Dropped), 10);
    fs::write(desk.path("go"), "").unwrap();
    desk.wait_for(ServerDown, Ending::Done, WAITING as u64);
    assert_eq!(desk.text("log").lines().next(), Some("w10"), "the latest are told, in their order");
    assert_eq!(desk.text("log").lines().last(), Some(&*format!("w{}", WAITING + 9)));
}

#[tokio::test]
async fn the_end_of_the_daemon_is_the_end_of_scripts() {
    let desk = Desk::new(LONG);
    desk.script("serverDown", "echo $$ >$here/script; exec sleep 99");
    desk.run(ServerDown);
    desk.run(ServerUp);
    wait_until(|| desk.text("script").ends_with('\n'), "it begins");
    let begun = Instant::now();
    desk.scripts.stop().await;
    assert!(begun.elapsed() < LAST_SCRIPT && !lives(&desk.text("script")));
}

#[test]
fn root_gives_its_rights_up() {
    let desk = Desk::with_user(LONG, "nobody");
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can run scripts as somebody else");
        return;
    }
    let Some(nobody) = nix::unistd::User::from_name("nobody").unwrap() else {
        eprintln!("skipped: there is no user nobody here");
        return;
    };
    fs::write(desk.path("log"), "").unwrap();
    fs::set_permissions(desk.path("log"), fs::Permissions::from_mode(0o666)).unwrap();
    desk.script("serverDown", "{ id -u; id -g; id -G; grep CapEff /proc/self/status; } >$here/log");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Done, 1);
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert_eq!(desk.text("log"), format!("{uid}\n{gid}\n{gid}\nCapEff:\t0000000000000000\n"));
}

#[test]
fn a_user_that_is_not_there_runs_nothing() {
    let desk = Desk::with_user(LONG, "no-such-user");
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root runs scripts as somebody else");
        return;
    }
    desk.script("serverDown", "echo ran >$here/log");
    desk.run(ServerDown);
    desk.wait_for(ServerDown, Ending::Refused, 1);
    assert_eq!(desk.text("log"), "");
}
