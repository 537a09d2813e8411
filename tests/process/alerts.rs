//! Scripts that run when servers die and come back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Daemon, Origin, Site, free_port, get};

const PORT: &str = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\nconnecttimeout = 1\n";

fn advisor(port: &str) -> String {
    format!("[[advisor]]\nname = \"http\"\nport = {port}\ninterval = 0.2\nconnecttimeout = 1\nreceivetimeout = 1\n")
}

/// Puts a script into the site's directory of scripts.
fn install(site: &Site, name: &str, text: &str) {
    let directory = site.path("scripts");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.join(name), text).unwrap();
    fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn log(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn weight(daemon: &Daemon, server: &str) -> String {
    let report = daemon.must(&format!("server report {server}"));
    let row = report.lines().find_map(|line| line.strip_prefix("Weight ")).unwrap();
    row.trim_start_matches('.').trim().to_owned()
}

#[test]
fn four_scripts_tell_in_order_how_two_servers_die_and_come_back() {
    let (mut one, mut two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new(&format!("{PORT}{}{}{}", one.server(), two.server(), advisor("{port}")));
    let line = format!("#!/bin/sh\necho \"$TSUJI_EVENT $* $TSUJI_REASON\" >>{}\n", site.path("log").display());
    for script in ["serverDown", "serverUp", "managerAlert", "managerClear"] {
        install(&site, script, &line);
    }
    let daemon = site.start();
    daemon.wait_until("both are known to be well", |daemon| {
        ["one", "two"]
            .iter()
            .all(|name| daemon.must(&format!("server report shop:{}:{name}", site.port)).contains(" up"))
    });
    let until = |count: usize| daemon.wait_until("the script has run", |_| log(&site).len() == count);
    one.kill();
    until(1);
    two.kill();
    until(2);
    daemon.signal("HUP");
    two.restart();
    until(3);
    one.restart();
    until(4);
    daemon.must(&format!("server down shop:{}:one", site.port));
    until(5);
    let port = site.port;
    let wanted = [
        format!("serverDown shop {port} one connect-refused"),
        format!("managerAlert shop {port} connect-refused"),
        format!("managerClear shop {port} connect-refused"),
        format!("serverUp shop {port} one connect-refused"),
        format!("serverDown shop {port} one operator"),
    ];
    assert_eq!(log(&site), wanted);
    // A script is counted when it has ended, a moment after its line is there.
    let counted = |wanted: &str| get(site.metrics_address(), "/metrics").body.contains(wanted);
    daemon.wait_until("they are counted", |_| {
        counted("tsuji_script_runs_total{event=\"serverDown\",result=\"done\"} 2\n")
    });
    assert!(counted("tsuji_script_runs_total{event=\"serverUp\",result=\"refused\"} 0\n"));
}

#[test]
fn a_script_that_others_may_write_to_is_refused_and_the_fault_is_told() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{PORT}{}{}", one.server(), advisor("{port}")));
    install(&site, "managerAlert", "#!/bin/sh\nexit 0\n");
    fs::set_permissions(site.path("scripts/managerAlert"), fs::Permissions::from_mode(0o777)).unwrap();
    let daemon = site.start();
    daemon.must("server down shop::one");
    daemon.wait_until("it is told", |daemon| daemon.errors().contains("others than its owner may write to"));
    let status = daemon.must("alerts status");
    assert!(status.contains("managerAlert ..... refused: others than its owner may write to"), "{status}");
    assert!(status.contains("serverUp ......... is not there"), "{status}");
    fs::set_permissions(site.path("scripts/managerAlert"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(daemon.must("alerts status").contains("managerAlert ..... runs"));
}

/// The sample as it is shipped, with its three values filled in.
fn recipe(name: &str, monitored: u16, served: u16) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/scripts/{name}.sample"));
    let sample = fs::read_to_string(path).unwrap();
    let filled = sample
        .replace("\nmonitored=\n", &format!("\nmonitored={monitored}\n"))
        .replace("\nserved=80\n", &format!("\nserved={served}\n"))
        .replace("\nservers=web1+web2\n", "\nservers=web\n")
        .replace("    dscontrol ", &format!("    {} ", env!("CARGO_BIN_EXE_dscontrol")))
        // This machine's log is none of our business, and may not be there.
        .replace("\nlogger -p", "\n: -p");
    assert_eq!(filled.matches(&monitored.to_string()).count(), 1, "the sample is filled in");
    filled
}

/// The web server is well, but without the application behind it it has nothing to say: clients get the sorry page.
#[test]
fn web_servers_follow_the_application_that_is_watched() {
    let (web, mut application) = (Origin::start("web"), Origin::start("app"));
    let watched = free_port();
    let port = |number: &str, server: &Origin| format!("{}{}", PORT.replace("{port}", number), server.server());
    let ports = format!("{}{}", port("{port}", &web), port(&watched.to_string(), &application));
    let site = Site::new(&format!("{ports}{}", advisor(&watched.to_string())));
    for script in ["managerAlert", "managerClear"] {
        install(&site, script, &recipe(script, watched, site.port));
    }
    let daemon = site.start();
    assert_eq!(get(site.address(), "/").server(), "web");
    let server = format!("shop:{}:web", site.port);
    application.kill();
    daemon.wait_until("the web server is taken out", |daemon| weight(daemon, &server) == "-1");
    assert_eq!(get(site.address(), "/").status, 503);
    application.restart();
    daemon.wait_until("the web server is put back", |daemon| weight(daemon, &server) != "-1");
    assert_eq!(get(site.address(), "/").server(), "web");
}

/// A script's user may steer servers and look; what it may not is told.
#[test]
fn an_operator_steers_servers_and_changes_nothing_else() {
    use std::os::unix::process::CommandExt;
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can give a command as another user");
        return;
    }
    let web = Origin::start("web");
    let site = Site::new(&format!("{PORT}{}", web.server()));
    let text = fs::read_to_string(site.path("tsuji.toml")).unwrap();
    site.write("tsuji.toml", &text.replace("[control]\n", "[control]\nmode = \"0666\"\noperators = [\"nobody\"]\n"));
    fs::set_permissions(site.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The checkout may be somewhere that nobody can look into.
    fs::copy(env!("CARGO_BIN_EXE_dscontrol"), site.path("dscontrol")).unwrap();
    let _daemon = site.start();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let say = |line: String| {
        let output = std::process::Command::new(site.path("dscontrol"))
            .arg("--socket")
            .arg(site.path("control.sock"))
            .args(line.split(' '))
            .uid(nobody.uid.as_raw())
            .gid(nobody.gid.as_raw())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
        )
    };
    let server = format!("shop:{}:web", site.port);
    for line in [format!("server down {server}"), format!("server up {server}"), "status".to_owned()] {
        let (code, said) = say(line.clone());
        assert_eq!(code, Some(0), "{line}: {said}");
    }
    for line in [
        format!("server remove {server}"),
        "executor stop".to_owned(),
        format!("port set shop:{} retries 1", site.port),
    ] {
        let (code, said) = say(line.clone());
        assert!(code == Some(1) && said.contains("needs the level `admin` and you have `operate`"), "{line}: {said}");
    }
}
