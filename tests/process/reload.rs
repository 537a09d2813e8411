//! Changing the configuration of a running daemon, and keeping what operators changed.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Origin, Site, get};

fn port(stickytime: u32) -> String {
    format!("[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\nstickytime = {stickytime}\n")
}

#[test]
fn a_reload_does_not_touch_connections_and_takes_effect() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new(&format!("{}{}", port(0), one.server()));
    let daemon = site.start();
    let mut client = TcpStream::connect(site.address()).unwrap();
    let mut ask = |path: &str| {
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes()).unwrap();
        let mut text = String::new();
        while !text.contains(path) {
            let mut bytes = [0; 1024];
            let count = client.read(&mut bytes).unwrap();
            assert!(count > 0, "the connection was closed: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        text
    };
    assert!(ask("/before").contains("x-server: one"));
    site.write("tsuji.toml", &site.text(&format!("{}{}", port(0), two.server())));
    daemon.signal("HUP");
    daemon.wait_until("the new server serves", |_| get(site.address(), "/").server() == "two");
    assert!(ask("/after").contains("x-server: two"), "the same connection goes on");
}

#[test]
fn a_bad_file_leaves_everything_as_it_was() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{}{}", port(0), one.server()));
    let daemon = site.start();
    let bad = [
        (
            "key.toml",
            site.text(&format!("{}{}", port(0), one.server())).replace("mapport", "maport"),
            "did you mean `mapport`?",
        ),
        ("syntax.toml", "[[cluster\n".to_owned(), "syntax.toml:1"),
        ("empty.cfg", "cluster add shop address nonsense\n".to_owned(), "empty.cfg:1"),
        ("sorry.toml", site.text(&format!("{}sorrypage = \"gone\"\n{}", port(0), one.server())), "gone"),
    ];
    for (name, text, wanted) in bad {
        site.write(name, &text);
        let output = daemon.dscontrol(&format!("file newload {name}"));
        let said = format!("{}{}", output.out, output.err);
        assert_eq!(output.code, 1, "{name}: {said}");
        assert!(said.contains(wanted), "{name}: {said}");
        assert_eq!(get(site.address(), "/").server(), "one", "{name}");
    }
    site.write("tsuji.toml", "broken = ");
    daemon.signal("HUP");
    daemon.wait_until("it says so", |daemon| daemon.errors().contains("not loaded"));
    assert_eq!(get(site.address(), "/").server(), "one");
    let page = get(site.metrics_address(), "/metrics").body;
    assert!(page.lines().any(|line| line.starts_with("tsuji_config") && line.ends_with(" 0")), "{page}");
}

#[test]
fn a_new_port_that_is_in_use_leaves_everything_as_it_was() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{}{}", port(0), one.server()));
    let daemon = site.start();
    let output = daemon.dscontrol(&format!("port add shop:{} method http", one.port()));
    assert_eq!(output.code, 1);
    assert!(format!("{}{}", output.out, output.err).contains("in use"), "{output:?}");
    assert!(!daemon.must("port status shop:").contains(&one.port().to_string()));
    assert_eq!(get(site.address(), "/").status, 200);
}

#[test]
fn changes_survive_a_restart_until_the_file_says_otherwise() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let text =
        |weight: u32| format!("{}{}{}weight = {weight}\nfixedweight = true\n", port(0), one.server(), two.server());
    let site = Site::new(&text(10));
    let mut daemon = site.start();
    daemon.must("server set shop::two weight 7");
    daemon.must("manager quiesce one now");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0));

    let mut daemon = site.start();
    assert!(daemon.must("server status shop::two").contains(" 7"));
    assert!((0..6).all(|_| get(site.address(), "/").server() == "two"), "one is still quiesced");
    site.write("tsuji.toml", &site.text(&text(20)));
    daemon.signal("HUP");
    daemon.wait_until("the file's weight counts", |daemon| daemon.must("server status shop::two").contains(" 20"));
    assert!((0..6).all(|_| get(site.address(), "/").server() == "two"), "what the file did not change stays");
    daemon.signal("KILL");
    daemon.wait();

    let daemon = site.start();
    assert!(daemon.must("server status shop::two").contains(" 20"));
    daemon.must("manager unquiesce one");
    daemon.wait_until("one serves", |_| get(site.address(), "/").server() == "one");
}

#[test]
fn a_saved_file_loads_as_what_it_was() {
    let (one, two) = (Origin::start("one"), Origin::start("two"));
    let site = Site::new(&format!("{}{}{}", port(60), one.server(), two.server()));
    let daemon = site.start();
    daemon.must("server down shop::one");
    daemon.must("rule add shop::all type true priority 5");
    daemon.must("rule useserver shop::all one+two");
    let status = |daemon: &crate::support::Daemon| {
        ["port status shop:", "rule status shop::", "cluster status shop"].map(|line| {
            let text = daemon.must(&format!("--json {line}"));
            let mut reply: serde_json::Value = serde_json::from_str(&text).unwrap();
            // What was a change on top of the file is part of the file now.
            let objects = reply["body"].as_object_mut().unwrap().values_mut().filter_map(|list| list.as_array_mut());
            objects.flatten().for_each(|object| object["overrides"] = serde_json::Value::Null);
            reply["body"].clone()
        })
    };
    assert!(!daemon.must("file newload tsuji.toml").contains("until the next start"));
    let before = status(&daemon);
    for name in ["saved.toml", "saved.cfg"] {
        daemon.must(&format!("file save {name}"));
        assert_eq!(daemon.dscontrol(&format!("file save {name}")).code, 1, "not over an old one without force");
        daemon.must(&format!("file save {name} force"));
        let told = daemon.must(&format!("file newload {name}"));
        assert!(told.contains("until the next start, which loads tsuji.toml again"), "{told}");
        assert_eq!(status(&daemon), before, "{name}");
        assert!(daemon.must("server report shop::one").contains("-1"), "{name}: one is still down");
    }
}

#[test]
fn a_full_disk_is_told_and_harms_nothing() {
    let one = Origin::start("one");
    let site = Site::new(&format!("{}{}", port(0), one.server()));
    // A directory where the file should be: as little can be written as on a full disk, for root too.
    let daemon = site.start();
    for name in ["overrides.toml", "last-good.toml"] {
        let path = site.path("state").join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir(&path).unwrap();
    }
    let output = daemon.dscontrol("server set shop::one weight 3");
    assert_eq!(output.code, 0, "the change itself is in force: {output:?}");
    let said = format!("{}{}", output.out, output.err);
    assert!(said.contains("will not survive a restart"), "{said}");
    assert_eq!(get(site.address(), "/").status, 200);
    std::fs::create_dir(site.path("directory.toml")).unwrap();
    assert_eq!(daemon.dscontrol("file save directory.toml force").code, 1);
}
