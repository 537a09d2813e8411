//! Several applications on one port.

use std::time::Duration;

use std::sync::Arc;
use tsuji::message::{ErrorReason, SorrySite};
use tsuji::model::{
    ContentPattern, CookieAffinity, Destination, Group, HourRange, Name, Policy, Port, Redirect, Route, Rule, RuleType,
    SorryPage,
};

use crate::support::client::{Answer, Client};
use crate::support::{Origin, Setup};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn group(group: &str, servers: &[&str], change: impl FnOnce(&mut Policy)) -> Group {
    let mut policy = Policy::preset();
    change(&mut policy);
    Group { name: name(group), servers: servers.iter().map(|server| name(server)).collect(), policy }
}

pub(super) fn route(called: &str, hosts: &[&str], uris: &[&str], to: Destination) -> Route {
    Route {
        name: name(called),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        uris: uris.iter().map(|uri| uri.parse().unwrap()).collect(),
        to,
        cookie: None,
        url_identifier: None,
        rewrite: None,
        request_edits: Vec::new(),
        response_edits: Vec::new(),
    }
}

pub(super) fn to(group: &str) -> Destination {
    Destination::Group(Some(name(group)))
}

fn ask(client: &mut Client, target: &str, host: &str, fields: &str) -> Answer {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).answer()
}

/// Servers `a` to `d`; `cart` has `a` and `b`, `news` has `c`, and `d` belongs to nobody.
fn applications(port: &mut Port) {
    for (server, id) in port.servers.iter_mut().zip(["one", "two", "one", "two"]) {
        server.proxied.clone_id = Some(id.to_owned());
    }
    port.groups =
        vec![group("cart", &["a", "b"], |policy| policy.cookie = "CARTID".to_owned()), group("news", &["c"], |_| {})];
    port.routes = vec![
        route("cart", &[], &["/cart/*", "*.cart"], to("cart")),
        route("news", &["news.example", "*.news.example:8080"], &[], to("news")),
        route("admin", &[], &["/cart/admin/*"], to("news")),
    ];
}

#[test]
fn hosts_and_paths_lead_to_their_servers() {
    let origins: Vec<Origin> = ["a", "b", "c", "d"].map(Origin::named).into();
    let site = Setup::http(&origins.iter().collect::<Vec<_>>()).change(applications).start();
    let mut client = site.client();
    let cases = [
        ("/", "x", "d"),
        ("/", "news.example", "c"),
        ("/", "NEWS.example.:80", "c"),
        ("/", "x.news.example:8080", "c"),
        ("/", "x.news.example", "d"),
        ("/cart/admin/x", "x", "c"),
        ("/cart/../news", "x", "d"),
        ("/cart;p=1/admin", "x", "c"),
        ("/%63art/admin", "x", "c"),
        ("/cartoon", "x", "d"),
        ("/cart/x", "news.example", "c"),
    ];
    for (target, host, expected) in cases {
        assert_eq!(ask(&mut client, target, host, "").text(), expected, "{host} {target}");
    }
    let turns: String = ["/cart", "/cart/x", "/y.cart", "/cart/"]
        .map(|target| ask(&mut client, target, "x", "").text().to_owned())
        .concat();
    assert!(turns == "abab" || turns == "baba", "{turns}");
}

#[test]
fn each_application_has_its_own_cookie_and_a_clone_id_of_another_means_nothing() {
    let origins: Vec<Origin> = ["a", "b", "c", "d"].map(Origin::named).into();
    let site = Setup::http(&origins.iter().collect::<Vec<_>>()).change(applications).start();
    let mut client = site.client();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "/cart", "x", "Cookie: CARTID=0001:two; JSESSIONID=0001:one\r\n").text(), "b");
        assert_eq!(ask(&mut client, "/", "x", "Cookie: JSESSIONID=0001:one\r\n").text(), "d");
        assert_eq!(ask(&mut client, "/", "news.example", "Cookie: JSESSIONID=0001:two\r\n").text(), "c");
    }
    site.change(|setup| setup.port.routes[0].cookie = Some("OTHER".to_owned()));
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "/cart", "x", "Cookie: CARTID=0001:two; OTHER=0001:one\r\n").text(), "a");
    }
}

#[test]
fn ip_affinity_is_kept_for_each_application() {
    let origins: Vec<Origin> = ["a", "b", "c", "d"].map(Origin::named).into();
    let site = Setup::http(&origins.iter().collect::<Vec<_>>())
        .change(|port| {
            applications(port);
            port.stickytime = Duration::from_secs(60);
        })
        .start();
    let mut client = site.client();
    let first = ask(&mut client, "/cart", "x", "").text().to_owned();
    for _ in 0..4 {
        assert_eq!(ask(&mut client, "/", "x", "").text(), "d");
        assert_eq!(ask(&mut client, "/cart", "x", "").text(), first);
    }
}

#[test]
fn nobody_serves_what_no_route_fits_when_all_servers_belong_to_groups() {
    let origin = Origin::named("a");
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.groups = vec![group("cart", &["a"], |_| {})];
            port.routes = vec![route("cart", &[], &["/cart/*"], to("cart"))];
        })
        .start();
    let mut client = site.client();
    let answer = ask(&mut client, "/other", "x", "");
    assert_eq!((answer.status, answer.reason()), (404, Some("no-route")));
    assert_eq!(ask(&mut client, "/cart", "x", "").text(), "a", "the connection goes on");
    assert_eq!(site.reason(ErrorReason::NoRoute), 1);
}

#[test]
fn paths_are_rewritten_for_servers_and_clients_are_sent_elsewhere() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin])
        .change(|port| {
            let own = || Destination::Group(None);
            let mut old = route("old", &[], &["/old/*"], own());
            old.rewrite = Some("/new".to_owned());
            let mut flat = route("flat", &[], &["/flat/*"], own());
            flat.rewrite = Some("/".to_owned());
            let mut broken = route("broken", &[], &["/broken/*"], own());
            broken.rewrite = Some("/a<b".to_owned());
            let secure = Redirect { location: "https://{host}{path}{query}".to_owned(), status: 308 };
            port.routes =
                vec![old, flat, broken, route("secure", &["pay.example"], &["/*"], Destination::Redirect(secure))];
        })
        .start();
    let mut client = site.client();
    assert!(ask(&mut client, "/old/a?b=c", "x", "").text().starts_with("GET /new/a?b=c HTTP/1.1\r\n"));
    assert!(ask(&mut client, "/older", "x", "").text().starts_with("GET /older HTTP/1.1\r\n"));
    let sent = ask(&mut client, "/card?x=1", "pay.example:8080", "");
    assert_eq!((sent.status, sent.field("location")), (308, Some("https://pay.example/card?x=1")));
    assert_eq!(sent.reason(), None);
    // `;x` is no target, so the server got the path that it is not to see.
    assert!(ask(&mut client, "/flat;x", "x", "").text().starts_with("GET /;x HTTP/1.1\r\n"));
    let refused = ask(&mut client, "/broken/x", "x", "");
    assert_eq!((refused.status, refused.reason()), (400, Some("bad-target")));
    assert_eq!(origin.heads().len(), 3);
}

#[test]
fn rules_by_content_and_by_group_and_before_affinity() {
    let origins: Vec<Origin> = ["a", "b", "c", "d"].map(Origin::named).into();
    let site = Setup::http(&origins.iter().collect::<Vec<_>>())
        .change(|port| {
            applications(port);
            let rule = |called: &str, kind, servers: &[&str], over_affinity, of: Option<&str>| Rule {
                name: name(called),
                kind,
                priority: 1,
                servers: servers.iter().map(|server| name(server)).collect(),
                over_affinity,
                group: of.map(name),
            };
            let pattern: ContentPattern = "x-beta=yes&uri=/cart/*".parse().unwrap();
            port.rules = vec![
                rule("beta", RuleType::Content(Arc::new(pattern)), &["b"], false, Some("cart")),
                rule("never", RuleType::True, &["a"], false, Some("news")),
            ];
        })
        .start();
    let mut client = site.client();
    for _ in 0..3 {
        assert_eq!(ask(&mut client, "/cart/x", "x", "X-Beta: yes\r\n").text(), "b");
        assert_eq!(ask(&mut client, "/cart/x", "x", "X-Beta: yes\r\nCookie: CARTID=0001:one\r\n").text(), "a");
        assert_eq!(ask(&mut client, "/", "news.example", "").text(), "a", "the rule of the group");
        assert_eq!(ask(&mut client, "/", "x", "X-Beta: yes\r\n").text(), "d");
    }
    site.change(|setup| {
        setup.port.rules.push(Rule {
            name: name("closed"),
            kind: RuleType::Time(HourRange { begin: 0, end: 24 }),
            priority: 9,
            servers: Vec::new(),
            over_affinity: true,
            group: Some(name("cart")),
        });
    });
    let closed = ask(&mut client, "/cart", "x", "Cookie: CARTID=0001:one\r\n");
    assert_eq!((closed.status, closed.reason()), (503, Some("refused-by-rule")));
    assert_eq!(ask(&mut client, "/", "x", "").text(), "d", "the others are open");
}

#[test]
fn methods_can_be_excluded() {
    let origin = Origin::named("a");
    let site = Setup::http(&[&origin]).change(|port| port.excluded_methods = vec!["DELETE".to_owned()]).start();
    let answer = site.client().send("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n").answer();
    assert_eq!((answer.status, answer.reason()), (405, Some("method-excluded")));
    assert!(answer.field("allow").is_some());
    assert_eq!(site.client().get("/").text(), "a");
}

#[test]
fn cookies_are_not_asked_where_affinity_is_none() {
    let origins = [Origin::named("a"), Origin::named("b")];
    let site = Setup::http(&[&origins[0], &origins[1]])
        .change(|port| {
            port.servers[0].proxied.clone_id = Some("one".to_owned());
            port.policy.affinity = CookieAffinity::None;
        })
        .start();
    let mut client = site.client();
    let turns: String =
        (0..4).map(|_| ask(&mut client, "/", "x", "Cookie: JSESSIONID=0001:one\r\n").text().to_owned()).collect();
    assert!(turns.contains('b'), "{turns}");
}

#[test]
fn fields_are_changed_on_their_way_in_and_out() {
    let origin = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            let length = request.len();
            visit
                .send(format!("HTTP/1.1 200 OK\r\nServer: x\r\nX-Old: 1\r\nContent-Length: {length}\r\n\r\n{request}"));
        }
    });
    let edits = |edits: &[&str]| edits.iter().map(|edit| edit.parse().unwrap()).collect::<Vec<_>>();
    let site = Setup::http(&[&origin])
        .change(|port| {
            port.request_edits = edits(&["set X-Env: prod", "remove X-Debug"]);
            port.response_edits = edits(&["remove Server", "set Strict-Transport-Security: max-age=60"]);
            // The name that is set is another route's: what decides is what the client sent.
            let mut special = route("special", &["x"], &["/special/*"], Destination::Group(None));
            let mut inner = route("inner", &["inner.example"], &[], Destination::Group(None));
            inner.response_edits = edits(&["set X-Wrong: yes"]);
            special.request_edits = edits(&["add X-Env: special", "set Host: inner.example"]);
            special.response_edits = edits(&["add X-Old: 2"]);
            port.routes = vec![inner, special];
        })
        .start();
    let mut client = site.client();
    let plain = ask(&mut client, "/", "x", "X-Env: mine\r\nX-Debug: 1\r\n");
    assert!(plain.text().contains("x-env: prod\r\n") && !plain.text().contains("mine"), "{}", plain.text());
    assert!(!plain.text().contains("x-debug"), "{}", plain.text());
    assert_eq!((plain.field("server"), plain.field("strict-transport-security")), (None, Some("max-age=60")));
    let special = ask(&mut client, "/special/", "x", "");
    let text = special.text();
    assert!(text.contains("x-env: prod\r\nx-env: special\r\n") && text.contains("host: inner.example\r\n"), "{text}");
    assert!(text.contains("x-forwarded-host: x\r\n"), "the client named another host than the server hears: {text}");
    assert_eq!(special.fields("x-old").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(special.field("x-wrong"), None);
}

#[test]
fn errors_of_ours_have_pages_by_reason_status_and_class() {
    let pages = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), name.as_bytes().to_vec())).collect();
    let files: Vec<(String, Vec<u8>)> = pages(&["no-route.html", "405.html", "5xx.html"]);
    let site = Setup::with_addresses(tsuji::model::ForwardingMethod::Http, vec![Origin::nobody()])
        .change(|port| {
            port.groups = vec![group("cart", &["a"], |policy| policy.retries = 0)];
            port.routes = vec![route("cart", &[], &["/cart/*"], to("cart"))];
            port.excluded_methods = vec!["DELETE".to_owned()];
        })
        .sorry(|settings| SorrySite::built_in(settings).unwrap().with_errors(files, settings).unwrap())
        .start();
    let mut client = site.client();
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no-route.html", "no-route"),
        ("GET /cart HTTP/1.1\r\nHost: x\r\n\r\n", 503, "5xx.html", "connect-refused"),
        ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "405.html", "method-excluded"),
    ];
    for (request, status, text, reason) in cases {
        let answer = client.send(request).answer();
        assert_eq!((answer.status, answer.text(), answer.reason()), (status, text, Some(reason)));
        assert!(answer.field("content-type").unwrap().starts_with("text/html"));
    }
    let page = SorryPage { path: None, errors: None, status: 503, retry_after: 0, cache_control: String::new() };
    for wrong in ["404.txt", "200.html", "no-such-reason.html", "600.html", "04.html"] {
        let refused = SorrySite::built_in(&page).unwrap().with_errors(vec![(wrong.to_owned(), Vec::new())], &page);
        assert!(refused.is_err(), "{wrong}");
    }
}
