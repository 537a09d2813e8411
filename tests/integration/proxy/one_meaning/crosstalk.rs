//! Nobody ever gets a piece of what is another's, whatever goes on around him: clients of both protocols that give up, are slow,
//! are parked; servers that hang up, answer too early and break off.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use http::Request;

use crate::support::http2::{Http2, rest, send};
use crate::support::{Client, Origin, PATIENCE, Setup, Site, Visit};

const CLIENTS_1: usize = 6;
const CLIENTS_2: usize = 4;
const REQUESTS: usize = 400;
const STREAMS: usize = 8;

/// How a server answers, by the first part of the path.
const WAYS: [&str; 7] = ["sized", "chunked", "close", "drop", "early", "big", "short"];

/// What of anybody's a message is made of: its number, again and again.
fn of(id: usize, times: usize) -> String {
    format!("{id};").repeat(times)
}

fn times(way: &str, id: usize) -> usize {
    if way == "big" { 20_000 } else { id % 300 + 1 }
}

/// What servers saw that they should not have seen.
type Wrongs = Arc<Mutex<Vec<String>>>;

fn origin(wrongs: &Wrongs) -> Origin {
    let wrongs = Arc::clone(wrongs);
    Origin::new(move |visit| {
        for served in 0.. {
            let Some(head) = visit.request() else { return };
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut parts = path.split('/').skip(1);
            let (Some(way), Some(Ok(id))) = (parts.next(), parts.next().map(str::parse::<usize>)) else {
                wrongs.lock().unwrap().push(head);
                return;
            };
            if !answer(visit, (way, id, served), &head, &wrongs) {
                return;
            }
        }
    })
}

/// `false`: the server ends the connection.
fn answer(visit: &mut Visit, (way, id, served): (&str, usize, usize), head: &str, wrongs: &Wrongs) -> bool {
    if way == "drop" && served > 0 && head.starts_with("GET ") {
        // As a server whose time for idle connections is over.
        return false;
    }
    let text = of(id, times(way, id));
    if way == "early" {
        visit.send(format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
    }
    let body = String::from_utf8_lossy(&visit.body_of(head)).into_owned();
    // A client that gave up has left a part of its own here, and nothing of another's.
    let whole = of(id, body.len() / of(id, 1).len() + 1);
    if !whole.starts_with(&body) {
        wrongs.lock().unwrap().push(format!("{head}{body:.200}"));
    }
    match way {
        "early" => {}
        "chunked" => {
            visit.send(format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nTransfer-Encoding: chunked\r\n\r\n"));
            for piece in text.as_bytes().chunks(100) {
                visit.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
            }
            visit.send("0\r\n\r\n");
        }
        "close" => {
            visit.send(format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\n\r\n{text}"));
            return false;
        }
        "short" => {
            visit.send(format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nContent-Length: {}\r\n\r\n{text}", text.len() + 1));
            return false;
        }
        _ => {
            visit.send(format!("HTTP/1.1 200 OK\r\nX-Id: {id}\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
        }
    }
    true
}

struct Crowd {
    site: Site,
    next: AtomicUsize,
    whole: AtomicUsize,
}

impl Crowd {
    fn id(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A whole answer is one's own, to the last byte. Where a server's way is to break off, there is none.
    fn check(&self, way: &str, id: usize, status: u16, named: Option<&str>, body: &str) {
        if status != 200 {
            // Ours: a server could not be asked.
            assert!(named.is_none() && body.starts_with(&status.to_string()), "{way} {id}: {status} {body:.200}");
            return;
        }
        assert_ne!(way, "short", "{id}: what broke off looked whole");
        assert_eq!(named, Some(&*id.to_string()), "{way}: another's head");
        assert!(body == of(id, times(way, id)), "{way} {id}: {body:.200}");
        self.whole.fetch_add(1, Ordering::Relaxed);
    }

    /// A client of HTTP/1.1.
    fn by_http11(&self, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut client = self.site.client();
        for _ in 0..REQUESTS {
            let (id, way) = (self.id(), WAYS[rng.usize(0..WAYS.len())]);
            if !self.exchange(&mut client, (id, way), &mut rng) {
                client = self.site.client();
            }
        }
    }

    /// `false`: the connection is over.
    fn exchange(&self, client: &mut Client, (id, way): (usize, &str), rng: &mut Rng) -> bool {
        let body = if rng.bool() { of(id, rng.usize(0..3000)) } else { String::new() };
        let request = if body.is_empty() {
            format!("GET /{way}/{id} HTTP/1.1\r\nHost: a\r\n\r\n")
        } else {
            format!("POST /{way}/{id} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        match rng.u8(0..10) {
            0 => {
                // It gives up, at any byte.
                let _gone = client.try_send(&request.as_bytes()[..rng.usize(0..request.len())]);
                return false;
            }
            1 => {
                // It leaves with a part of its answer.
                let _gone = client.try_send(&request);
                let _beginning = client.line();
                return false;
            }
            2 => {
                // It is slow.
                for piece in request.as_bytes().chunks(request.len().div_ceil(5)) {
                    if client.try_send(piece).is_err() {
                        return false;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            _ => {
                if client.try_send(&request).is_err() {
                    return false;
                }
            }
        }
        match client.try_answer("GET") {
            Ok(answer) => {
                self.check(way, id, answer.status, answer.field("x-id"), answer.text());
                answer.field("connection") != Some("close")
            }
            Err(_) => false,
        }
    }

    /// One of HTTP/2, with some streams at once.
    async fn by_http2(&self, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut client = Http2::plain(self.site.address).await;
        for _ in 0..REQUESTS / STREAMS {
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let (id, way) = (self.id(), WAYS[rng.usize(0..WAYS.len())]);
                let body = if rng.bool() { of(id, rng.usize(0..3000)) } else { String::new() };
                let method = if body.is_empty() { "GET" } else { "POST" };
                let request = Request::builder().method(method).uri(format!("http://a/{way}/{id}")).body(()).unwrap();
                let (response, stream) = client.begin(request, body.is_empty()).await;
                streams.push(self.stream((id, way), body, (response, stream), rng.u8(0..8)));
            }
            futures_all(streams).await;
        }
    }

    async fn stream(
        &self,
        (id, way): (usize, &str),
        body: String,
        (response, mut stream): (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>),
        mood: u8,
    ) {
        if mood == 0 {
            send(&mut stream, &body.as_bytes()[..body.len() / 2]).await;
            stream.send_reset(h2::Reason::CANCEL);
            return;
        }
        let sending = async {
            if !body.is_empty() {
                send(&mut stream, body.as_bytes()).await;
                let _gone = stream.send_data(bytes::Bytes::new(), true);
            }
        };
        let receiving = async {
            let (head, body) = response.await.ok()?.into_parts();
            if mood == 1 {
                // It leaves with a part of its answer.
                return None;
            }
            rest(http::Response::from_parts(head, ()), body).await.ok()
        };
        if let (_, Some(answer)) = tokio::join!(sending, receiving) {
            let named = answer.head.headers().get("x-id").map(|id| id.to_str().unwrap());
            self.check(way, id, answer.status(), named, answer.text());
        }
    }
}

/// All of them at once.
async fn futures_all(futures: Vec<impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|cx| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(cx).is_ready()) {
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[test]
fn everybody_gets_his_own() {
    const SEED: u64 = 7;
    let wrongs = Wrongs::default();
    let (first, second) = (origin(&wrongs), origin(&wrongs));
    let site = Setup::http(&[&first, &second])
        .workers(2)
        .change(|port| {
            port.http2 = true;
            // Between two requests of a client that is only a little slow, it is parked.
            port.timeouts.park = Duration::from_millis(1);
        })
        .start();
    let crowd = Crowd { site, next: AtomicUsize::new(0), whole: AtomicUsize::new(0) };
    std::thread::scope(|scope| {
        for number in 0..CLIENTS_1 {
            let crowd = &crowd;
            scope.spawn(move || crowd.by_http11(SEED + number as u64));
        }
        for number in 0..CLIENTS_2 {
            let crowd = &crowd;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let story = crowd.by_http2(SEED + 100 + number as u64);
                runtime.block_on(async { tokio::time::timeout(4 * PATIENCE, story).await.expect("in time") });
            });
        }
    });
    assert_eq!(*wrongs.lock().unwrap(), Vec::<String>::new());
    let (asked, whole) = (crowd.next.into_inner(), crowd.whole.into_inner());
    assert!(whole > asked / 2, "{whole} of {asked}: most get their answer");
    assert!(crowd.site.counters().pool_stale > 0, "some asked twice");
    crowd.site.until("nothing runs", |site| site.server(0).active + site.server(1).active == 0);
}
