//! Programs that people have, as clients inside TLS and of HTTP/2: curl, nghttp, h2load, OpenSSL, Python's websockets and
//! grpc.

use std::fs;
use std::process::Output;

use crate::support::{Daemon, Issuer, Made, Origin, Site, free_port, get};
use crate::tools::{assert_content, run};

/// A port inside TLS with certificates for a.example and b.example, and one of h2c.
struct Shop {
    site: Site,
    plain: u16,
    daemon: Daemon,
    origin: Origin,
}

impl Shop {
    /// `lines` are more settings of the port inside TLS.
    fn start(lines: &str) -> Self {
        let (origin, issuer, plain) = (Origin::start("one"), Issuer::new(), free_port());
        let server = origin.server();
        let site = Site::new(&format!(
            "[[cluster.port]]\nnumber = {{port}}\nmethod = \"http\"\ncertificates = [\"a.pem\", \"b.pem\"]\n{lines}\n{server}\
             [[cluster.port]]\nnumber = {plain}\nmethod = \"http\"\nhttp2 = true\n{server}"
        ));
        site.write("ca.pem", &issuer.pem());
        let own = issuer.certificate(&["client"]);
        site.write("client.pem", &own.together());
        for name in ["a", "b"] {
            let made = issuer.certificate(&[&format!("{name}.example")]);
            site.write(&format!("{name}.pem"), &made.together());
            with_ocsp(&site, &issuer, name, &made);
        }
        Self { daemon: site.start(), site, plain, origin }
    }

    /// Puts another server in the place of the site's, with these settings: the port where it has to listen.
    fn another_server(&self, settings: &str) -> u16 {
        let behind = free_port();
        let site = fs::read_to_string(self.site.path("tsuji.toml")).unwrap();
        let server = format!("name = \"one\"\naddress = \"127.0.0.1\"\nmapport = {}\n", self.origin.port());
        assert!(site.contains(&server), "{site}");
        let other = format!("name = \"one\"\naddress = \"127.0.0.1\"\nmapport = {behind}\n{settings}");
        self.site.write("tsuji.toml", &site.replace(&server, &other));
        self.daemon.must("file newload ./tsuji.toml");
        behind
    }

    /// A file of the site, as an argument.
    fn file(&self, name: &str) -> String {
        self.site.path(name).to_str().unwrap().to_owned()
    }

    /// curl as a client that believes the issuer; prints the body, the status and the version.
    fn curl(&self, arguments: &[&str]) -> Option<Output> {
        let (ca, resolve) = (self.file("ca.pem"), format!("a.example:{}:127.0.0.1", self.site.port));
        let common = ["-sv", "--noproxy", "*", "--max-time", "20", "--cacert", &ca, "--resolve", &resolve];
        run("curl", &[&common[..], &["-w", "|%{http_code} HTTP/%{http_version}"], arguments].concat(), b"")
    }

    fn url(&self, path: &str) -> String {
        format!("https://a.example:{}{path}", self.site.port)
    }

    fn openssl(&self, arguments: &[&str], input: &str) -> Option<String> {
        let at = self.site.address().to_string();
        let output = run("openssl", &[&["s_client", "-connect", &at], arguments].concat(), input.as_bytes())?;
        Some(both(&output))
    }

    fn metric(&self, series: &str) -> f64 {
        let page = get(self.site.metrics_address(), "/metrics").body;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{series} is not on the page"))
    }
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Has OpenSSL, as the issuer's responder, say of a certificate that it is good; nothing where there is no OpenSSL.
fn with_ocsp(site: &Site, issuer: &Issuer, name: &str, made: &Made) {
    site.write("issuer.pem", &issuer.pem());
    site.write("issuer.key", &issuer.key());
    site.write("leaf.pem", &made.chain);
    let file = |name: &str| site.path(name).to_str().unwrap().to_owned();
    let (leaf, ca, key, index) = (file("leaf.pem"), file("issuer.pem"), file("issuer.key"), file("index.txt"));
    let Some(serial) = run("openssl", &["x509", "-noout", "-serial", "-in", &leaf], b"") else { return };
    let serial = String::from_utf8(serial.stdout).unwrap().trim().replace("serial=", "");
    site.write("index.txt", &format!("V\t401231235959Z\t\t{serial}\tunknown\t/CN={name}.example\n"));
    let response = file(&format!("{name}.ocsp"));
    let signer = ["ocsp", "-index", &index, "-CA", &ca, "-rsigner", &ca, "-rkey", &key, "-ndays", "7"];
    let question = ["-issuer", &ca, "-cert", &leaf, "-respout", &response, "-noverify"];
    assert_content("openssl ocsp", &run("openssl", &[&signer[..], &question].concat(), b"").unwrap());
}

#[test]
fn curl_in_every_version() {
    let shop = Shop::start("");
    let cases: [(&[&str], &str, &str); 5] = [
        (&["--tls-max", "1.2", "--http1.1"], "using TLSv1.2", "|200 HTTP/1.1"),
        (&["--tls-max", "1.2", "--http2"], "using TLSv1.2", "|200 HTTP/2"),
        (&["--tlsv1.3", "--http1.1"], "using TLSv1.3", "|200 HTTP/1.1"),
        (&["--tlsv1.3", "--http2"], "using TLSv1.3", "|200 HTTP/2"),
        (&["--tlsv1.3", "--no-alpn"], "using TLSv1.3", "|200 HTTP/1.1"),
    ];
    for (arguments, session, answer) in cases {
        let url = shop.url("/page");
        let Some(output) = shop.curl(&[arguments, &["-d", "some text", &url]].concat()) else { return };
        let said = both(&output);
        assert!(
            said.contains(session) && said.contains(&format!("one /page some text{answer}")),
            "{arguments:?}: {said}"
        );
    }
    assert_eq!(shop.metric("tsuji_proxy_tls_handshakes_total"), 5.0);
    let plain = format!("http://127.0.0.1:{}/page", shop.plain);
    for (how, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1"), ("--http2", "1.1")] {
        let Some(output) = shop.curl(&[how, &plain]) else { return };
        let said = both(&output);
        assert!(said.contains(&format!("|200 HTTP/{version}")), "{how}: {said}");
    }
}

#[test]
fn curl_with_a_certificate_of_its_own_and_without() {
    let shop = Shop::start("clientcertificates = \"required\"\nclientca = \"ca.pem\"");
    let (own, url) = (shop.file("client.pem"), shop.url("/"));
    let stranger = Issuer::new().certificate(&["client"]);
    shop.site.write("stranger.pem", &stranger.together());
    let stranger = shop.file("stranger.pem");
    for version in ["1.2", "1.3"] {
        let Some(output) = shop.curl(&["--tls-max", version, "--cert", &own, &url]) else { return };
        assert!(both(&output).contains("|200 "), "{version}: {}", both(&output));
        let without = shop.curl(&["--tls-max", version, &url]).unwrap();
        assert!(!without.status.success() && both(&without).contains("|000 "), "{version}: {}", both(&without));
        let strange = shop.curl(&["--tls-max", version, "--cert", &stranger, &url]).unwrap();
        assert!(!strange.status.success() && both(&strange).contains("|000 "), "{version}: {}", both(&strange));
    }
    let refused = format!("{{cluster=\"shop\",port=\"{}\",reason=\"tls-handshake\"}}", shop.site.port);
    assert_eq!(shop.metric(&format!("tsuji_port_refusals_total{refused}")), 4.0);
}

#[test]
fn curl_that_asks_for_a_host_of_another_certificate() {
    let shop = Shop::start("");
    for version in ["--http1.1", "--http2"] {
        let Some(output) = shop.curl(&[version, "-i", "-H", "Host: b.example", &shop.url("/")]) else { return };
        let said = both(&output);
        assert!(said.contains("|421 ") && said.contains("tsuji-error: misdirected"), "{version}: {said}");
        let output = shop.curl(&[version, "-H", "Host: a.example", &shop.url("/")]).unwrap();
        assert!(both(&output).contains("|200 "), "{version}");
    }
}

/// Two hundred requests at once over few connections: each gets the answer to its own question.
#[test]
fn curl_gets_the_answers_to_its_own_questions() {
    let shop = Shop::start("");
    let mut config = String::new();
    for id in 0..200 {
        let url = shop.url(&format!("/id-{id}"));
        config.push_str(&format!("url = \"{url}\"\noutput = \"{}\"\n", shop.file(&format!("answer-{id}"))));
    }
    shop.site.write("urls", &config);
    let urls = shop.file("urls");
    let Some(output) = shop.curl(&["--http2", "--parallel", "--parallel-max", "50", "-K", &urls]) else { return };
    assert!(output.status.success(), "{}", both(&output));
    for id in 0..200 {
        let answer = fs::read_to_string(shop.site.path(&format!("answer-{id}"))).unwrap();
        assert_eq!(answer, format!("one /id-{id} "));
    }
}

#[test]
fn nghttp() {
    let shop = Shop::start("");
    shop.site.write("body", &"text ".repeat(20_000));
    let body = shop.file("body");
    let (secure, plain) = (format!("https://127.0.0.1:{}", shop.site.port), format!("http://127.0.0.1:{}", shop.plain));
    for base in [secure, plain] {
        let urls: Vec<String> = (0..9).map(|id| format!("{base}/id-{id}")).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let Some(output) = run("nghttp", &[&["-nv", "--no-dep"][..], urls.as_slice()].concat(), b"") else { return };
        let said = both(&output);
        assert_eq!(said.matches(":status: 200").count(), 9, "{said}");
        assert!(!said.contains("RST_STREAM") && said.contains("x-server: one"), "{said}");
        let output = run("nghttp", &["-d", &body, "-H", ":method: PUT", urls[0]], b"").unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert_eq!(answer.len(), "one /id-0 ".len() + 100_000, "the whole body came back");
    }
}

#[test]
fn h2load() {
    let shop = Shop::start("");
    let secure = format!("https://127.0.0.1:{}/", shop.site.port);
    let plain = format!("http://127.0.0.1:{}/", shop.plain);
    let cases: [&[&str]; 4] =
        [&["-m", "32", &secure], &["-m", "32", &plain], &["-m", "1", &secure], &["--h1", &secure]];
    for arguments in cases {
        let common = ["-n", "2000", "-c", "8", "-t", "1"];
        let Some(output) = run("h2load", &[&common[..], arguments].concat(), b"") else { return };
        let said = both(&output);
        assert!(said.contains("2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored"), "{said}");
    }
}

#[test]
fn openssl_gets_the_certificate_of_the_name_it_asks_for_and_its_ocsp_response() {
    let shop = Shop::start("");
    let ca = shop.file("ca.pem");
    for (asked, subject) in [("a.example", "a.example"), ("b.example", "b.example"), ("c.example", "a.example")] {
        let Some(said) = shop.openssl(&["-servername", asked, "-status", "-CAfile", &ca], "") else { return };
        assert!(said.contains(&format!("subject=CN = {subject}")), "{asked}: {said}");
        assert!(said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good"), "{said}");
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    }
    let said = shop.openssl(&["-noservername"], "").unwrap();
    assert!(said.contains("subject=CN = a.example"), "{said}");
}

#[test]
fn openssl_comes_back_without_a_whole_handshake() {
    let shop = Shop::start("");
    let session = shop.file("session");
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let common = ["-servername", "a.example", "-ign_eof", version];
        let Some(first) = shop.openssl(&[&common[..], &["-sess_out", &session]].concat(), request) else { return };
        assert!(first.contains("New, TLSv1.") && first.contains("HTTP/1.1 200 OK"), "{first}");
        let resumed = shop.metric("tsuji_proxy_tls_resumed_total");
        let second = shop.openssl(&[&common[..], &["-sess_in", &session]].concat(), request).unwrap();
        assert!(second.contains("Reused, TLSv1.") && second.contains("HTTP/1.1 200 OK"), "{second}");
        assert_eq!(shop.metric("tsuji_proxy_tls_resumed_total"), resumed + 1.0);
        // A ticket is for one host alone.
        let other = ["-servername", "b.example", "-ign_eof", version, "-sess_in", &session];
        let other = shop.openssl(&other, request).unwrap();
        assert!(other.contains("New, TLSv1."), "{other}");
    }
}

#[test]
fn openssl_agrees_on_a_protocol_or_is_turned_away() {
    let shop = Shop::start("");
    let cases: [(&[&str], &str); 7] = [
        (&["-alpn", "h2,http/1.1"], "ALPN protocol: h2"),
        (&["-alpn", "http/1.1,h2"], "ALPN protocol: h2"),
        (&["-alpn", "http/1.1"], "ALPN protocol: http/1.1"),
        (&["-alpn", "acme-tls/1"], "alert no application protocol"),
        (&[], "No ALPN negotiated"),
        (&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "alert handshake failure"),
        (&["-tls1_2", "-cipher", "AES128-SHA"], "alert handshake failure"),
    ];
    for (arguments, wanted) in cases {
        let Some(said) = shop.openssl(&[&["-servername", "a.example"][..], arguments].concat(), "") else { return };
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

const WEBSOCKET_SERVER_AND_CLIENT: &str = r#"
import asyncio, ssl, sys
import websockets

async def echo(socket):
    async for message in socket:
        await socket.send(message)

async def main(port, url, ca):
    context = ssl.create_default_context(cafile=ca)
    async with websockets.serve(echo, "127.0.0.1", port, max_size=None):
        for turn in range(3):
            async with websockets.connect(url, ssl=context, server_hostname="a.example", max_size=None) as socket:
                assert socket.response_headers["Upgrade"] == "websocket", socket.response_headers
                for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
                    await socket.send("x" * size)
                    assert await socket.recv() == "x" * size, size
                    await socket.send(bytes(range(256)) * (size // 256))
                    assert await socket.recv() == bytes(range(256)) * (size // 256), size
                await (await socket.ping())
            assert socket.close_code == 1000, socket.close_code
    print("all came back")

asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
"#;

/// A Python that has the package: Debian's, or whichever comes first. `None`, with one line that says so, without any.
fn python(package: &str) -> Option<&'static str> {
    let has_it = |program: &&str| {
        let output = std::process::Command::new(program).args(["-c", &format!("import {package}")]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let found = ["/usr/bin/python3", "python3"].into_iter().find(has_it);
    if found.is_none() {
        eprintln!("skipped: Python's {package} is not installed here");
    }
    found
}

#[test]
fn websockets_inside_tls() {
    let Some(python) = python("websockets") else { return };
    let shop = Shop::start("");
    let behind = shop.another_server("");
    let url = format!("wss://127.0.0.1:{}/chat", shop.site.port);
    let (port, ca) = (behind.to_string(), shop.file("ca.pem"));
    let output = run(python, &["-", &port, &url, &ca], WEBSOCKET_SERVER_AND_CLIENT.as_bytes()).unwrap();
    assert_content("websockets", &output);
    assert!(both(&output).contains("all came back"), "{}", both(&output));
}

const GRPC_SERVER_AND_CLIENT: &str = r#"
import sys, threading, time
from concurrent import futures
import grpc

def say(request, context):
    context.set_trailing_metadata((("heard", str(len(request))),))
    return request.upper()

def talk(requests, context):
    for request in requests:
        yield request.upper()

def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "nobody of that name")

class Chat(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/shop.Chat/Say": grpc.unary_unary_rpc_method_handler(say),
            "/shop.Chat/Talk": grpc.stream_stream_rpc_method_handler(talk),
            "/shop.Chat/Fail": grpc.unary_unary_rpc_method_handler(fail),
        }.get(details.method)

behind, port, ca = sys.argv[1:]
limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Chat(),), options=limits)
server.add_insecure_port("127.0.0.1:" + behind)
server.start()
credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
options = limits + [("grpc.ssl_target_name_override", "a.example"), ("grpc.enable_http_proxy", 0)]
with grpc.secure_channel("127.0.0.1:" + port, credentials, options) as channel:
    for size in (0, 1, 16384, 65536, 3_000_000):
        answer, call = channel.unary_unary("/shop.Chat/Say").with_call(b"x" * size, timeout=20)
        assert answer == b"X" * size, size
        assert dict(call.trailing_metadata())["heard"] == str(size), call.trailing_metadata()
    asked = []
    def words():
        for number in range(20):
            # The answer to each comes before the next is said.
            while len(asked) < number:
                time.sleep(0.001)
            yield b"word %d" % number
    for answer in channel.stream_stream("/shop.Chat/Talk")(words(), timeout=20):
        asked.append(answer)
    assert asked == [b"WORD %d" % number for number in range(20)], asked
    try:
        channel.unary_unary("/shop.Chat/Fail")(b"x", timeout=20)
        raise SystemExit("it should have failed")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND and error.details() == "nobody of that name", error
    with futures.ThreadPoolExecutor(16) as crowd:
        say_it = channel.unary_unary("/shop.Chat/Say")
        words = [b"%d" % number for number in range(300)]
        assert list(crowd.map(lambda word: say_it(word, timeout=20), words)) == words
server.stop(None)
print("all came back")
"#;

#[test]
fn grpc_inside_tls() {
    let Some(python) = python("grpc") else { return };
    let shop = Shop::start("");
    let behind = shop.another_server("http2 = true\n");
    let (behind, port, ca) = (behind.to_string(), shop.site.port.to_string(), shop.file("ca.pem"));
    let output = run(python, &["-", &behind, &port, &ca], GRPC_SERVER_AND_CLIENT.as_bytes()).unwrap();
    assert_content("grpc", &output);
    assert!(both(&output).contains("all came back"), "{}", both(&output));
}
