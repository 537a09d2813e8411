//! Two real Tomcats with jvmRoutes: a session keeps its server, and moves once.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Site, free_port};

const HOME: &str = "/usr/share/tomcat10";

/// An instance of Debian's tomcat10-user in a directory of its own. Dropping it kills it.
struct Tomcat {
    base: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Tomcat {
    /// `None`: there is no Tomcat on this machine.
    fn create(directory: &Path, route: &str) -> Option<Self> {
        let (base, port) = (directory.join(route), free_port());
        let created = Command::new("tomcat10-instance-create")
            .args(["-p", &port.to_string(), "-c", &free_port().to_string()])
            .arg(&base)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !created.is_ok_and(|status| status.success()) || !Path::new(HOME).exists() {
            return None;
        }
        let file = base.join("conf/server.xml");
        let conf = fs::read_to_string(&file).unwrap();
        let conf =
            conf.replace("<Engine name=\"Catalina\"", &format!("<Engine name=\"Catalina\" jvmRoute=\"{route}\""));
        // Nobody else shall be able to stop it, and no other test's port be taken for that.
        let begin = conf.find("<Server port=\"").unwrap() + "<Server port=\"".len();
        let end = begin + conf[begin..].find('"').unwrap();
        fs::write(&file, format!("{}-1{}", &conf[..begin], &conf[end..])).unwrap();
        let root = base.join("webapps/ROOT");
        fs::create_dir_all(&root).unwrap();
        let page = "<%@ page session=\"true\" %><% Integer n = (Integer) session.getAttribute(\"n\"); n = n == null ? 1 : n + 1; \
                    session.setAttribute(\"n\", n); %><%= session.getId() %> <%= n %>";
        fs::write(root.join("index.jsp"), page).unwrap();
        Some(Self { base, port, process: None })
    }

    fn start(&mut self) {
        let child = Command::new(format!("{HOME}/bin/catalina.sh"))
            .arg("run")
            .env("CATALINA_BASE", &self.base)
            .env("CATALINA_HOME", HOME)
            .env("CATALINA_OPTS", "-Xmx128m -XX:TieredStopAtLevel=1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(child.unwrap());
        let begun = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while ask(address, "/index.jsp", None).is_none_or(|answer| answer.status != 200) {
            assert!(begun.elapsed() < Duration::from_secs(90), "Tomcat does not come up");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// kill -9 of the very process.
    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn server(&self, route: &str) -> String {
        format!(
            "[[cluster.port.server]]\nname = \"{route}\"\naddress = \"127.0.0.1\"\nmapport = {}\ncloneid = \"{route}\"\n",
            self.port
        )
    }
}

impl Drop for Tomcat {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Answer {
    status: u16,
    /// Of the session cookie that it sets.
    cookie: Option<String>,
    session: String,
    count: u32,
}

impl Answer {
    fn route(&self) -> &str {
        self.session.rsplit_once('.').map_or("", |(_, route)| route)
    }
}

fn ask(address: SocketAddr, target: &str, cookie: Option<&str>) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let cookie = cookie.map_or(String::new(), |cookie| format!("Cookie: JSESSIONID={cookie}\r\n"));
    write!(stream, "GET {target} HTTP/1.1\r\nHost: shop\r\n{cookie}Connection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let set = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let value = value.strip_prefix("JSESSIONID=").filter(|_| name.eq_ignore_ascii_case("set-cookie"))?;
        value.split(';').next().map(str::to_owned)
    });
    // A body in chunks has a line with its length before it.
    let line = body.lines().find(|line| line.contains('.')).unwrap_or_default();
    let (session, count) = line.trim().split_once(' ').unwrap_or_default();
    Some(Answer { status, cookie: set, session: session.to_owned(), count: count.parse().unwrap_or(0) })
}

#[test]
fn a_session_keeps_its_tomcat_through_quiesce_and_moves_once_when_it_dies() {
    let directory = tempfile::tempdir().unwrap();
    let tomcats = ["node1", "node2"].map(|route| Tomcat::create(directory.path(), route));
    let [Some(mut one), Some(mut two)] = tomcats else {
        eprintln!("skipped: tomcat10-user is not there, so no Tomcat was asked");
        return;
    };
    one.start();
    two.start();
    let port = "[[cluster.port]]\nnumber = {port}\nmethod = \"http\"\n";
    let site = Site::new(&format!("{port}{}{}", one.server("node1"), two.server("node2")));
    let daemon = site.start();
    let ask = |target: &str, cookie: Option<&str>| ask(site.address(), target, cookie).expect("an answer");

    // Sessions begin at both, in turn, and stay where they began.
    let begun: Vec<Answer> = (0..4).map(|_| ask("/index.jsp", None)).collect();
    assert!(["node1", "node2"].iter().all(|route| begun.iter().filter(|answer| answer.route() == *route).count() == 2));
    let ours = begun.iter().find(|answer| answer.route() == "node1").unwrap();
    let mut cookie = ours.cookie.clone().expect("a cookie");
    let other = begun.iter().find(|answer| answer.route() == "node2").unwrap().cookie.clone().unwrap();
    for count in 2..8 {
        let answer = ask("/index.jsp", Some(&cookie));
        assert_eq!((answer.status, answer.session.as_str(), answer.count), (200, cookie.as_str(), count));
    }
    // Without cookies, by the URL.
    let answer = ask(&format!("/index.jsp;jsessionid={cookie}"), None);
    assert_eq!((answer.session.as_str(), answer.count), (cookie.as_str(), 8));

    // Quiesced: it keeps its sessions and gets no new ones.
    assert_eq!(daemon.dscontrol(&format!("manager quiesce shop:{}:node1", site.port)).code, 0);
    for count in 9..13 {
        assert_eq!(ask("/index.jsp", Some(&cookie)).count, count);
        assert_eq!(ask("/index.jsp", None).route(), "node2");
    }
    assert_eq!(daemon.dscontrol(&format!("manager unquiesce shop:{}:node1", site.port)).code, 0);

    // Killed: the session moves once, and no request is lost, of whomever.
    one.kill();
    let mut moves = Vec::new();
    for _ in 0..12 {
        let answer = ask("/index.jsp", Some(&cookie));
        assert_eq!(answer.status, 200);
        if let Some(new) = answer.cookie {
            cookie = new;
            moves.push(cookie.clone());
        }
        assert_eq!(ask("/index.jsp", Some(&other)).status, 200);
    }
    assert!(moves.len() == 1 && moves[0].ends_with(".node2"), "{moves:?}");

    // Back again: the session stays where it is now, new ones come to both.
    one.start();
    daemon.wait_until("new sessions begin there again", |_| ask("/index.jsp", None).route() == "node1");
    for _ in 0..4 {
        assert_eq!(ask("/index.jsp", Some(&cookie)).session, cookie);
    }
}
