//! What programs and the kernel print.

use super::figures::stat::{Stat, descendants, processor, resident_kib};
use super::figures::wrk::{Run, microseconds};
use super::figures::{h2load, strace};

const WRK: &str = "\
Running 30s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   635.91us    0.89ms  12.92ms   93.69%
    Req/Sec    56.20k     8.07k   62.00k    86.54%
  Latency Distribution
     50%  250.00us
     75%  491.00us
     90%  700.00us
     99%    5.80ms
  22464657 requests in 30.10s, 17.76GB read
Requests/sec: 748868.53
Transfer/sec:    606.33MB
";

const H2LOAD: &str = "\
starting benchmark...
finished in 5.02s, 36213.40 req/s, 1.18MB/s
requests: 181067 total, 181195 started, 181067 done, 181060 succeeded, 7 failed, 1 errored, 0 timeout
status codes: 181058 2xx, 0 3xx, 2 4xx, 3 5xx
traffic: 5.91MB (6198432) total, 1.73MB (1811234) headers (space savings 92.58%), 17.27MB (18106700) data
";

#[test]
fn h2load_is_understood() {
    let log: String = (1..=100).map(|time| format!("1795760000000000\t200\t{}\n", time * 10)).collect();
    let run = Run { requests: 181_067, seconds: 5.02, p50_us: 510.0, p99_us: 1000.0, failures: 13 };
    assert_eq!(h2load::run(H2LOAD, &log), Some(run));
    assert_eq!(h2load::run("could not connect", &log), None);
}

#[test]
fn wrk_is_understood() {
    let run = Run { requests: 22_464_657, seconds: 30.1, p50_us: 250.0, p99_us: 5800.0, failures: 0 };
    assert_eq!(Run::parse(WRK), Some(run));
    let socket = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n";
    let refused = "  Non-2xx or 3xx responses: 50000\n";
    let cases = [(socket, 4321), (refused, 50_000), (&(socket.to_owned() + refused), 54_321)];
    for (lines, failures) in cases {
        assert_eq!(Run::parse(&(WRK.to_owned() + lines)), Some(Run { failures, ..run }), "{lines}");
    }
    assert_eq!(Run::parse("unable to connect to 127.0.0.1:8080 Connection refused"), None);
    assert_eq!(Run::parse(&WRK.replace("99%", "98%")), None, "a line is missing");
}

#[test]
fn units_of_time() {
    let cases = [
        ("0.00us", Some(0.0)),
        ("250.00us", Some(250.0)),
        ("1.25ms", Some(1250.0)),
        ("2.00s", Some(2e6)),
        ("1.50m", Some(9e7)),
        ("1.00h", Some(3.6e9)),
        ("250", None),
        ("us", None),
        ("1.00d", None),
        ("-nanus", None),
    ];
    for (text, expected) in cases {
        assert_eq!(microseconds(text), expected, "{text}");
    }
}

fn stat(id: u32, parent: u32, name: &str) -> Stat {
    Stat { id, name: name.to_owned(), parent, user_ticks: 0, system_ticks: 0 }
}

#[test]
fn a_process_may_have_any_name() {
    let rest = "S 41 42 42 0 -1 4194560 1 0 0 0 118 77 0 0 20 0 3 0 100 1 1";
    for name in ["nginx", "a) S 1 (b", "tsuji-worker-0", ""] {
        let expected = Stat { user_ticks: 118, system_ticks: 77, ..stat(42, 41, name) };
        assert_eq!(Stat::parse(&format!("42 ({name}) {rest}\n")), Some(expected), "{name}");
    }
    for broken in ["", "42 (nginx", "42 (nginx) S 41", "x (nginx) S 41"] {
        assert_eq!(Stat::parse(broken), None, "{broken}");
    }
}

#[test]
fn a_program_counts_with_its_children_alone() {
    let all =
        [stat(1, 0, "init"), stat(9, 7, "grandchild"), stat(7, 5, "worker"), stat(5, 1, "master"), stat(6, 1, "x")];
    let ids = |root| descendants(root, &all).iter().map(|stat| stat.id).collect::<Vec<_>>();
    assert_eq!(ids(5), [5, 7, 9]);
    assert_eq!(ids(6), [6]);
    assert_eq!(ids(8), [0; 0], "nobody has this number");
}

#[test]
fn texts_of_proc() {
    assert_eq!(resident_kib("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    5704 kB\n"), Some(5704));
    assert_eq!(resident_kib("Name:\tkthread\n"), None, "a kernel thread has none");
    assert_eq!(processor("processor\t: 0\nmodel name\t: AMD EPYC: x\nmodel name\t: y\n"), Some("AMD EPYC: x"));
    assert_eq!(processor("processor : 0\n"), None);
}

#[test]
fn strace_is_understood() {
    let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 59.87    0.012345           3      4000        17 recvfrom
 40.13    0.008275           2      4137           sendto
  0.00    0.000000           0        12           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.020620           2      8149        17 total
";
    let expected = [("sendto", 4137), ("recvfrom", 4000), ("epoll_wait", 12)];
    assert_eq!(strace::calls(summary), expected.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!(strace::calls("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"), []);
}
