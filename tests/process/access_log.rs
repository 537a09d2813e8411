//! Access logs on the disk: turned over, turned on and off, and on a bad day.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Daemon, Origin, Site, get};

fn site(origin: &Origin, log: &str) -> Site {
    let port = origin.port();
    Site::new(&format!(
        "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\n{log}\n\
         [[cluster.port.server]]\nname = \"w1\"\naddress = \"127.0.0.1\"\nmapport = {port}\n"
    ))
}

/// Keep-alive clients that ask without a pause, each request with a number of its own.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<usize>>,
}

impl Crowd {
    fn gather(size: usize, address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..size).map(|number| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || ask_on(number, address, &stop))
        });
        Self { clients: clients.collect(), stop }
    }

    /// How many were answered.
    fn disperse(self) -> Vec<usize> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().map(|client| client.join().unwrap()).collect()
    }
}

fn ask_on(number: usize, address: SocketAddr, stop: &AtomicBool) -> usize {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    // Lines of a kilobyte fill a file sooner.
    let agent = "x".repeat(900);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut writer, mut answered) = (stream, 0);
    while !stop.load(Ordering::SeqCst) {
        let request = format!("GET /{number}-{answered} HTTP/1.1\r\nHost: shop\r\nUser-Agent: {agent}\r\n\r\n");
        writer.write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        answered += 1;
    }
    answered
}

/// Each request that was answered has its line in one of the files, once.
fn check_lines(site: &Site, answered: &[usize]) {
    let files = fs::read_dir(site.directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("shop.log"));
    let text: String = logs.map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut targets: Vec<&str> =
        text.lines().map(|line| line.split(' ').nth(6).unwrap_or_else(|| panic!("half a line: {line}"))).collect();
    targets.sort_unstable();
    let wanted = answered.iter().enumerate();
    let wanted = wanted.flat_map(|(client, &count)| (0..count).map(move |number| format!("/{client}-{number}")));
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort_unstable();
    assert_eq!(targets.len(), wanted.len());
    assert!(targets == wanted, "the lines are not those of the requests");
}

fn metric(site: &Site, name: &str) -> f64 {
    let page = get(site.metrics_address(), "/metrics").body;
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn lines_of(site: &Site, name: &str) -> usize {
    fs::read_to_string(site.path(name)).unwrap_or_default().lines().count()
}

fn stop(mut daemon: Daemon) {
    daemon.signal("TERM");
    assert!(daemon.wait().success());
}

#[test]
fn files_that_are_moved_away_under_load_lose_and_double_nothing() {
    let origin = Origin::start("w1");
    let site = site(&origin, "accesslog = \"shop.log\"");
    let daemon = site.start();
    let crowd = Crowd::gather(4, site.address());
    for number in 0..6 {
        daemon
            .wait_until("something is written", |_| fs::metadata(site.path("shop.log")).is_ok_and(|log| log.len() > 0));
        fs::rename(site.path("shop.log"), site.path(&format!("shop.log.moved-{number}"))).unwrap();
        if number % 2 == 0 {
            daemon.signal("USR1");
        } else {
            daemon.must("executor logreopen");
        }
        daemon.wait_until("a new file is there", |_| site.path("shop.log").exists());
    }
    let answered = crowd.disperse();
    let mode = fs::metadata(site.path("shop.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    stop(daemon);
    check_lines(&site, &answered);
}

#[test]
fn files_are_turned_over_by_size_and_the_oldest_goes() {
    let origin = Origin::start("w1");
    let site = site(&origin, "accesslog = \"shop.log\"");
    let daemon = site.start();
    daemon.must("set accesslogsize 1 accesslogkeep 2");
    let status = daemon.must("logstatus");
    assert!(status.contains("Access log size (MiB)"), "{status}");
    let crowd = Crowd::gather(4, site.address());
    daemon.wait_until("the first one was turned over", |_| site.path("shop.log.1").exists());
    let answered = crowd.disperse();
    daemon.wait_until("all is written", |_| {
        metric(&site, "tsuji_accesslog_lines_total") as usize == answered.iter().sum::<usize>()
    });
    for name in ["shop.log", "shop.log.1"] {
        assert!(fs::metadata(site.path(name)).unwrap().len() <= 1024 * 1024, "{name}");
    }
    check_lines(&site, &answered);
    for name in ["shop.log.1", "shop.log.2"] {
        site.write(name, "old\n");
    }
    let crowd = Crowd::gather(4, site.address());
    daemon.wait_until("it was turned over again", |_| {
        fs::metadata(site.path("shop.log.1")).is_ok_and(|log| log.len() > 4)
    });
    crowd.disperse();
    // A crowd in a hurry may have turned it over more than once meanwhile; then the old ones are gone, as the oldest do.
    let second = fs::read_to_string(site.path("shop.log.2")).unwrap();
    assert!(second == "old\n" || second.starts_with("127.0.0.1 "), "{second:.80}");
    assert!(!site.path("shop.log.3").exists());
    stop(daemon);
}

#[test]
fn a_log_is_turned_on_and_off_while_it_runs() {
    let origin = Origin::start("w1");
    let site = site(&origin, "");
    let daemon = site.start();
    get(site.address(), "/unseen");
    daemon.must(&format!(
        "port set shop:{} accesslog {} accesslogformat json",
        site.port,
        site.path("on.log").display()
    ));
    get(site.address(), "/seen");
    daemon.wait_until("it is written", |_| lines_of(&site, "on.log") == 1);
    assert!(daemon.must(&format!("port status shop:{}", site.port)).contains("on.log"));
    daemon.must(&format!("port set shop:{} accesslog off", site.port));
    assert!(
        daemon
            .must(&format!("port status shop:{}", site.port))
            .contains("Access log .............................. off")
    );
    get(site.address(), "/unseen");
    // What an operator changed is written relative to nothing, so a relative path is refused there.
    let relative = daemon.dscontrol(&format!("port set shop:{} accesslog on.log", site.port));
    assert!(relative.code != 0 && relative.err.contains("relative to no file"), "{relative:?}");
    stop(daemon);
    let text = fs::read_to_string(site.path("on.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((line["target"].as_str(), line["end"].as_str()), (Some("/seen"), Some("complete")));
}

#[test]
fn a_file_that_cannot_be_opened_is_refused_while_it_runs_and_tried_again_after_a_start() {
    let origin = Origin::start("w1");
    let site = site(&origin, "accesslog = \"later/shop.log\"");
    let daemon = site.start();
    assert!(daemon.must("status").contains("later/shop.log"), "the operator is told");
    get(site.address(), "/lost");
    daemon.wait_until("the line is given up", |_| metric(&site, "tsuji_accesslog_dropped_total") == 1.0);
    fs::create_dir(site.path("later")).unwrap();
    daemon.wait_until("it is found", |_| site.path("later/shop.log").exists());
    get(site.address(), "/kept");
    daemon.wait_until("it is written", |_| lines_of(&site, "later/shop.log") == 1);
    assert!(!daemon.must("status").contains("shop.log"), "all is well");
    assert_eq!(daemon.errors().matches("cannot be opened").count(), 1, "said once\n{}", daemon.errors());
    for path in ["/nowhere/a.log".to_owned(), site.directory.path().display().to_string()] {
        let refused = daemon.dscontrol(&format!("port set shop:{} accesslog {path}", site.port));
        assert!(refused.code != 0 && refused.err.contains(&path), "{refused:?}");
    }
    stop(daemon);
}

#[test]
fn a_directory_that_is_removed_and_comes_back() {
    let origin = Origin::start("w1");
    let site = site(&origin, "accesslog = \"logs/shop.log\"");
    fs::create_dir(site.path("logs")).unwrap();
    let daemon = site.start();
    get(site.address(), "/1");
    daemon.wait_until("it is written", |_| lines_of(&site, "logs/shop.log") == 1);
    fs::remove_dir_all(site.path("logs")).unwrap();
    get(site.address(), "/2");
    daemon.wait_until("the line is given up", |_| metric(&site, "tsuji_accesslog_dropped_total") == 1.0);
    fs::create_dir(site.path("logs")).unwrap();
    get(site.address(), "/3");
    daemon.wait_until("it is written", |_| lines_of(&site, "logs/shop.log") == 1);
    stop(daemon);
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let origin = Origin::start("w1");
    let site = site(&origin, "accesslog = \"/dev/full\"");
    let daemon = site.start();
    for number in 0..3 {
        assert_eq!(get(site.address(), &format!("/{number}")).server(), "w1");
    }
    daemon.wait_until("the lines are given up", |_| metric(&site, "tsuji_accesslog_dropped_total") == 3.0);
    assert!(metric(&site, "tsuji_accesslog_errors_total") >= 1.0 && metric(&site, "tsuji_alerts") >= 1.0);
    assert_eq!(daemon.errors().matches("/dev/full cannot be written").count(), 1, "{}", daemon.errors());
    stop(daemon);
}

#[test]
fn a_pipe_is_not_a_log() {
    let origin = Origin::start("w1");
    let site = site(&origin, "");
    let made = std::process::Command::new("mkfifo").arg(site.path("pipe")).status().unwrap();
    assert!(made.success());
    let daemon = site.start();
    let refused = daemon.dscontrol(&format!("port set shop:{} accesslog {}", site.port, site.path("pipe").display()));
    assert!(refused.code != 0 && refused.err.contains("pipe"), "{refused:?}");
    assert_eq!(get(site.address(), "/").server(), "w1", "nobody hangs");
    stop(daemon);
}
