//! Attacks on the whole program while others are served: what they cost, and which counter tells of them.
//!
//! The memory that an attack takes and its counter are asserted; how long the others waited is printed (`--nocapture`),
//! because that says as much of the machine as of the program. `make floods` has them all in their whole size.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Pid, gettid};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::support::{Daemon, Site, free_port, get};

/// One attack; `size` is for the number of its connections.
struct Attack {
    name: &'static str,
    /// Connections in the short form, in the whole one.
    sizes: [usize; 2],
    /// Reasons of which one at least counts it; none: what it runs into comes later than the short form ends.
    counted: &'static [&'static str],
    run: fn(&Bed, usize),
}

const ATTACKS: &[Attack] = &[
    Attack { name: "rapid reset", sizes: [4, 100], counted: &["h2-resets", "h2-protocol"], run: rapid_reset },
    Attack {
        name: "made to reset: window of 0",
        sizes: [4, 100],
        counted: &["h2-windows", "h2-protocol"],
        run: |bed, size| made_to_reset(bed, size, 8, &[0; 4]),
    },
    Attack {
        name: "made to reset: window too large",
        sizes: [4, 100],
        counted: &["h2-windows", "h2-protocol"],
        run: |bed, size| made_to_reset(bed, size, 8, &[0x7f, 0xff, 0xff, 0xff]),
    },
    Attack { name: "made to reset: data after the end", sizes: [4, 100], counted: &["h2-protocol"], run: late_data },
    Attack { name: "25,000 fields, HTTP/1.1", sizes: [20, 500], counted: &["head-too-large"], run: many_fields },
    Attack {
        name: "HPACK bomb",
        sizes: [4, 100],
        counted: &["h2-refused", "h2-protocol"],
        run: |bed, size| bomb(bed, size, false),
    },
    Attack {
        name: "cookie crumbs",
        sizes: [4, 100],
        counted: &["h2-refused", "h2-protocol"],
        run: |bed, size| bomb(bed, size, true),
    },
    Attack {
        name: "continuations",
        sizes: [4, 100],
        counted: &["h2-continuations", "h2-protocol"],
        run: continuations,
    },
    Attack { name: "windows of one byte", sizes: [2, 20], counted: &["h2-windows"], run: windows_of_one },
    Attack { name: "large responses, window of 0", sizes: [2, 8], counted: &[], run: closed_windows },
    Attack { name: "slow heads, HTTP/1.1", sizes: [200, 2000], counted: &["head-timeout"], run: slow_heads },
    Attack { name: "slow heads, HTTP/2", sizes: [200, 2000], counted: &["head-timeout"], run: slow_heads_2 },
    Attack { name: SLOW, sizes: [200, 2000], counted: &["body-timeout"], run: slow_bodies },
    Attack { name: "handshakes begun", sizes: [300, 10_000], counted: &["tls-timeout"], run: handshakes },
    Attack { name: "half a ClientHello", sizes: [300, 10_000], counted: &["tls-timeout"], run: half_hellos },
];

/// Told by its counter in its whole form alone: the first ten seconds of a body are everybody's.
const SLOW: &str = "slow bodies, HTTP/1.1";

/// By how much an attack may have the program grow.
const MOST_GROWTH: u64 = 64 << 20;

#[test]
fn floods_take_little_and_are_counted() {
    let whole = std::env::var_os("FLOODS").is_some_and(|form| form == "whole");
    let limit = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
    let mut table = format!(
        "{:34} {:>10}  {:>8} {:>8} {:>6}  {:>8} {:>8} {:>6}  counted\n",
        "attack", "growth KiB", "p99 µs", "during", "ratio", "direct", "during", "ratio"
    );
    let mut faults = Vec::new();
    let asked = std::env::var("ATTACK").unwrap_or_default();
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&asked)) {
        // On a thread of its own, which may change where and when it runs.
        let round = || thread::spawn(move || judge(attack, whole)).join().unwrap();
        let rounds: Vec<Judged> = (0..if whole { 3 } else { 1 }).map(|_| round()).collect();
        writeln!(table, "{}", row(attack.name, &rounds)).unwrap();
        faults.extend(rounds.into_iter().flat_map(|round| round.faults));
    }
    println!("{table}");
    assert!(faults.is_empty(), "{faults:#?}\n{table}");
}

/// What became of an attack.
struct Judged {
    growth: u64,
    /// Without it and with it.
    through: [Duration; 2],
    direct: [Duration; 2],
    counted: String,
    faults: Vec<String>,
}

/// The medians of all rounds; what was counted in the last.
fn row(name: &str, rounds: &[Judged]) -> String {
    let median = |of: &dyn Fn(&Judged) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let mut row = format!("{name:34} {:>10.0}", median(&|round| (round.growth >> 10) as f64));
    for which in [|round: &Judged| round.through, |round: &Judged| round.direct] {
        let times = [0, 1].map(|at| median(&|round| which(round)[at].as_micros() as f64));
        let ratio = median(&|round| which(round)[1].as_secs_f64() / which(round)[0].as_secs_f64());
        write!(row, "  {:>8.0} {:>8.0} {ratio:>6.1}", times[0], times[1]).unwrap();
    }
    row + "  " + rounds.last().map_or("", |round| &round.counted)
}

fn judge(attack: &'static Attack, whole: bool) -> Judged {
    // A program of its own for each, because what one attack took and the allocator keeps would hide what the next takes.
    let bed = if whole { Bed::apart() } else { Bed::make() };
    let before = bed.watch(Duration::from_millis(if whole { 2000 } else { 300 }), || {});
    let counts = bed.refusals();
    let during = bed.watch(Duration::from_millis(200), || (attack.run)(&bed, attack.sizes[usize::from(whole)]));
    bed.settle(attack, &counts);
    let counted = bed.refusals().into_iter().filter_map(|(reason, count)| {
        let more = count - counts.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count);
        (more > 0).then(|| format!("{reason} {more}"))
    });
    let counted = counted.collect::<Vec<_>>().join(", ");
    let growth = during.most_memory.saturating_sub(before.most_memory);
    let mut faults = Vec::new();
    if growth > MOST_GROWTH {
        faults.push(format!("{}: it grew by {} MiB", attack.name, growth >> 20));
    }
    let is_told = whole || attack.name != SLOW;
    if is_told && !attack.counted.is_empty() && !attack.counted.iter().any(|reason| counted.contains(reason)) {
        faults.push(format!("{}: not counted as one of {:?} but as {counted:?}", attack.name, attack.counted));
    }
    assert_eq!(during.failed, 0, "{}: others were not served", attack.name);
    let (through, direct) = ([before.through, during.through], [before.direct, during.direct]);
    Judged { growth, through, direct, counted, faults }
}

/// The program, a server, and clients that behave.
struct Bed {
    site: Site,
    daemon: Daemon,
    tls: SocketAddr,
    /// The clients' server.
    server: SocketAddr,
}

/// What was seen in some time.
struct Seen {
    most_memory: u64,
    /// The 99th percentile of those who ask the program, and of those who ask the server behind it: what these wait more than
    /// before is the machine's doing.
    through: Duration,
    direct: Duration,
    failed: u64,
}

impl Bed {
    /// The program has the first CPU for itself, all the others have the rest: what attackers and clients take from each
    /// other says nothing of the program.
    fn apart() -> Self {
        let this_thread = Pid::from_raw(0);
        let all = sched_getaffinity(this_thread).unwrap();
        let first = (0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap()).unwrap();
        let (mut own, mut rest) = (CpuSet::new(), all);
        own.set(first).unwrap();
        rest.unset(first).unwrap();
        let others = if rest == CpuSet::new() { all } else { rest };
        sched_setaffinity(this_thread, &others).unwrap();
        let servers = [serve(|| {}), serve(yield_to_others)];
        sched_setaffinity(this_thread, &own).unwrap();
        let bed = Self::before(servers, 1);
        sched_setaffinity(this_thread, &others).unwrap();
        bed
    }

    fn make() -> Self {
        Self::before([serve(|| {}), serve(yield_to_others)], 2)
    }

    /// The first server is for the clients, the second for the attackers, who all ask for host `a`.
    fn before(servers: [u16; 2], workers: u32) -> Self {
        let secure = free_port();
        let server = |name, port| {
            format!("[[cluster.port.server]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nmapport = {port}\n\n")
        };
        let rule = |name, pattern| {
            format!(
                "[[cluster.port.rule]]\nname = \"{name}\"\ntype = \"content\"\npattern = \"{pattern}\"\nservers = [\"{name}\"]\n\n"
            )
        };
        let [first, second] = servers;
        let server = server("others", first)
            + &server("attackers", second)
            + &rule("attackers", "host=a")
            + &rule("others", "host=shop*");
        let site = Site::new(&format!(
            "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\nhttp2 = true\nheadtimeout = 2\n{server}\
             [[cluster.port]]\nnumber = {secure}\nmethod = \"http\"\ncertificates = [\"shop.pem\"]\ntlstimeout = 3\n{server}"
        ));
        let text = std::fs::read_to_string(site.path("tsuji.toml")).unwrap();
        let executor = format!("[executor]\nmaxconnections = 16000\nworkers = {workers}\n");
        site.write("tsuji.toml", &text.replace("[executor]\nworkers = 2\n", &executor));
        let issued = rcgen::generate_simple_self_signed(vec!["shop.example".to_owned()]).unwrap();
        site.write("shop.pem", &(issued.cert.pem() + &issued.signing_key.serialize_pem()));
        let daemon = site.start();
        let at = |port| (Ipv4Addr::LOCALHOST, port).into();
        Self { site, daemon, tls: at(secure), server: at(first) }
    }

    fn plain(&self) -> SocketAddr {
        self.site.address()
    }

    fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.daemon.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    fn refusals(&self) -> Vec<(String, u64)> {
        let page = get(self.site.metrics_address(), "/metrics").body;
        let mut sums: Vec<(String, u64)> = Vec::new();
        for line in page.lines().filter(|line| line.starts_with("tsuji_port_refusals_total{")) {
            let reason = line.split("reason=\"").nth(1).unwrap().split('"').next().unwrap();
            let count = line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64;
            match sums.iter_mut().find(|(known, _)| known == reason) {
                Some((_, sum)) => *sum += count,
                None => sums.push((reason.to_owned(), count)),
            }
        }
        sums
    }

    /// Waits until nobody is left of the attack before.
    fn rest(&self) {
        self.daemon.wait_until("they are gone", |_| self.figure("tsuji_proxy_connections") < 1.0);
    }

    /// A line of the metrics page that has no labels.
    fn figure(&self, name: &str) -> f64 {
        let page = get(self.site.metrics_address(), "/metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap().to_owned();
        value.parse().unwrap()
    }

    /// Waits for the counter: some attacks end before they are judged.
    fn settle(&self, attack: &Attack, before: &[(String, u64)]) {
        let begun = Instant::now();
        let patience = if attack.name == SLOW { Duration::ZERO } else { Duration::from_secs(5) };
        while !attack.counted.is_empty() && begun.elapsed() < patience {
            let now = self.refusals();
            let has = |reason: &str| {
                let count = |counts: &[(String, u64)]| {
                    counts.iter().find(|(known, _)| known == reason).map_or(0, |known| known.1)
                };
                count(&now) > count(before)
            };
            if attack.counted.iter().any(|reason| has(reason)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Four clients ask one thing after the other while this runs, and for so long after it; four more ask the server.
    fn watch(&self, after: Duration, run: impl FnOnce() + Send) -> Seen {
        let (stop, failed) = (AtomicBool::new(false), AtomicU64::new(0));
        let took = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
        let most = AtomicU64::new(self.memory());
        thread::scope(|scope| {
            for (address, took) in [self.plain(), self.server].into_iter().zip(&took).cycle().take(8) {
                let (stop, failed) = (&stop, &failed);
                scope.spawn(move || match ask_on(address, stop) {
                    Ok(times) => took.lock().unwrap().extend(times),
                    Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                });
            }
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    most.fetch_max(self.memory(), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(10));
                }
            });
            let attack = scope.spawn(|| {
                yield_to_others();
                run();
            });
            attack.join().unwrap();
            thread::sleep(after);
            stop.store(true, Ordering::Relaxed);
        });
        let [through, direct] = took.map(|took| {
            let mut took = took.into_inner().unwrap();
            took.sort();
            took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or(Duration::from_micros(1))
        });
        Seen { most_memory: most.into_inner(), through, direct, failed: failed.into_inner() }
    }
}

/// Attackers run when nobody else of this process wants to: they are to wear out the program, not the clients beside them.
/// Where that cannot be had, the latencies that are printed say more of the machine.
fn yield_to_others() {
    let thread = gettid().to_string();
    let _may_be_missing = Command::new("renice").args(["-n", "19", "-p", &thread]).output();
}

fn ask_on(address: SocketAddr, stop: &AtomicBool) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")?;
        let (mut answer, mut room) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\nx") {
            match stream.read(&mut room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => answer.extend(&room[..read]),
            }
        }
        times.push(begun.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(times)
}

/// A server with a small answer, and with one of a MiB; its threads begin with this.
fn serve(prepare: impl FnOnce() + Send + 'static) -> u16 {
    // A short queue would have the kernel try again after a second, which says nothing of the program.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(4096).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        prepare();
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let (mut head, mut room) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut room) {
                    head.extend(&room[..read]);
                    // A POST has a body, and nobody sends all of it here: it is waited for.
                    if head.starts_with(b"POST") {
                        head.truncate(4);
                        continue;
                    }
                    if !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        continue;
                    }
                    let body = if head.starts_with(b"GET /large") { &LARGE[..] } else { b"x" };
                    head.clear();
                    let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    let sent = match body {
                        [x] => stream.write_all(&[start.as_bytes(), &[*x]].concat()),
                        body => stream.write_all(start.as_bytes()).and_then(|()| stream.write_all(body)),
                    };
                    if sent.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Made once: memory that a hundred threads ask for and give back would hold up the clients, who live in the same process.
static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];

/// A connection of an attacker, from addresses of their own: ports of one would run out.
fn connect(address: SocketAddr, number: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 1, (number % 16) as u8 + 1), 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A connection that speaks HTTP/2 from the beginning, with these settings.
fn speak(bed: &Bed, number: usize, settings: &[u8]) -> TcpStream {
    let mut stream = connect(bed.plain(), number);
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, settings)[..]].concat()).unwrap();
    stream
}

const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b'a'];
const GET_LARGE: &[u8] = &[0x82, 0x86, 0x04, 6, b'/', b'l', b'a', b'r', b'g', b'e', 0x01, 1, b'a'];
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 1, b'a'];

/// Has each of so many connections say all of this, or as much of it as it is heard.
fn say(bed: &Bed, size: usize, words: impl Fn(u32) -> Vec<u8>, times: u32) {
    for number in 0..size {
        let mut stream = speak(bed, number, &[]);
        for turn in 0..times {
            if stream.write_all(&words(turn)).is_err() {
                break;
            }
        }
        until_told(&mut stream);
    }
}

/// Reads what comes until the other side has had enough, or for a moment.
fn until_told(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut room = [0; 4096];
    while let Ok(1..) = stream.read(&mut room) {}
}

/// CVE-2023-44487.
fn rapid_reset(bed: &Bed, size: usize) {
    let words = |turn: u32| [frame(1, 5, 1 + 2 * turn, GET), frame(3, 0, 1 + 2 * turn, &[0, 0, 0, 8])].concat();
    say(bed, size, words, 2000);
}

/// CVE-2025-8671: each request is broken so that it is us who reset it.
fn made_to_reset(bed: &Bed, size: usize, kind: u8, payload: &[u8]) {
    let words = |turn: u32| [frame(1, 4, 1 + 2 * turn, POST), frame(kind, 0, 1 + 2 * turn, payload)].concat();
    say(bed, size, words, 2000);
}

fn late_data(bed: &Bed, size: usize) {
    let words = |turn: u32| [frame(1, 5, 1 + 2 * turn, GET), frame(0, 0, 1 + 2 * turn, b"late")].concat();
    say(bed, size, words, 2000);
}

fn many_fields(bed: &Bed, size: usize) {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a:\r\n".repeat(25_000));
    for number in 0..size {
        let mut stream = connect(bed.plain(), number);
        let _cut = stream.write_all(head.as_bytes());
        until_told(&mut stream);
    }
}

/// A field that is kept in the table, and named again with one byte each time (the "HTTP/2 bomb").
fn bomb(bed: &Bed, size: usize, crumbs: bool) {
    let mut block = POST.to_vec();
    if crumbs {
        block.extend([0x60, 1, b'c']);
    } else {
        block.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
        block.extend([b'y'; 4000]);
    }
    let again = [POST, &[0xbe; 9000]].concat();
    block.resize(16_384, 0xbe);
    say(bed, size, |turn| frame(1, 5, 1 + 2 * turn, if turn == 0 { &block } else { &again }), 20);
}

/// The family of CVE-2024-27316.
fn continuations(bed: &Bed, size: usize) {
    let words = |turn| if turn == 0 { frame(1, 1, 1, GET) } else { frame(9, 0, 1, &[0x00, 1, b'a', 1, b'b']) };
    say(bed, size, words, 10_000);
}

/// No window at the beginning.
const CLOSED: &[u8] = &[0, 4, 0, 0, 0, 0];

fn windows_of_one(bed: &Bed, size: usize) {
    for number in 0..size {
        let mut stream = speak(bed, number, CLOSED);
        let requests: Vec<u8> = (0..100).flat_map(|request| frame(1, 5, 1 + 2 * request, GET_LARGE)).collect();
        stream.write_all(&requests).unwrap();
        for turn in 0..5000 {
            if stream.write_all(&frame(8, 0, 1 + 2 * (turn % 100), &[0, 0, 0, 1])).is_err() {
                break;
            }
        }
        until_told(&mut stream);
    }
}

fn closed_windows(bed: &Bed, size: usize) {
    let streams = (0..size).map(|number| {
        let mut stream = speak(bed, number, CLOSED);
        let requests: Vec<u8> = (0..128).flat_map(|request| frame(1, 5, 1 + 2 * request, GET_LARGE)).collect();
        stream.write_all(&requests).unwrap();
        stream
    });
    let _held: Vec<TcpStream> = streams.collect();
    thread::sleep(Duration::from_secs(if size > 2 { 32 } else { 1 }));
}

/// So many connections that say a little at first and a byte now and then.
fn drip(address: SocketAddr, size: usize, first: &[u8], then: &[u8], rounds: usize) {
    let mut streams: Vec<TcpStream> = (0..size).map(|number| connect(address, number)).collect();
    streams.iter_mut().for_each(|stream| _ = stream.write_all(first));
    for _ in 0..rounds {
        thread::sleep(Duration::from_millis(500));
        streams.iter_mut().for_each(|stream| _ = stream.write_all(then));
    }
}

fn slow_heads(bed: &Bed, size: usize) {
    drip(bed.plain(), size, b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n", 6);
}

fn slow_heads_2(bed: &Bed, size: usize) {
    let first =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, &[])[..], &frame(1, 0, 1, GET)[..], &[0, 0, 200, 9, 4]];
    drip(bed.plain(), size, &first.concat(), b"\0", 6);
}

fn slow_bodies(bed: &Bed, size: usize) {
    let first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    drip(bed.plain(), size, first, b"x", if size > 200 { 23 } else { 2 });
}

fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("shop.example").unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn handshakes(bed: &Bed, size: usize) {
    drip(bed.tls, size, &hello(), b"", 8);
}

fn half_hellos(bed: &Bed, size: usize) {
    let hello = hello();
    drip(bed.tls, size, &hello[..hello.len() / 2], b"", 8);
}

/// By how much the program may grow for each silent client inside TLS.
const MOST_PER_CLIENT: u64 = 12 << 10;

#[test]
fn silent_clients_inside_tls_take_little() {
    let whole = std::env::var_os("FLOODS").is_some_and(|form| form == "whole");
    let number = if whole { 5000 } else { 1000 };
    let limit = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    setrlimit(Resource::RLIMIT_NOFILE, limit, limit).unwrap();
    let bed = Bed::make();
    let (config, name) = (trusting(&bed), ServerName::try_from("shop.example").unwrap());
    let enter = |number| {
        let client = ClientConnection::new(Arc::clone(&config), name.clone()).unwrap();
        let mut client = StreamOwned::new(client, connect(bed.tls, number));
        client.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").unwrap();
        let (mut answer, mut room) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\nx") {
            let read = client.read(&mut room).unwrap();
            answer.extend(&room[..read]);
        }
        client
    };
    // What is made once is no client's.
    drop((0..50).map(enter).collect::<Vec<_>>());
    bed.rest();
    thread::sleep(Duration::from_secs(2));
    let before = bed.memory();
    let clients: Vec<_> = (0..number).map(enter).collect();
    bed.daemon.wait_until("they are parked", |_| bed.figure("tsuji_proxy_parked_total") >= number as f64);
    // Memory goes back once a second.
    thread::sleep(Duration::from_secs(3));
    let each = bed.memory().saturating_sub(before) / number as u64;
    println!("{number} silent clients inside TLS: {each} bytes each");
    assert_eq!(bed.figure("tsuji_proxy_connections"), number as f64);
    drop(clients);
    assert!(each <= MOST_PER_CLIENT, "{each} bytes each");
}

fn trusting(bed: &Bed) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(bed.site.path("shop.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}
