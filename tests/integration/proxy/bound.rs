//! NTLM and Negotiate: servers take whatever comes over a connection for the client that authenticated there. Its connection is
//! for nobody else.

use std::sync::mpsc::{Receiver, channel};

use http::Request;

use crate::support::http2::{Http2, story};
use crate::support::{Client, Origin, PATIENCE, Setup, Visit};

/// Asks for credentials until it was shown some, in two steps, and then knows the connection. Says when one has ended.
fn knowing(scheme: &'static str) -> (Origin, Receiver<usize>) {
    let (gone, ended) = channel();
    let origin = Origin::new(move |visit| {
        know(visit, scheme);
        gone.send(visit.number).unwrap();
    });
    (origin, ended)
}

fn know(visit: &mut Visit, scheme: &str) {
    let (mut challenged, mut user) = (false, None);
    while let Some(head) = visit.request() {
        let word = head.lines().find_map(|line| line.strip_prefix(&format!("authorization: {scheme} ")));
        match word {
            Some("hello") => challenged = true,
            Some(name) if challenged => user = Some(name.to_owned()),
            _ => {}
        }
        let challenge = if challenged { format!("{scheme} challenge") } else { scheme.to_owned() };
        visit.send(match &user {
            Some(user) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{user}", user.len()),
            None => format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {challenge}\r\nContent-Length: {}\r\n\r\n{challenge}",
                challenge.len()
            ),
        });
    }
}

fn say(client: &mut Client, credentials: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {credentials}\r\n\r\n");
    client.send(request).answer().text().to_owned()
}

/// Both steps.
fn log_in(client: &mut Client, scheme: &str, name: &str) {
    assert_eq!(say(client, &format!("{scheme} hello")), format!("{scheme} challenge"));
    assert_eq!(say(client, &format!("{scheme} {name}")), name);
}

#[test]
fn an_authenticated_connection_is_its_clients_alone() {
    for scheme in ["NTLM", "Negotiate"] {
        let (origin, ended) = knowing(scheme);
        let site = Setup::http(&[&origin]).start();
        let mut ann = site.client();
        assert_eq!(ann.get("/").status, 401);
        log_in(&mut ann, scheme, "ann");
        assert_eq!(ann.get("/").text(), "ann", "the server knows the connection");
        let mut bob = site.client();
        assert_eq!(bob.get("/").status, 401, "{scheme}: nobody else is taken for her");
        log_in(&mut bob, scheme, "bob");
        for _ in 0..3 {
            assert_eq!((ann.get("/").text(), bob.get("/").text()), ("ann", "bob"));
        }
        assert_eq!(origin.connections(), 2);
        drop(ann);
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(0), "it ends with its client");
        assert_eq!(bob.get("/").text(), "bob");
    }
}

/// A pool that keeps nothing, or nothing for long, has no say in it.
#[test]
fn a_bound_connection_is_kept_where_the_pool_keeps_none() {
    let (origin, _ended) = knowing("NTLM");
    let site = Setup::http(&[&origin]).change(|port| port.poolsize = 0).start();
    let mut ann = site.client();
    log_in(&mut ann, "NTLM", "ann");
    assert_eq!(ann.get("/").text(), "ann");
}

/// Both steps have to reach the same server, and so has what follows.
#[test]
fn a_bound_client_stays_with_its_server() {
    let servers = [knowing("NTLM"), knowing("NTLM")];
    let site = Setup::http(&[&servers[0].0, &servers[1].0]).start();
    for name in ["ann", "bob"] {
        let mut client = site.client();
        log_in(&mut client, "NTLM", name);
        assert_eq!(client.get("/").text(), name);
    }
}

#[test]
fn requests_of_http2_are_not_taken_for_another_client() {
    let (origin, _ended) = knowing("NTLM");
    let site = Setup::http(&[&origin]).change(|port| port.http2 = true).start();
    story(async {
        let mut ann = Http2::plain(site.address).await;
        for (word, told) in [("hello", "NTLM challenge"), ("ann", "ann")] {
            let request = Request::get("http://a/").header("authorization", format!("NTLM {word}")).body(()).unwrap();
            assert_eq!(ann.ask(request).await.unwrap().text(), told);
        }
        let mut bob = Http2::plain(site.address).await;
        assert_eq!(bob.get("/").await.status(), 401);
        assert_eq!(ann.get("/").await.text(), "ann");
    });
}

/// Other credentials are about their own request: the connection serves the next client.
#[test]
fn credentials_of_a_request_bind_nothing() {
    let origin = Origin::named("x");
    let site = Setup::http(&[&origin]).start();
    for credentials in ["Basic YTpi", "Bearer token"] {
        assert_eq!(say(&mut site.client(), credentials), "x");
    }
    assert_eq!(origin.connections(), 1);
}
