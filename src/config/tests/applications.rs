//! Groups, routes, sessions, policies: what is read, and what is refused with its place.

use super::{FILE, document, faults};
use crate::config::Resolved;
use crate::model::{Balance, Compat, CookieAffinity, Destination, Name};

const PORT: &str = r#"[[cluster]]
name = "shop"
address = "192.0.2.10"
[[cluster.port]]
number = 80
method = "http"
"#;

fn resolved(text: &str) -> Resolved {
    document(text, FILE).resolve().unwrap_or_else(|faults| panic!("{faults}"))
}

fn wrong(rest: &str) -> Vec<String> {
    faults(&format!("{PORT}{rest}"), FILE)
}

const SERVERS: &str = r#"
[[cluster.port.server]]
name = "w1"
address = "192.0.2.21"
cloneid = "one"
[[cluster.port.server]]
name = "w2"
address = "192.0.2.22"
cloneid = "two"
"#;

#[test]
fn a_group_says_what_differs_from_its_port() {
    let text = format!(
        "{PORT}balance = \"twochoices\"\nmaxfails = 3\naffinity = \"learn\"\n{SERVERS}
[[cluster.port.group]]
name = \"cart\"
servers = [\"w2\", \"w1\"]
compat = \"plugin\"
affinity = \"insert\"
iotimeoutretries = 2
postbuffersize = \"unlimited\"
[[cluster.port.route]]
name = \"cart\"
hosts = [\"WWW.example.com\", \"*\"]
uris = [\"/cart/*\", \"*.jsp\"]
group = \"cart\"
"
    );
    let config = resolved(&text).config;
    let port = &config.clusters[0].ports[0];
    let (own, cart) = (&port.policy, &port.groups[0].policy);
    assert_eq!(
        (own.balance, own.max_fails, own.affinity, own.timeout_retries),
        (Balance::TwoChoices, 3, CookieAffinity::Learn, Some(0))
    );
    assert_eq!((own.cookie.as_str(), own.retry_budget, own.retry_interval.as_secs()), ("JSESSIONID", 20, 10));
    assert_eq!(
        (cart.balance, cart.max_fails, cart.affinity, cart.timeout_retries),
        (Balance::TwoChoices, 3, CookieAffinity::Insert, Some(2))
    );
    assert_eq!((cart.cookie.as_str(), cart.retry_budget, cart.retry_interval.as_secs()), ("TSUJI", 100, 60));
    assert_eq!((cart.compat, cart.post_buffer, own.post_buffer), (Compat::Plugin, None, Some(65536)));
    let names: Vec<&str> = port.groups[0].servers.iter().map(Name::as_str).collect();
    assert_eq!(names, ["w1", "w2"], "the order of the port");
    assert_eq!(port.routes[0].to, Destination::Group(Some(Name::new("cart").unwrap())));
    assert_eq!(port.routes[0].hosts[0].to_string(), "www.example.com");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        (
            format!("{SERVERS}[[cluster.port.group]]\nname = \"g\"\nservers = [\"w1\", \"w3\"]\n"),
            "18:1: group shop:80:g: this port has no server `w3`, did you mean `w1`?",
        ),
        (
            format!(
                "{SERVERS}[[cluster.port.group]]\nname = \"g\"\nservers = [\"w1\"]\n[[cluster.port.group]]\nname = \"h\"\nservers = [\"w1\"]\n"
            ),
            "21:1: group shop:80:h: server `w1` belongs to group `g` already",
        ),
        (
            SERVERS.replace("\"two\"", "\"one\""),
            "4:1: port shop:80: servers `w1` and `w2` have the same cloneid `one`; each needs its own",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nuris = [\"cart/*\"]\n".to_owned(),
            "9:8: `uris` is a list of paths such as /exact, /prefix/* or *.jsp (a `+` is written %2B), and `cart/*` is none of these",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\ngroup = \"cart\"\n".to_owned(),
            "9:1: route shop:80:r: this port has no group `cart`",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"ftp://x\"\n".to_owned(),
            "9:1: route shop:80:r: `redirect` is a URL such as https://{host}{path}{query}, not `ftp://x`",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"/{hots}\"\n".to_owned(),
            "9:1: route shop:80:r: `redirect` is a URL such as https://{host}{path}{query}, not `/{hots}`",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"/{rest}\"\n".to_owned(),
            "9:1: route shop:80:r: `redirect` lets clients name the host in `/{rest}`: {path} and {rest} bring the slash that they \
             begin with, so https://new.example{rest} or /new{rest} would be right",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"https://{path}\"\n".to_owned(),
            "9:1: route shop:80:r: `redirect` lets clients name the host in `https://{path}`: {path} and {rest} bring the slash that they \
             begin with, so https://new.example{rest} or /new{rest} would be right",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"/x\"\nredirectstatus = 304\n".to_owned(),
            "10:1: route shop:80:r: `redirectstatus` is 301, 302, 303, 307 or 308, not 304",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nredirect = \"/x\"\nrewrite = \"/y\"\n".to_owned(),
            "10:1: route shop:80:r: `rewrite` has no meaning beside `redirect`",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nrewrite = \"y\"\n".to_owned(),
            "9:1: route shop:80:r: `rewrite` is a path such as /new, not `y`",
        ),
        (
            "[[cluster.port.route]]\nname = \"r\"\nrewrite = \"/a<b\"\n".to_owned(),
            "9:1: route shop:80:r: `rewrite` is a path such as /new, not `/a<b`",
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"content\"\n".to_owned(),
            "7:1: rule shop:80:r: `pattern` is empty; a term such as uri=/shop/* would be right",
        ),
        (
            "[[cluster.port.rule]]\nname = \"r\"\ntype = \"true\"\npattern = \"uri=/*\"\n".to_owned(),
            "10:1: rule shop:80:r: `pattern` belongs to rules of type content",
        ),
        ("follows = 81\n".to_owned(), "7:1: port shop:80: follows 81: this cluster has no such port"),
        (
            "follows = 81\n[[cluster.port]]\nnumber = 81\nmethod = \"tcp\"\nfollows = 80\n".to_owned(),
            "7:1: port shop:80: follows 81: the ports would wait for each other, as 80 follows in its turn",
        ),
        (
            "[[cluster.port]]\nnumber = 81\nmethod = \"tcp\"\n[[cluster.port.route]]\nname = \"r\"\nuris = [\"/x\"]\n"
                .to_owned(),
            "12:1: route shop:81:r: `uris` needs method http; a tcp port knows only the host that its clients' TLS asks for (`hosts`)",
        ),
        (
            "[[cluster.port]]\nnumber = 81\nmethod = \"mac\"\n[[cluster.port.route]]\nname = \"r\"\n".to_owned(),
            "9:1: port shop:81: groups and routes belong to methods http and tcp, not mac",
        ),
        (
            "clientcertificates = \"required\"\n".to_owned(),
            "7:1: port shop:80: `clientcertificates` is required, and no `clientca` says who issues them; a file of issuers would be right",
        ),
        (
            "clientca = \"/etc/ca.pem\"\n".to_owned(),
            "7:1: port shop:80: `clientca` is said without `certificates`, so clients would speak plainly; the port's own certificate would be right",
        ),
        (
            "[[cluster.port]]\nnumber = 81\nmethod = \"tcp\"\nbalance = \"urihash\"\n".to_owned(),
            "10:1: port shop:81: balance urihash does not go with method tcp; one of roundrobin, hash, random, leastconnections, twochoices, leasttime, traffic would be right",
        ),
    ];
    let mut missing = Vec::new();
    for (rest, expected) in cases {
        let found = wrong(&rest);
        if !found.iter().any(|fault| fault == expected) {
            missing.push(format!("{found:#?}\nand not\n{expected}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

#[test]
fn what_will_surprise_is_told() {
    let text = format!(
        "{PORT}{SERVERS}[[cluster.port.group]]\nname = \"g\"\nservers = [\"w1\"]
[[cluster.port.route]]\nname = \"r\"\nuris = [\"/x/*\"]\n[[cluster.port.route]]\nname = \"s\"\nuris = [\"/x/*\"]\n"
    );
    let warnings: Vec<String> = resolved(&text).warnings.iter().map(ToString::to_string).collect();
    let told = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(told("group shop:80:g: no route leads to it"), "{warnings:#?}");
    assert!(told("route shop:80:s: route `r` has the same hosts and paths and comes first"), "{warnings:#?}");
}
