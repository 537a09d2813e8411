//! All servers die at once, and come back one by one.

use std::time::{Duration, Instant};

use crate::support::{Origin, Site, get};

/// Of the advisor, in seconds: a probe begins each second and has one more to end.
const INTERVAL: Duration = Duration::from_secs(1);

#[test]
fn ten_servers_die_at_once_and_the_first_one_back_serves() {
    let mut servers: Vec<Origin> = (0..10).map(|number| Origin::start(&format!("w{number}"))).collect();
    let port = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\nstickytime = 60\nsorrypage = \"sorry.html\"\n";
    let rest: String = servers.iter().map(Origin::server).collect();
    let advisor = "[[advisor]]\nname = \"http\"\nport = {port}\ninterval = 1\nconnecttimeout = 1\nreceivetimeout = 1\n";
    let site = Site::new(&format!("{port}{rest}{advisor}"));
    site.write("sorry.html", "<p>Back soon</p>");
    let daemon = site.start();
    daemon.wait_until("all serve", |daemon| daemon.dscontrol("manager report").out.matches("ACTIVE").count() == 10);
    assert!(get(site.address(), "/").server().starts_with('w'));

    servers.iter_mut().for_each(Origin::kill);
    let killed = Instant::now();
    let slack = Duration::from_secs(1);
    let mut after = 0;
    while killed.elapsed() < 4 * INTERVAL {
        let asked = Instant::now();
        let answer = get(site.address(), "/");
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
        assert!(asked.elapsed() < INTERVAL, "nobody waits: {:?}", asked.elapsed());
        if killed.elapsed() > 2 * INTERVAL + slack {
            let said = (answer.status, answer.body.as_str(), answer.field("tsuji-error"));
            assert_eq!(said, (503, "<p>Back soon</p>", Some("no-server")), "after {:?}", killed.elapsed());
            after += 1;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(after > 5, "{after}");

    servers[6].restart();
    let back = Instant::now();
    daemon.wait_until("the first one back is used", |_| get(site.address(), "/").status == 200);
    assert!(back.elapsed() < 2 * INTERVAL + slack, "{:?}", back.elapsed());
    let answers: Vec<String> = (0..10).map(|_| get(site.address(), "/").server().to_owned()).collect();
    assert!(answers.iter().all(|server| server == "w6"), "nobody stays at the sorry page: {answers:?}");
}
