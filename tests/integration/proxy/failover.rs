//! Servers that fail: who is asked next, who is left alone, and who tries it again. The web-server plug-in's table, line by
//! line, through the real proxy, and ours beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tsuji::executor::Marked;
use tsuji::message::ErrorReason;
use tsuji::model::{Compat, ForwardingMethod, Port};

use crate::support::client::Answer;
use crate::support::site::PORT;
use crate::support::{Origin, Setup, Site, Visit};

const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";

fn plugin(port: &mut Port) {
    port.policy.compat = Compat::Plugin;
    port.policy.max_fails = 1;
    port.policy.retry_interval = Duration::from_secs(60);
    port.policy.retry_budget = 100;
    port.policy.timeout_retries = None;
    port.policy.retries = 9;
    port.timeouts.server = Duration::from_millis(100);
}

/// Does this to the first requests, then answers `a`.
fn moody(what: impl Fn(&mut Visit) + Send + Sync + 'static, times: usize) -> (Origin, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = Origin::new(move |visit| {
        while let Some(request) = visit.request() {
            let body = visit.body_of(&request);
            if count.fetch_add(1, Ordering::SeqCst) < times {
                return what(visit);
            }
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\na", 1 + body.len()));
            visit.send(body);
        }
    });
    (origin, asked)
}

fn silent(visit: &mut Visit) {
    visit.wait_for_end();
}

fn hangs_up(_: &mut Visit) {}

fn marked(site: &Site, server: usize) -> bool {
    site.mark(server).read(Instant::now()) != Marked::No
}

fn send(site: &Site, request: &str) -> Answer {
    site.client().send(request).answer()
}

/// The server whose turn is first fails in some way; what the client gets, and whether that server is marked.
fn first_fails(origin: &Origin, change: impl FnOnce(&mut Port), request: &str) -> (Answer, bool) {
    let other = Origin::mirror();
    let site = Setup::http(&[origin, &other])
        .change(|port| {
            plugin(port);
            change(port);
        })
        .start();
    let answer = send(&site, request);
    (answer, marked(&site, 0))
}

#[test]
fn a_refused_connection_marks_and_the_next_is_asked_whatever_it_is() {
    for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", POST] {
        let good = Origin::mirror();
        let site = Setup::with_addresses(ForwardingMethod::Http, vec![Origin::nobody(), good.address()])
            .change(plugin)
            .start();
        assert_eq!(send(&site, request).status, 200);
        assert!(marked(&site, 0));
        for _ in 0..4 {
            send(&site, request);
        }
        assert_eq!(site.server(0).failed, 1, "left alone from then on");
        assert_eq!(site.counters().marked_down, 1);
    }
}

#[test]
fn timeouts_by_the_sign_of_serveriotimeout_and_by_postbuffersize() {
    type Change = fn(&mut Port);
    let keep: Change = |_| {};
    let mark: Change = |port| port.servers[0].proxied.marks_on_timeout = true;
    let unbuffered: Change = |port| port.policy.post_buffer = Some(0);
    let unbuffered_mark: Change = |port| {
        port.policy.post_buffer = Some(0);
        port.servers[0].proxied.marks_on_timeout = true;
    };
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let cases = [
        ("GET, positive", get, keep, 200, false),
        ("GET, negative", get, mark, 200, true),
        ("POST, positive, buffered", POST, keep, 200, false),
        ("POST, negative, buffered", POST, mark, 200, true),
        ("POST, positive, not buffered", POST, unbuffered, 504, false),
        ("POST, negative, not buffered", POST, unbuffered_mark, 504, true),
    ];
    for (name, request, change, status, marks) in cases {
        let (slow, _) = moody(silent, 9);
        let (answer, is_marked) = first_fails(&slow, change, request);
        assert_eq!((answer.status, is_marked), (status, marks), "{name}");
        if request == POST && status == 200 {
            assert!(answer.text().ends_with("hello"), "the whole body again: {}", answer.text());
        }
    }
}

#[test]
fn serveriotimeoutretry_bounds_the_waits() {
    for (retries, asked) in [(0, 1), (1, 2), (9, 3)] {
        let servers: Vec<(Origin, Arc<AtomicUsize>)> = (0..3).map(|_| moody(silent, 9)).collect();
        let site = Setup::http(&servers.iter().map(|(origin, _)| origin).collect::<Vec<_>>())
            .change(|port| {
                plugin(port);
                port.policy.timeout_retries = Some(retries);
            })
            .start();
        let answer = site.client().get("/");
        let all: usize = servers.iter().map(|(_, asked)| asked.load(Ordering::SeqCst)).sum();
        assert_eq!((all, answer.reason()), (asked, Some("server-timeout")));
        assert!(servers.iter().all(|(_, asked)| asked.load(Ordering::SeqCst) <= 1), "never the same twice");
    }
}

#[test]
fn a_large_body_is_lost_for_a_second_attempt_and_a_small_one_is_not() {
    for (length, status) in [(1000, 200), (3000, 504)] {
        let (slow, _) = moody(silent, 9);
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
        let (answer, _) = first_fails(&slow, |port| port.policy.post_buffer = Some(2000), &request);
        assert_eq!(answer.status, status, "{length} bytes");
    }
}

#[test]
fn a_body_in_chunks_is_sent_again_in_chunks() {
    let (gone, _) = moody(silent, 9);
    let request = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let other = Origin::new(|visit| {
        let _head = visit.request();
        let (body, _) = visit.chunks();
        visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        visit.send(body);
    });
    let site = Setup::http(&[&gone, &other]).change(plugin).start();
    assert_eq!(send(&site, request).text(), "hello");
}

#[test]
fn an_extended_handshake_that_fails_marks_and_one_that_succeeds_precedes_each_request() {
    let silent_proxy = Origin::new(|visit| {
        visit.request();
        visit.wait_for_end();
    });
    let (answer, is_marked) =
        first_fails(&silent_proxy, |port| port.servers[0].proxied.extended_handshake = true, POST);
    assert_eq!((answer.status, is_marked), (200, true));
    assert!(silent_proxy.heads()[0].starts_with("HEAD / HTTP/1.1\r\nhost: x\r\n"), "{:?}", silent_proxy.heads());
    let good = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            let body = visit.body_of(&request);
            let text = if request.starts_with("HEAD") { "" } else { "a" };
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{text}"));
            drop(body);
        }
    });
    let site = Setup::http(&[&good]).change(|port| port.servers[0].proxied.extended_handshake = true).start();
    let mut client = site.client();
    assert_eq!((client.get("/").text(), client.get("/").text()), ("a", "a"));
    let methods: Vec<String> = good.heads().iter().map(|head| head[..4].to_owned()).collect();
    assert_eq!(methods, ["HEAD", "GET ", "HEAD", "GET "]);
    assert_eq!(good.connections(), 1);
}

/// An answer to HEAD has no body. What comes in its place is not the answer to the client's request.
#[test]
fn an_extended_handshake_that_is_answered_with_a_body_has_failed() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let origin = Origin::saying(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{poison}", poison.len()));
    let site = Setup::http(&[&origin]).change(|port| port.servers[0].proxied.extended_handshake = true).start();
    assert_eq!(site.client().get("/").reason(), Some("handshake-failed"));
}

#[test]
fn a_503_goes_to_another_server_without_a_mark_and_the_last_one_to_the_client() {
    let busy = || Origin::saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
    for compat in [Compat::Off, Compat::Plugin] {
        let (first, good) = (busy(), Origin::named("b"));
        let site = Setup::http(&[&first, &good]).change(|port| port.policy.compat = compat).start();
        for _ in 0..4 {
            assert_eq!(site.client().get("/").text(), "b");
        }
        assert!(!marked(&site, 0) && site.server(0).responses[4] >= 2, "{:?}", site.server(0));
        let (one, two) = (busy(), busy());
        let site = Setup::http(&[&one, &two]).change(|port| port.policy.compat = compat).start();
        let answer = site.client().get("/");
        assert_eq!((answer.status, answer.text(), answer.reason()), (503, "busy", None));
        assert_eq!(one.heads().len() + two.heads().len(), 2, "each was asked once");
        let post = send(&site, POST);
        let asked = one.heads().len() + two.heads().len() - 2;
        assert_eq!((post.text(), asked), ("busy", if compat == Compat::Plugin { 2 } else { 1 }), "{compat:?}");
    }
}

#[test]
fn other_errors_of_a_server_are_answers() {
    for status in [500, 501, 502, 504] {
        let failing = Origin::saying(format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\nx"));
        let (answer, is_marked) = first_fails(&failing, |_| {}, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!((answer.status, is_marked), (status, false));
    }
}

#[test]
fn after_the_interval_one_request_tries_it_and_its_success_takes_the_mark_off() {
    let (slow, asked) = moody(
        |visit| {
            std::thread::sleep(Duration::from_millis(150));
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        },
        1,
    );
    let good = Origin::named("b");
    let site = Setup::http(&[&slow, &good])
        .change(|port| {
            plugin(port);
            port.timeouts.server = Duration::from_secs(2);
        })
        .start();
    // The interval is over, and the trial takes its time.
    site.mark(0).mark(Instant::now() - Duration::from_secs(60), Duration::from_secs(60));
    let answers: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| site.client().get("/").text().to_owned())).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| *answer == "a").count(), 1, "{answers:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "exactly one trial");
    assert!(!marked(&site, 0));
    let turns: String = (0..4).map(|_| site.client().get("/").text().to_owned()).collect();
    assert!(turns.contains('a'), "{turns}");
}

#[test]
fn a_trial_that_fails_or_says_503_begins_the_interval_again() {
    let unavailable: fn(&mut Visit) = |visit| {
        visit.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
    };
    for failing in [unavailable, hangs_up as fn(&mut Visit), silent] {
        let (bad, asked) = moody(failing, 99);
        let good = Origin::named("b");
        let site = Setup::http(&[&bad, &good]).change(plugin).start();
        site.mark(0).mark(Instant::now() - Duration::from_secs(61), Duration::from_secs(60));
        for _ in 0..4 {
            assert_eq!(site.client().get("/").text(), "b");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(matches!(site.mark(0).read(Instant::now()), Marked::For(_)));
    }
}

#[test]
fn a_session_whose_server_is_marked_is_balanced_and_not_given_to_the_next_in_the_list() {
    let good = [Origin::named("b"), Origin::named("c")];
    let addresses = vec![Origin::nobody(), good[0].address(), good[1].address()];
    let site = Setup::with_addresses(ForwardingMethod::Http, addresses)
        .change(|port| {
            plugin(port);
            port.servers[0].proxied.clone_id = Some("one".to_owned());
        })
        .start();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=0001:one\r\n\r\n";
    let answers: String = (0..6).map(|_| send(&site, request).text().to_owned()).collect();
    assert!(answers.matches('b').count() == 3 && answers.matches('c').count() == 3, "{answers}");
    assert_eq!(site.server(0).failed, 1);
}

#[test]
fn primaries_come_before_backups_and_backups_one_after_the_other() {
    let origins: Vec<Origin> = ["a", "b", "c"].map(Origin::named).into();
    let site = Setup::http(&origins.iter().collect::<Vec<_>>())
        .change(|port| {
            plugin(port);
            (1..3).for_each(|backup| port.servers[backup].proxied.backup = true);
        })
        .start();
    let answers = |site: &Site| -> String { (0..3).map(|_| site.client().get("/").text().to_owned()).collect() };
    assert_eq!(answers(&site), "aaa");
    origins[0].kill();
    assert_eq!(answers(&site), "bbb");
    origins[1].kill();
    assert_eq!(answers(&site), "ccc");
}

#[test]
fn maxconnections_goes_to_the_next_server_and_then_waits_in_line() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    let site = Setup::http(&[&first, &second])
        .workers(2)
        .change(|port| {
            port.servers.iter_mut().for_each(|server| server.proxied.max_connections = 1);
            port.policy.max_queue = 2;
            port.policy.queue_timeout = Duration::from_millis(300);
        })
        .start();
    let hold = |server: usize| {
        tsuji::executor::ActiveConnection::begin(site.server_counters(server), tsuji::executor::Lane(0))
    };
    let a = hold(0);
    assert!((0..3).all(|_| site.client().get("/").text() == "b"));
    let b = hold(1);
    let begun = Instant::now();
    let late = site.client().get("/");
    assert_eq!((late.status, late.reason()), (503, Some("queue-timeout")));
    assert!(begun.elapsed() >= Duration::from_millis(290));
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let answer = site.client().get("/");
                    (answer.status, answer.reason().unwrap_or_default().to_owned())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        drop((a, b));
        // As the end of a request does.
        let table = site.shared.table();
        table.port(PORT).unwrap().groups()[0].queue.notify();
        waiting.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let full = answers.iter().filter(|(_, reason)| reason == "queue-full").count();
    assert_eq!(full, 2, "two may wait: {answers:?}");
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 2, "{answers:?}");
    assert_eq!(site.reason(ErrorReason::QueueFull), 2);
}

#[test]
fn no_more_than_maxconnections_at_one_time_however_many_workers() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let origin = Origin::new(move |visit| {
        while visit.request().is_some() {
            peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            count.fetch_sub(1, Ordering::SeqCst);
            visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        }
    });
    let site = Setup::http(&[&origin])
        .workers(2)
        .change(|port| {
            port.servers[0].proxied.max_connections = 3;
            port.policy.queue_timeout = Duration::from_secs(20);
        })
        .start();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = site.client();
                for _ in 0..20 {
                    assert_eq!(client.get("/").status, 200);
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn a_session_waits_for_its_own_server() {
    let (first, second) = (Origin::named("a"), Origin::named("b"));
    for (compat, expected) in [(Compat::Off, 503), (Compat::Plugin, 200)] {
        let site = Setup::http(&[&first, &second])
            .change(|port| {
                port.policy.compat = compat;
                port.policy.queue_timeout = Duration::from_millis(100);
                port.servers[0].proxied.max_connections = 1;
                port.servers[0].proxied.clone_id = Some("one".to_owned());
            })
            .start();
        let _held = tsuji::executor::ActiveConnection::begin(site.server_counters(0), tsuji::executor::Lane(0));
        let answer = send(&site, "GET / HTTP/1.1\r\nHost: x\r\nCookie: JSESSIONID=0001:one\r\n\r\n");
        assert_eq!(answer.status, expected, "{compat:?}");
    }
}

#[test]
fn ours_repeats_what_is_safe_and_nothing_else() {
    let cases = [("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200), (PUT, 200), (POST, 502)];
    for (request, status) in cases {
        let (gone, _) = moody(hangs_up, 9);
        let other = Origin::mirror();
        let site = Setup::http(&[&gone, &other]).start();
        let answer = send(&site, request);
        assert_eq!(answer.status, status, "{request}");
        if request == PUT {
            assert!(answer.text().ends_with("hello"));
        }
    }
}

#[test]
fn five_failures_in_a_row_put_a_server_aside_and_a_success_between_them_does_not() {
    let (bad, asked) = moody(hangs_up, 99);
    let good = Origin::named("b");
    let site = Setup::http(&[&bad, &good]).change(|port| port.policy.retry_interval = Duration::from_secs(60)).start();
    for _ in 0..20 {
        assert_eq!(site.client().get("/").text(), "b");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    assert!(marked(&site, 0));
    let alone = Setup::with_addresses(ForwardingMethod::Http, vec![Origin::nobody()]).start();
    for _ in 0..20 {
        assert_eq!(alone.client().get("/").reason(), Some("connect-refused"));
    }
    assert!(!marked(&alone, 0), "never the last");
}

#[test]
fn second_attempts_end_with_their_budget() {
    let good = Origin::named("b");
    let site = Setup::with_addresses(ForwardingMethod::Http, vec![Origin::nobody(), good.address()])
        .change(|port| {
            port.policy.max_fails = 0;
            port.policy.retry_budget = 0;
        })
        .start();
    let mut client = site.client();
    let answers: Vec<u16> = (0..400).map(|_| client.get("/").status).collect();
    let failed = answers.iter().filter(|status| **status == 502).count();
    assert!(failed > 50, "{failed}");
    assert_eq!(site.reason(ErrorReason::RetryBudget), failed as u64);
    assert!(site.port().retries.iter().sum::<u64>() >= 100);
}

#[test]
fn bodies_have_a_bound() {
    let origin = Origin::mirror();
    let site = Setup::http(&[&origin]).change(|port| port.policy.post_limit = Some(4)).start();
    let answer = send(&site, POST);
    assert_eq!((answer.status, answer.reason()), (413, Some("body-too-large")));
    assert_eq!(origin.connections(), 0);
    let chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let answer = send(&site, chunked);
    assert_eq!((answer.status, answer.reason()), (413, Some("body-too-large")));
    let small = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhell";
    assert_eq!(send(&site, small).status, 200);
}

#[test]
fn tcp_connections_leave_a_dead_server_alone_too() {
    let good = Origin::new(|visit| {
        visit.some();
        visit.send("b");
    });
    let site = Setup::with_addresses(ForwardingMethod::Tcp, vec![Origin::nobody(), good.address()])
        .change(|port| {
            port.policy.max_fails = 2;
            port.policy.retry_interval = Duration::from_secs(60);
        })
        .start();
    for _ in 0..10 {
        assert_eq!(site.client().send("x").rest().unwrap(), b"b");
    }
    assert_eq!(site.server(0).failed, 2);
}

/// Whatever a server does in the middle of a body, the next one gets all of it or the client an error: never a part.
#[test]
fn bodies_are_sent_again_whole_or_not_at_all() {
    let fickle = Origin::new(|visit| {
        let mut turn = visit.number;
        while let Some(request) = visit.request() {
            let length: usize = request
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse().unwrap());
            turn = turn.wrapping_mul(31).wrapping_add(7);
            match turn % 4 {
                // Hangs up after a part of it, or after all of it, or keeps silent and hangs up, or says that it is busy.
                0 => {
                    visit.bytes(length / 2);
                    return;
                }
                1 => {
                    visit.bytes(length);
                    return;
                }
                2 => {
                    visit.reset();
                    return;
                }
                _ => {
                    visit.bytes(length);
                    visit.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
                }
            }
        }
    });
    let whole = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            let body = visit.body_of(&request);
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            visit.send(&body);
        }
    });
    let site = Setup::http(&[&fickle, &whole])
        .change(|port| {
            plugin(port);
            port.policy.max_fails = 0;
            port.policy.post_buffer = Some(40_000);
            port.timeouts.server = Duration::from_secs(5);
        })
        .start();
    let (mut again, mut lost) = (0, 0);
    let mut client = site.client();
    for number in 0_usize..300 {
        let length = number * 7919 % 60_000;
        let body: Vec<u8> = (0..length).map(|at| b'a' + ((at + number) % 23) as u8).collect();
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        client.send(head);
        // In pieces, so that servers end between them.
        let sent = body.chunks(1 + number * 13 % 9000).all(|piece| client.try_send(piece).is_ok());
        let answer = client.try_answer("POST").ok().filter(|_| sent);
        match answer.as_ref().map(|answer| answer.status) {
            Some(200) => {
                assert!(answer.as_ref().unwrap().body == body, "request {number}: another body of {length} bytes came");
                again += 1;
            }
            _ => lost += 1,
        }
        if answer.is_none_or(|answer| answer.status != 200 || answer.field("connection") == Some("close")) {
            client = site.client();
        }
    }
    assert!(again > 150 && lost > 10, "{again} came whole, {lost} were told lost");
}

#[test]
fn a_body_that_goes_on_after_a_503_comes_whole_to_the_next_server() {
    let busy = Origin::new(|visit| {
        while visit.request().is_some() {
            visit.bytes(10_000);
            visit.send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
            while !visit.bytes(1000).is_empty() {}
        }
    });
    let whole = Origin::new(|visit| {
        while let Some(request) = visit.request() {
            if request.starts_with("HEAD") {
                // The client sends on meanwhile.
                std::thread::sleep(Duration::from_millis(30));
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let body = visit.body_of(&request);
            visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            visit.send(&body);
        }
    });
    let site = Setup::http(&[&busy, &whole])
        .change(|port| {
            plugin(port);
            port.policy.max_fails = 0;
            port.servers[1].proxied.extended_handshake = true;
            port.policy.post_buffer = Some(30_000);
        })
        .start();
    let mut whole_ones = 0;
    for number in 0_usize..40 {
        let length = 100_000;
        let body: Vec<u8> = (0..length).map(|at| b'a' + ((at + number) % 23) as u8).collect();
        let mut client = site.client();
        client.send(format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"));
        let sent = body.chunks(5000).all(|piece| {
            std::thread::sleep(Duration::from_millis(1));
            client.try_send(piece).is_ok()
        });
        match client.try_answer("PUT") {
            Ok(answer) if answer.status == 200 => {
                assert!(sent && answer.body == body, "request {number}: {} bytes of it came", answer.body.len());
                whole_ones += 1;
            }
            Ok(answer) => assert_eq!(answer.status, 503, "request {number}"),
            Err(_) => assert!(!sent, "request {number} has no answer"),
        }
    }
    assert!(whole_ones >= 20, "{whole_ones}");
}

#[test]
fn a_new_table_with_more_room_lets_those_in_line_go_on() {
    let site = Setup::http(&[&Origin::named("a")])
        .change(|port| {
            port.servers[0].proxied.max_connections = 1;
            port.policy.queue_timeout = Duration::from_secs(20);
        })
        .start();
    let _full = tsuji::executor::ActiveConnection::begin(site.server_counters(0), tsuji::executor::Lane(0));
    let begun = Instant::now();
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.client().get("/").text().to_owned());
        while site.shared.table().port(PORT).unwrap().groups()[0].queue.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits");
            std::thread::sleep(Duration::from_millis(5));
        }
        site.change(|setup| setup.port.servers[0].proxied.max_connections = 2);
        waiting.join().unwrap()
    });
    assert!(answer == "a" && begun.elapsed() < Duration::from_secs(15), "{answer} after {:?}", begun.elapsed());
}
