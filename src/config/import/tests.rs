//! A whole file line by line, and files that are no configuration.

use proptest::prelude::*;

use super::*;
use crate::config::Document;
use crate::model::{Balance, Compat};

const WAS: &str = include_str!("fixtures/was.xml");

fn imported(text: &str) -> Imported {
    import_plugin(text, "plugin-cfg.xml", &Front::default()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(text: &str) -> Vec<String> {
    let faults = import_plugin(text, "plugin-cfg.xml", &Front::default()).expect_err("is refused");
    let line = |fault: &crate::config::Fault| fault.place.as_ref().map_or(0, |place| place.line);
    faults.iter().map(|fault| format!("line {}: {}", line(fault), fault.message)).collect()
}

fn config(toml: &str) -> crate::config::Config {
    let document = Document::parse(toml, "x.toml").unwrap_or_else(|faults| panic!("{faults}\n{toml}"));
    document.resolve().unwrap_or_else(|faults| panic!("{faults}\n{toml}")).config
}

#[test]
fn a_file_of_websphere_becomes_a_configuration_that_behaves_alike() {
    let imported = imported(WAS);
    assert_eq!(imported.refresh, Some(Duration::from_secs(30)));
    let config = config(&imported.toml);
    let [port] = config.clusters[0].ports.as_slice() else { panic!("one port\n{}", imported.toml) };
    assert_eq!((port.number.get(), port.timeouts.pool.as_secs()), (80, 28));
    let names: Vec<&str> = port.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["node2_shop2", "node1_shop1", "node3_spare", "news1", "news2"], "primaries in their order");
    let one = &port.servers[1];
    assert_eq!((one.host.to_string().as_str(), one.mapport.get(), one.weight.get()), ("app1.example.com", 9080, 20));
    assert_eq!(one.proxied.clone_id.as_deref(), Some("10j0tobbm"));
    assert_eq!(one.proxied.server_timeout, Some(Duration::from_secs(60)));
    assert!(one.proxied.marks_on_timeout && one.proxied.private_headers && one.fixedweight);
    let two = &port.servers[0];
    assert!(two.proxied.extended_handshake && !two.proxied.marks_on_timeout && two.proxied.max_connections == 50);
    assert!(port.servers[2].proxied.backup);
    assert_eq!(port.servers[2].proxied.server_timeout, Some(Duration::from_secs(900)));
    assert_eq!((port.servers[3].weight.get(), port.servers[4].weight.get()), (2, 1), "300 and 150");
    assert_eq!(port.servers[4].state, crate::model::AdministrativeState::Down, "only https");
    let (shop, news) = (&port.groups[0].policy, &port.groups[1].policy);
    assert_eq!((shop.compat, shop.balance, shop.ignore_affinity), (Compat::Plugin, Balance::RoundRobin, false));
    assert_eq!((shop.max_fails, shop.retry_interval.as_secs(), shop.retries), (1, 60, 2));
    assert_eq!((shop.timeout_retries, shop.post_buffer, shop.post_limit), (Some(1), Some(65536), None));
    assert_eq!((news.balance, news.post_buffer, news.post_limit), (Balance::Random, Some(0), Some(102_400)));
    assert_eq!(news.timeout_retries, None);
    let routes: Vec<(usize, usize, Option<&str>)> =
        port.routes.iter().map(|route| (route.hosts.len(), route.uris.len(), route.cookie.as_deref())).collect();
    assert_eq!(routes, [(3, 2, None), (3, 1, Some("CARTID")), (0, 1, None)]);
}

#[test]
fn what_has_no_equivalent_is_listed_with_its_line() {
    let remarks: Vec<String> = imported(WAS).remarks.iter().map(ToString::to_string).collect();
    let expected = [
        "line 1: virtual hosts name the ports 8080, 9080 too",
        "line 2: AcceptAllContent of <Config>: bodies of all methods are forwarded here",
        "line 3: <Log>: access logs",
        "line 4: property ESIEnable: edge side includes are not there",
        "line 11: CloneSeparatorChange of <ServerCluster>: `:`, `+` and `.` are understood",
        "line 14: https transport of server `node1_shop1`: TLS to servers is not there yet, and key stores in IBM's .kdb form",
        "line 19: MaxConnections 50 of server `node2_shop2` is meant for each process",
        "line 22: server `node3_spare` has no ConnectTimeout",
        "line 34: server `news1` has no ServerIOTimeout",
        "line 37: server `news2` has an https transport only",
        "line 45: path left out: `nowhere*` matches nothing",
        "line 52: <RequestMetrics>: ",
    ];
    for text in expected {
        assert!(remarks.iter().any(|remark| remark.starts_with(text)), "{text}\n{remarks:#?}");
    }
}

#[test]
fn proxies_are_trusted_only_where_that_is_switched_on() {
    let group = "<TrustedProxyGroup><TrustedProxy Name=\"192.0.2.9\"/><TrustedProxy Name=\"proxy.example\"/></TrustedProxyGroup></Config>";
    let with = WAS.replace("</Config>", group);
    assert!(!imported(&with).toml.contains("trustedproxies"));
    let on = imported(&with.replace("<Config ", "<Config TrustedProxyEnable=\"true\" "));
    assert!(on.toml.contains("trustedproxies = [\"192.0.2.9\"]"), "{}", on.toml);
    assert!(on.remarks.iter().any(|remark| remark.text.contains("`proxy.example` is named by host")));
}

#[test]
fn ports_and_address_can_be_said() {
    let front = Front { address: "192.0.2.10".parse().unwrap(), ports: vec![80, 8080] };
    let imported = import_plugin(WAS, "x", &front).expect("is read");
    let config = config(&imported.toml);
    assert_eq!(config.clusters[0].address, front.address);
    let ports: Vec<u16> = config.clusters[0].ports.iter().map(|port| port.number.get()).collect();
    assert_eq!(ports, [80, 8080]);
}

#[test]
fn what_does_not_fit_together_is_named() {
    let cases = [
        ("<Config><Route ServerCluster=\"x\"/></Config>", "line 1: there is no ServerCluster `x`"),
        ("<Config/>", "line 1: there is no <ServerCluster> in it"),
        ("<Html/>", "line 1: the root element is <Html>, not <Config>"),
        (
            "<Config>\n<ServerCluster Name=\"a\">\n<Server Name=\"s\"/></ServerCluster></Config>",
            "line 3: server `s` has no <Transport>",
        ),
        (
            "<Config>\n<ServerCluster Name=\"a\" RetryInterval=\"soon\"/></Config>",
            "line 2: RetryInterval of <ServerCluster> is a whole number, not `soon`",
        ),
        (
            "<Config>\n<ServerCluster Name=\"a\"><Server Name=\"s\" CloneID=\"x\"><Transport Hostname=\"h\" Port=\"1\"/></Server>\n<Server Name=\"t\" CloneID=\"x\"><Transport Hostname=\"h\" Port=\"2\"/></Server></ServerCluster></Config>",
            "line 3: servers `s` and `t` have the same CloneID `x`; each needs its own",
        ),
        (
            "<Config><ServerCluster Name=\"a\"><Server Name=\"s\"><Transport Hostname=\"h\" Port=\"0\"/></Server></ServerCluster></Config>",
            "line 1: the transport of server `s` has no port from 1 to 65535",
        ),
    ];
    for (text, expected) in cases {
        let found = faults(text);
        assert!(found.iter().any(|fault| fault == expected), "{text}\n{found:#?}");
    }
}

/// A configuration with one server, and this beside it.
fn with(text: &str) -> String {
    format!(
        "<Config><ServerCluster Name=\"c\"><Server Name=\"s\" ConnectTimeout=\"5\"><Transport Hostname=\"h\" Port=\"1\"/></Server></ServerCluster>\n{text}</Config>"
    )
}

/// What a keyword of ours does not take came out all the same, and showed as a fault of the configuration that nobody had written.
#[test]
fn values_that_no_keyword_takes_are_faults_of_the_file() {
    let server = |attributes: &str, transport: &str| {
        format!(
            "<Config>\n<ServerCluster Name=\"a\">\n<Server Name=\"s\" {attributes}><Transport {transport} Port=\"1\"/></Server></ServerCluster></Config>"
        )
    };
    let host = "Hostname=\"h\"";
    let cases = [
        (server("", "Hostname=\"a b\""), "line 3: Hostname of <Transport> is an IP address or a host name, not `a b`"),
        (server("", ""), "line 3: the transport of server `s` has no Hostname"),
        (server("CloneID=\"a b\"", host), "line 3: CloneID of <Server> is "),
        (
            with("<UriGroup Name=\"u\"><Uri Name=\"/*\" AffinityCookie=\"a;b\"/></UriGroup>"),
            "line 2: AffinityCookie of <Uri> is ",
        ),
        (
            with("<UriGroup Name=\"u\"><Uri Name=\"/*\" AffinityURLIdentifier=\"a=b\"/></UriGroup>"),
            "line 2: AffinityURLIdentifier of <Uri> is ",
        ),
    ];
    for (text, expected) in cases {
        let found = faults(&text);
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{text}\n{found:#?}");
    }
    let long = imported(&server("", "Hostname=\"h\" ConnectionTTL=\"9999999\""));
    assert_eq!(config(&long.toml).clusters[0].ports[0].timeouts.pool, Duration::from_secs(86_400));
}

#[test]
fn a_route_whose_group_is_empty_does_not_match_everything() {
    let cases = [
        ("<VirtualHostGroup Name=\"v\"/>", "VirtualHostGroup=\"v\"", "VirtualHostGroup `v` has no host"),
        (
            "<VirtualHostGroup Name=\"v\"><VirtualHost Name=\"*:0\"/></VirtualHostGroup>",
            "VirtualHostGroup=\"v\"",
            "VirtualHostGroup `v` has no host",
        ),
        (
            "<VirtualHostGroup Name=\"v\"><VirtualHosts Name=\"a:80\"/></VirtualHostGroup>",
            "VirtualHostGroup=\"v\"",
            "<VirtualHosts>: is not known and left out",
        ),
        ("<UriGroup Name=\"u\"/>", "UriGroup=\"u\"", "UriGroup `u` has no path"),
    ];
    for (group, named, remark) in cases {
        let imported = imported(&with(&format!("{group}<Route ServerCluster=\"c\" {named}/>")));
        let [port] = &*config(&imported.toml).clusters[0].ports else { panic!("one port\n{}", imported.toml) };
        assert!(port.routes.is_empty() && port.number.get() == 80, "{}", imported.toml);
        assert!(imported.remarks.iter().any(|it| it.line == 2 && it.text.contains(remark)), "{:#?}", imported.remarks);
    }
}

#[test]
fn what_is_there_twice_is_refused() {
    let server = "<Server Name=\"s\"><Transport Hostname=\"h\" Port=\"1\"/></Server>";
    let cases = [
        (
            format!("<ServerCluster Name=\"d\">{server}\n{server}</ServerCluster>"),
            "line 3: its cluster has a server `s` already",
        ),
        (format!("<ServerCluster Name=\"c\">{server}</ServerCluster>"), "line 2: there is a ServerCluster `c` already"),
        ("<UriGroup Name=\"u\"/>\n<UriGroup Name=\"u\"/>".to_owned(), "line 3: there is a UriGroup `u` already"),
        (
            "<VirtualHostGroup Name=\"v\"/><VirtualHostGroup Name=\"v\"/>".to_owned(),
            "line 2: there is a VirtualHostGroup `v` already",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(&with(&text)), [expected]);
    }
}

#[test]
fn names_with_line_breaks_write_no_lines_of_ours() {
    for break_ in ["&#10;[control]&#10;statedir=&quot;/elsewhere&quot;", "&#27;[2J", "&#x85;", "&#0;"] {
        let text = with(&format!("<ServerCluster Name=\"d{break_}\"/>"));
        assert!(faults(&text)[0].starts_with("line 2: "), "{text}");
    }
    assert!(faults(&with("\0"))[0].contains("save it as UTF-8"));
}

#[test]
fn what_is_not_known_is_listed_wherever_it_is() {
    let text = with(
        "<ServerCluster Name=\"d\"><Server Name=\"s\"><Transport Hostname=\"h\" Port=\"1\"/>\n<Mystery/></Server></ServerCluster>\n\
         <UriGroup Name=\"u\"><Uri Name=\"/\" Puzzle=\"1\"/>\n<Riddle/></UriGroup>",
    );
    let remarks: Vec<String> = imported(&text).remarks.iter().map(ToString::to_string).collect();
    for expected in ["line 3: <Mystery>:", "line 4: Puzzle of <Uri>:", "line 5: <Riddle>:"] {
        assert!(remarks.iter().any(|remark| remark.starts_with(expected)), "{expected}\n{remarks:#?}");
    }
}

#[test]
fn weights_without_a_divisor_in_common_keep_their_ratio_as_well_as_can_be() {
    let server = |name: &str, weight: u64| {
        format!(
            "<Server Name=\"{name}\" LoadBalanceWeight=\"{weight}\"><Transport Hostname=\"h\" Port=\"1\"/></Server>"
        )
    };
    let servers = [server("a", 301), server("b", 150), server("c", 1), server("d", 0)].concat();
    let imported = imported(&format!("<Config><ServerCluster Name=\"c\">{servers}</ServerCluster></Config>"));
    let weights: Vec<u16> =
        config(&imported.toml).clusters[0].ports[0].servers.iter().map(|server| server.weight.get().into()).collect();
    assert_eq!(weights, [100, 50, 1, 0]);
    assert!(
        imported.remarks.iter().any(|remark| remark.text.contains("LoadBalanceWeight 301 of server `a` becomes 100"))
    );
}

#[test]
fn latin_letters_are_read_where_they_are_declared() {
    let bytes = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><Config Name=\"K\xf6ln\"/>";
    assert!(latin1(bytes).is_some_and(|text| text.contains("K\u{f6}ln")));
    assert_eq!(latin1(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Config Name=\"K\xf6ln\"/> iso-8859-1"), None);
    assert_eq!(latin1(b"\xff\xfe<"), None);
}

#[test]
fn bombs_and_giants_are_refused_without_being_expanded() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;&lol;\">]>\n<Config>&lol2;</Config>";
    assert_eq!(
        faults(bomb),
        ["line 2: document types and entities are not read; they have no place in a plugin-cfg.xml"]
    );
    assert_eq!(
        faults("<Config>&lol;</Config>"),
        ["line 1: the entity `lol` is not known; a plugin-cfg.xml has only those of XML itself"]
    );
    imported(&WAS.replace("</Config>", "you &amp; I&#33;</Config>"));
    assert!(faults("<Config a=\"&lol;\"/>")[0].starts_with("line 1: "));
    let giant = "x".repeat(MAX_XML + 1);
    assert_eq!(faults(&giant), ["line 1: the file is larger than 16 MiB; that is no plugin-cfg.xml"]);
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    assert_eq!(faults(&deep), ["line 1: elements are more than 32 deep; that is no plugin-cfg.xml"]);
    let many = format!("<a>{}</a>", "<b/>".repeat(100_001));
    assert_eq!(faults(&many), ["line 1: there are more than 100,000 elements; that is no plugin-cfg.xml"]);
    for broken in [
        "",
        "   ",
        "<",
        "<Config",
        "<Config>",
        "<Config></Konfig>",
        "<a/><b/>",
        "<Config a=1/>",
        "<Config a=\"1\" a=\"2\"/>",
    ] {
        assert!(import_plugin(broken, "x", &Front::default()).is_err(), "{broken}");
    }
}

#[test]
fn boms_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", WAS.replace('\n', "\r\n"));
    let (plain, windows) = (imported(WAS), imported(&windows));
    assert_eq!(plain.toml, windows.toml);
    assert_eq!(plain.remarks, windows.remarks);
    assert!(is_xml("\u{feff}\n <Config/>") && !is_xml("executor start\n"));
}

#[test]
fn a_script_keeps_all_lines_that_can_be_kept() {
    let script = "executor start\ncluster add shop address 192.0.2.10\nport add shop:80 method http\n\
                  server add shop:80:w1 address 192.0.2.21 cloneid one\nfrobnicate\nserver add shop:81:w2\n\
                  highavailability heartbeat add 1.2.3.4 5.6.7.8\nrule add shop:80:r type true\n";
    let imported = import_script(script, "default.cfg").unwrap_or_else(|faults| panic!("{faults}"));
    let config = config(&imported.toml);
    assert_eq!(config.clusters[0].ports[0].servers[0].proxied.clone_id.as_deref(), Some("one"));
    assert_eq!(config.clusters[0].ports[0].rules.len(), 1);
    let lines: Vec<u32> = imported.remarks.iter().map(|remark| remark.line).collect();
    assert!([5, 6, 7].iter().all(|line| lines.contains(line)), "{:#?}", imported.remarks);
    assert!(import_script("frobnicate\n", "default.cfg").is_err(), "nothing is left");
}

/// A cluster whose name is no address needs one. That shows only when the whole is looked at, and the import came out with a
/// configuration that could not be loaded.
#[test]
fn lines_that_make_no_sense_together_are_left_out_too() {
    let script = "cluster add shop\nport add shop:80 method http\ncluster add b address 192.0.2.1\n";
    let imported = import_script(script, "default.cfg").unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config(&imported.toml).clusters.len(), 1);
    let lines: Vec<u32> = imported.remarks.iter().map(|remark| remark.line).collect();
    assert!([1, 2].iter().all(|line| lines.contains(line)), "{:#?}", imported.remarks);
}

/// Each round of leaving lines out met the next line that was too much, and took as long as all before.
#[test]
fn a_script_that_means_too_many_objects_is_kept_up_to_there() {
    let names: Vec<String> = (1..=1000).map(|number| format!("w{number}")).collect();
    let servers = format!(
        "cluster add c address 192.0.2.1\nport add c:80 method http\nserver add c:80:{} address ::1\n",
        names.join("+")
    );
    let imported = import_script(&format!("{servers}{}", "server set :: weight 5\n".repeat(1000)), "default.cfg");
    let imported = imported.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config(&imported.toml).clusters[0].ports[0].servers.len(), 1000);
    assert!(imported.remarks.iter().any(|remark| remark.line == 265 && remark.text.contains("the rest was not read")));
}

/// Names of elements and attributes reached the terminal as they were, in messages of ours and of the XML reader.
#[test]
fn control_characters_in_names_are_shown_as_such() {
    for text in
        ["<Con\u{1b}[2Jfig/>", "<Config \u{9b}2J=\"x\"/>", "<Config><Con\u{1b}[2J></Config>", "<Config a\u{7}/>"]
    {
        let faults = import_plugin(text, "x", &Front::default()).expect_err(text);
        let told = faults.to_string();
        assert!(!told.chars().any(char::is_control) && told.len() < 500, "{told:?}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_disaster(text in "(<|>|/|Config|ServerCluster|Server|Name|=|\"|&|;|!|\\[|-|a|\n| ){0,60}") {
        let _ = import_plugin(&text, "x", &Front::default());
        let _ = import_script(&text, "x");
    }

    /// Whatever names are like, what comes out can be loaded.
    #[test]
    fn names_of_all_kinds_can_be_loaded(cluster in "[a-zA-Z0-9 _./äö-]{1,80}", server in "[a-zA-Z0-9 _./\\\\ö-]{1,80}") {
        let text = format!(
            "<Config><ServerCluster Name=\"{cluster}\"><Server Name=\"{server}\"><Transport Hostname=\"h\" Port=\"1\"/></Server>\
             <Server Name=\"{server}x\"><Transport Hostname=\"h\" Port=\"2\"/></Server></ServerCluster>\
             <Route ServerCluster=\"{cluster}\"/></Config>"
        );
        let imported = imported(&text);
        config(&imported.toml);
    }
}
