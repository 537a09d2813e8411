//! The prompt: on a terminal, as an operator's fingers find it, and on pipes, where nobody types.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{Daemon, Origin, Site, Terminal};

const PROMPT: &str = "dscontrol>> ";
const UP: &str = "\u{1b}[A";
const LEFT: &str = "\u{1b}[D";

fn shop() -> (Site, Origin, Origin) {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site =
        Site::new(&format!("[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\n{}{}", one.server(), two.server()));
    (site, one, two)
}

/// A prompt that waits for keys.
fn prompt(daemon: &Daemon, columns: u16) -> Terminal {
    let mut command = daemon.command();
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::start(command, columns);
    terminal.wait_for(PROMPT);
    terminal
}

/// Ends the session with an empty line's Ctrl-D.
#[track_caller]
fn leave(mut terminal: Terminal) {
    terminal.keys("\u{4}");
    assert_eq!(terminal.code(), 0);
    assert!(terminal.is_canonical());
}

/// Ctrl-C, and the prompt for another line.
fn give_up(terminal: &mut Terminal) {
    terminal.keys("\u{3}");
    terminal.wait_for("\n");
    terminal.wait_for(PROMPT);
}

fn history(site: &Site) -> std::path::PathBuf {
    site.path(".local/state/tsuji/dscontrol_history")
}

#[test]
fn tab_writes_words_and_live_names() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut terminal = prompt(&daemon, 100);
    terminal.keys("man qui");
    terminal.tab("man quiesce ");
    terminal.keys("o");
    terminal.tab("man quiesce one ");
    terminal.keys("n");
    terminal.tab("man quiesce one now");
    terminal.keys("\r");
    terminal.wait_for(&format!("shop:{}:one", site.port));
    terminal.wait_for(PROMPT);
    terminal.keys("server up sh");
    terminal.tab("server up shop:");
    terminal.tab(&format!("server up shop:{}", site.port));
    terminal.tab("one  two");
    terminal.keys("t");
    terminal.tab("two ");
    terminal.keys("\r");
    terminal.wait_for(&format!("shop:{}:two", site.port));
    let status = daemon.must(&format!("--json server status shop:{}:one", site.port));
    assert!(status.contains("quiesced"), "{status}");
    // A server that was added a moment ago is there.
    daemon.must(&format!("server add shop:{}:three address 127.0.0.1 mapport 9", site.port));
    terminal.wait_for(PROMPT);
    terminal.keys("man qui th");
    terminal.tab("man qui three ");
    give_up(&mut terminal);
    leave(terminal);
}

#[test]
fn lines_of_an_earlier_session_come_back() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut first = prompt(&daemon, 100);
    for line in ["version", "version", " logstatus", "cluster status shop"] {
        first.keys(&format!("{line}\r"));
        first.wait_for("\n");
        first.wait_for(PROMPT);
    }
    first.keys("exit\r");
    assert_eq!(first.code(), 0);
    assert_eq!(fs::read_to_string(history(&site)).unwrap(), "version\ncluster status shop\n");
    assert_eq!(fs::metadata(history(&site)).unwrap().permissions().mode() & 0o777, 0o600);

    let mut second = prompt(&daemon, 100);
    second.keys(UP);
    second.wait_for("cluster status shop");
    second.keys(UP);
    second.wait_for("version");
    second.keys("\r");
    second.wait_for(env!("CARGO_PKG_VERSION"));
    second.wait_for(PROMPT);
    second.keys("\u{12}atus sh");
    second.wait_for("cluster status shop");
    second.keys("\r");
    second.wait_for("127.0.0.1");
    second.wait_for(PROMPT);
    leave(second);
}

#[test]
fn a_history_that_cannot_be_kept_is_one_line() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    fs::create_dir_all(history(&site)).unwrap();
    let mut terminal = prompt(&daemon, 200);
    terminal.keys("version\r");
    terminal.wait_for(env!("CARGO_PKG_VERSION"));
    terminal.wait_for(PROMPT);
    leave_and_check(terminal, |drawn| assert_eq!(drawn.matches("not kept").count(), 1, "{drawn}"));
}

fn leave_and_check(mut terminal: Terminal, check: impl FnOnce(&str)) {
    terminal.keys("\u{4}");
    assert_eq!(terminal.code(), 0);
    check(&terminal.drawn());
}

#[test]
fn ctrl_c_gives_up_a_line_and_not_the_session() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut terminal = prompt(&daemon, 100);
    assert!(!terminal.is_canonical());
    terminal.keys("server down shop:");
    terminal.wait_for("hop:");
    give_up(&mut terminal);
    // In the middle of a line Ctrl-D takes the next character.
    terminal.keys(&format!("versixn{LEFT}{LEFT}\u{4}o\r"));
    terminal.wait_for(env!("CARGO_PKG_VERSION"));
    terminal.wait_for(PROMPT);
    leave(terminal);
}

#[test]
fn a_failure_and_a_restart_do_not_end_the_session() {
    let (site, _one, _two) = shop();
    let mut daemon = site.start();
    let mut terminal = prompt(&daemon, 100);
    terminal.keys("nonsense\r");
    terminal.wait_for("not a known object");
    terminal.wait_for(PROMPT);
    daemon.signal("TERM");
    daemon.wait();
    terminal.keys("version\r");
    terminal.wait_for("tsuji is not running");
    terminal.wait_for(PROMPT);
    // Without a dispatcher the words of the language are left.
    terminal.keys("port status \tx\u{15}clu\t\u{15}");
    terminal.wait_for("cluster ");
    let daemon = site.start();
    terminal.keys("version\r");
    terminal.wait_for(env!("CARGO_PKG_VERSION"));
    terminal.wait_for(PROMPT);
    leave(terminal);
    drop(daemon);
}

#[test]
fn several_lines_at_once_run_one_by_one() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut terminal = prompt(&daemon, 100);
    terminal.keys("\u{1b}[200~cluster status shop\nnonsense\n\nlogstatus\u{1b}[201~\r");
    terminal.wait_for("dscontrol>> cluster status shop\r\n");
    terminal.wait_for("127.0.0.1");
    terminal.wait_for("dscontrol>> nonsense\r\n");
    terminal.wait_for("not a known object");
    terminal.wait_for("dscontrol>> logstatus\r\n");
    terminal.wait_for("Log level");
    terminal.wait_for(PROMPT);
    // A terminal that does not say where a paste begins just types fast.
    terminal.keys("version\rlogstatus\r");
    terminal.wait_for(env!("CARGO_PKG_VERSION"));
    terminal.wait_for("Log level");
    terminal.wait_for(PROMPT);
    leave(terminal);
    let kept = fs::read_to_string(history(&site)).unwrap();
    assert_eq!(kept, "cluster status shop\nnonsense\nlogstatus\nversion\nlogstatus\n");
}

#[test]
fn lists_fit_a_narrow_window() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut terminal = prompt(&daemon, 30);
    terminal.keys("manager \t");
    terminal.wait_for("\n");
    let list = terminal.wait_for(PROMPT);
    let lines: Vec<&str> = list.lines().filter(|line| !line.contains('\u{1b}')).collect();
    assert!(lines.iter().any(|line| line.starts_with("quiesce") && line.ends_with('…')), "{list:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 30), "{list:?}");
    terminal.keys("quiesce averylongnamethatisnotthere\r");
    terminal.wait_for("no server");
    terminal.wait_for(PROMPT);
    leave(terminal);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let mut terminal = prompt(&daemon, 100);
        terminal.keys("server down");
        terminal.wait_for("server down");
        assert!(!terminal.is_canonical());
        let id = terminal.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
        assert_eq!(terminal.code(), code);
        assert!(terminal.is_canonical());
        terminal.wait_for("\u{1b}[?2004l\r\n");
    }
}

#[test]
fn a_simple_terminal_gets_the_prompt_and_nothing_else() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let mut command = daemon.command();
    command.env("TERM", "dumb");
    let mut terminal = Terminal::start(command, 100);
    terminal.wait_for(PROMPT);
    assert!(terminal.is_canonical());
    terminal.keys("version\n");
    terminal.wait_for(env!("CARGO_PKG_VERSION"));
    terminal.wait_for(PROMPT);
    terminal.keys("exit\n");
    assert_eq!(terminal.code(), 0);
    assert!(!terminal.drawn().contains('\u{1b}'), "{:?}", terminal.drawn());
    assert!(!history(&site).exists());
}

#[test]
fn pipes_carry_answers_alone() {
    let (site, _one, _two) = shop();
    let daemon = site.start();
    let output = daemon.prompt("version\n\tlogstatus\ndscontrol version\nnonsense\nexit\nstatus\n");
    let version = daemon.must("version");
    let log = daemon.must("logstatus");
    assert_eq!(output.out, format!("{version}{log}{version}"));
    assert_eq!(output.code, 2);
    assert!(output.err.starts_with("`nonsense` is not a known object"), "{output:?}");
    assert!(!output.out.contains('\u{1b}') && !output.err.contains('\u{1b}'));
    assert!(!history(&site).exists());
}
