//! What works and will surprise.

use super::document;

/// Warnings of a site whose port shop:80 has two servers, after these lines.
fn warnings(lines: &str) -> Vec<String> {
    let site = "cluster add shop address 192.0.2.10\nport add shop:80 method http\nserver add shop:80:w1+w2\n";
    let document = document(&format!("{site}{lines}"), "f");
    let resolved = document.resolve().unwrap_or_else(|faults| panic!("{lines}: {faults}"));
    resolved.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_ordinary_site_has_none() {
    let ordinary = "server add shop:80:sorry sticky no\nrule add shop:80:normal type true\nrule useserver shop:80:normal w1+w2\n\
                    rule add shop:80:sorry type true\nrule useserver shop:80:sorry sorry\n\
                    server set shop:80: advisorrequest \"GET / HTTP/1.1\" advisorresponse OK\nadvisor start http 80\n";
    assert_eq!(warnings(ordinary), [""; 0]);
}

#[test]
fn each_surprise_is_told_once() {
    let cases: &[(&str, &[&str])] = &[
        ("port add shop:81 method tcp", &["f:4:10: port shop:81: it has no server, so every connection is refused"]),
        (
            "port add shop:81 method tcp sorrypage /s poolsize 3\nserver add shop:81:w1",
            &["f:4:29: port shop:81: no effect with method tcp: `sorrypage` and `poolsize`"],
        ),
        (
            "port set shop:80 trustedproxies 0.0.0.0/0",
            &["f:4:18: port shop:80: 0.0.0.0/0 trusts everybody, so every client can say that it is another"],
        ),
        (
            "port set shop:80 proxyprotocol on",
            &[
                "f:4:18: port shop:80: `proxyprotocol on` has no effect without trustedproxies: nobody's header would be read",
            ],
        ),
        ("port set shop:80 proxyprotocol on trustedproxies 10.0.0.0/8", &[]),
        (
            "port add shop:81 method tcp trustedproxies 10.0.0.0/8\nserver add shop:81:w1",
            &["f:4:29: port shop:81: no effect with method tcp but together with `proxyprotocol on`: trustedproxies"],
        ),
        ("port add shop:81 method tcp trustedproxies ::1 proxyprotocol on sendproxy v2\nserver add shop:81:w1", &[]),
        (
            "port set shop:80 upgrade h2c",
            &[
                "f:4:18: port shop:80: requests within h2c pass without being looked at; it has been used to get past proxies",
            ],
        ),
        (
            "cluster set shop proportions 10 40 40 10",
            &[
                "f:4:18: cluster shop: nothing measures the systems of servers yet, so their part of the proportions says nothing",
                "f:4:18: cluster shop: active and new connections should count 20 percent each at least, else weights follow noise",
            ],
        ),
        (
            "server set shop:80:w1 sticky no",
            &["f:2:10: port shop:80: `sticky no` of `w1` has no effect without a rule"],
        ),
        (
            "rule add shop:80:r type ip beginrange 10.0.0.0",
            &["f:4:10: rule shop:80:r: it uses no server, so connections are refused when it is true"],
        ),
        (
            "rule add shop:80:r type true\nrule useserver shop:80:r w1",
            &["f:2:10: port shop:80: no rule uses `w2`, and one rule is always true, so no new connection goes there"],
        ),
        (
            "rule add shop:80:r type true\nrule useserver shop:80:r w1+w2\nrule add shop:80:busy type active beginrange 9\nrule useserver shop:80:busy w2",
            &[
                "f:6:10: rule shop:80:busy: rule r before it is always true, so it is asked only when no server of that one is usable",
            ],
        ),
        (
            "rule add shop:80:r type true\nrule add shop:80:q type true\nrule useserver shop:80:q w1+w2",
            &[
                "f:4:10: rule shop:80:r: it uses no server, so connections are refused when it is true",
                "f:5:10: rule shop:80:q: it is never asked, because rule r before it is always true and uses no server",
            ],
        ),
        (
            "rule add shop:80:r type ip beginrange ::1 priority 5\nrule useserver shop:80:r w1\nrule add shop:80:q type time beginrange 5 endrange 5 priority 5\nrule useserver shop:80:q w2",
            &[
                "f:4:28: rule shop:80:r: clients of 192.0.2.10 are of the other family, so it is never true",
                "f:6:43: rule shop:80:q: the range is empty, so it is never true",
                "f:6:54: rule shop:80:q: it has the priority of rule r, which is asked first only because it was made first",
            ],
        ),
        (
            "advisor start http 80",
            &[
                "f:4:20: advisor http 80: any response counts as up, a status of 500 too, because no server has an `advisorresponse`",
            ],
        ),
        (
            "advisor start connect 81",
            &["f:4:23: advisor connect 81: no cluster has a port 81 for it, so it probes nobody"],
        ),
        ("advisor start ping web:80", &["f:4:20: advisor ping web:80: there is no port web:80, so it probes nobody"]),
        (
            "advisor start connect 80\nadvisor start connect shop:80",
            &["f:4:23: advisor connect 80: no cluster has a port 80 for it, so it probes nobody"],
        ),
        (
            "advisor start connect 80\nadvisor interval connect 80 8.1\nadvisor timeout connect 80 5\nadvisor verify connect 80 yes",
            &[
                "f:5:29: advisor connect 80: the manager's interval of 2 s is less than a quarter of this one's 8.1 s, so it weighs by old loads",
                "f:6:28: advisor connect 80: loads expire (`timeout`) before the next probe (`interval`), so they seldom count",
                "f:7:27: advisor connect 80: `verify` has no effect: only advisor https sees a certificate",
            ],
        ),
        (
            "advisor start http 80\nserver set shop:80: advisorresponse OK",
            &[
                "f:5:21: server shop:80:w1: `HEAD / HTTP/1.0` is answered without a body, so `advisorresponse` is looked for in the status line and the headers alone (and 1 more of this port); a GET would be right for a page",
            ],
        ),
        ("advisor start http 80\nserver set shop:80: advisorresponse \"HTTP/1.1 200\"", &[]),
        (
            "server set shop:80:w2 advisorresponse OK",
            &[
                "f:3:12: server shop:80:w2: no http or https advisor probes this port, so `advisorrequest` and `advisorresponse` have no effect",
            ],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(warnings(lines), *expected, "{lines}");
    }
}
