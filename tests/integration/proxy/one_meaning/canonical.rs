//! Whoever spells a host or a path otherwise is judged alike by all who judge: routes, rules, the balance by path, the certificate.

use std::sync::Arc;

use http::Request;
use tsuji::model::{AppProtocol, Balance, Destination, Group, Name, Policy, Port, Route, Rule, RuleType};

use crate::support::http2::{Http2, story};
use crate::support::secure::{Front, Issuer, secure};
use crate::support::{Origin, Setup, Site};

const HOSTS: [&str; 4] = ["shop.example", "SHOP.Example", "shop.example:443", "Shop.example.:443"];

/// One path in many words, and where it leads.
const PATHS: [([&str; 5], &str); 3] = [
    (["/admin/x", "/%61dmin/x", "/shop/../admin/./x", "//admin;v=1//x", "/a/%2e%2E/admin/x"], "admin"),
    (["/shop/y", "/s%68op/y", "/admin/../shop/y", "/shop;jsessionid=0/y", "/./shop//y"], "rule"),
    (["/z/1", "/%7a/1", "/z/a/../1", "/z//1", "/z;p/1"], "hash"),
];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Server `a` is for administrators, `b` for whom a rule sends there, and all others share the rest by path.
fn change(port: &mut Port) {
    let mut policy = Policy::preset();
    policy.balance = Balance::UriHash;
    port.groups = vec![
        Group { name: name("admin"), servers: vec![name("a")], policy: Policy::preset() },
        Group { name: name("rest"), servers: ["b", "c", "d", "e"].map(name).to_vec(), policy },
    ];
    let route = |called: &str, uri: &str, group: &str| Route {
        name: name(called),
        hosts: vec!["shop.example".parse().unwrap()],
        uris: vec![uri.parse().unwrap()],
        to: Destination::Group(Some(name(group))),
        cookie: None,
        url_identifier: None,
        rewrite: None,
        request_edits: Vec::new(),
        response_edits: Vec::new(),
    };
    port.routes = vec![route("admin", "/admin/*", "admin"), route("rest", "/*", "rest")];
    let pattern = "uri=/shop/*&host=shop.example".parse().unwrap();
    port.rules = vec![Rule {
        name: name("rule"),
        kind: RuleType::Content(Arc::new(pattern)),
        priority: 1,
        servers: vec![name("b")],
        over_affinity: false,
        group: Some(name("rest")),
    }];
}

fn site(origins: &[Origin], issuer: &Issuer) -> Site {
    let mut front = Front::with(&[&issuer.certificate(&["shop.example"])]);
    front.settings.protocols = vec![AppProtocol::Http2, AppProtocol::Http11];
    Setup::http(&origins.iter().collect::<Vec<_>>()).change(change).tls(&front).start()
}

/// All answers to one meaning name one server.
fn check(way: &str, answers: &[String]) {
    let server = match way {
        "admin" => "a",
        "rule" => "b",
        // Any, but the same one.
        _ => &answers[0],
    };
    assert!(answers.iter().all(|answer| answer == server), "{way}: {answers:?}");
}

#[test]
fn all_who_judge_see_the_same() {
    let origins: Vec<Origin> = ["a", "b", "c", "d", "e"].map(Origin::named).into();
    let issuer = Issuer::new("issuer");
    let site = site(&origins, &issuer);
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), "shop.example");
    let mut ask = |host: &str, path: &str| {
        let answer = client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).answer();
        assert_eq!(answer.status, 200, "{host} {path}: {}", answer.head);
        answer.text().to_owned()
    };
    for (paths, way) in PATHS {
        let answers: Vec<String> =
            HOSTS.iter().flat_map(|host| paths.map(|path| (host, path))).map(|(host, path)| ask(host, path)).collect();
        check(way, &answers);
        story(async {
            let mut client = Http2::secure(site.address, issuer.trusting(), "shop.example").await;
            let mut other = vec![answers[0].clone()];
            for host in HOSTS {
                for path in paths {
                    let request = Request::get(format!("https://{host}{path}")).body(()).unwrap();
                    other.push(client.ask(request).await.unwrap().text().to_owned());
                }
            }
            check(way, &other);
        });
    }
    let mut client = secure(site.address, &Arc::new(issuer.trusting()), "shop.example");
    let other = client.send("GET / HTTP/1.1\r\nHost: shop.example.other:443\r\n\r\n").answer();
    assert_eq!((other.status, other.reason()), (421, Some("misdirected")));
}
