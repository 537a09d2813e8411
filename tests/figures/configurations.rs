//! What the products say of the configurations that they are measured with.

use std::fs;
use std::path::Path;

use super::configuration::{Setup, Site, haproxy, nginx, tsuji};
use super::figures::report::Buffers;
use super::tools::{assert_content, run};

type Configuration = fn(Setup, &Site) -> String;

/// Has a program judge the configuration of each set-up, in a directory of its own.
fn judged(configuration: Configuration, program: &str, arguments: &[&str]) {
    for setup in [
        Setup::PLAIN,
        Setup { access_log: true, ..Setup::PLAIN },
        Setup { clone_ids: true, ..Setup::PLAIN },
        Setup { workers: 2, sticky: false, ..Setup::PLAIN },
        Setup { parking: false, ..Setup::PLAIN },
        Setup { tls: true, ..Setup::PLAIN },
        Setup { buffers: Buffers::Tuned, ..Setup::PLAIN },
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let servers = [9081, 9082];
        // Of the descriptors, as many as any machine has.
        let certificate = &path.join("site.pem");
        let made = rcgen::generate_simple_self_signed(["shop.example.com".to_owned()]).expect("a certificate");
        fs::write(certificate, made.cert.pem() + &made.signing_key.serialize_pem()).expect("a file");
        let site =
            Site { directory: path, port: 8081, metrics: 9150, servers, descriptors: 1000, certificate, root: false };
        let file = path.join("configuration.toml");
        fs::write(&file, configuration(setup, &site)).expect("a file");
        let (file, path) = (file.to_str().expect("plain"), path.to_str().expect("plain"));
        let words: Vec<String> =
            arguments.iter().map(|word| word.replace("FILE", file).replace("PATH", path)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(output) = run(program, &words, b"") else { return };
        assert_content(&format!("{program} with {setup:?}"), &output);
    }
}

#[test]
fn tsuji_accepts_its_configuration() {
    judged(tsuji, env!("CARGO_BIN_EXE_tsuji"), &["check", "FILE"]);
}

#[test]
fn haproxy_accepts_its_configuration() {
    judged(haproxy, "haproxy", &["-c", "-f", "FILE"]);
}

#[test]
fn nginx_accepts_its_configuration() {
    judged(nginx, "nginx", &["-t", "-q", "-p", "PATH", "-e", "PATH/error.log", "-c", "FILE"]);
}

/// Each choice is a word in the file, which the other choice does not have.
#[test]
fn a_choice_is_written_where_it_belongs() {
    let tuned = Setup { buffers: Buffers::Tuned, ..Setup::PLAIN };
    let logged = Setup { access_log: true, ..Setup::PLAIN };
    let site = Site {
        directory: Path::new("/nowhere"),
        port: 8081,
        metrics: 9150,
        servers: [9081, 9082],
        descriptors: 1000,
        certificate: Path::new("/nowhere/site.pem"),
        root: false,
    };
    let secure = Setup { tls: true, ..Setup::PLAIN };
    let cases: [(Configuration, Setup, &str); 12] = [
        (tsuji, secure, "certificates = [\"/nowhere/site.pem\"]"),
        (haproxy, secure, "ssl crt /nowhere/site.pem"),
        (nginx, secure, "ssl_certificate_key /nowhere/site.pem;"),
        (tsuji, Setup { parking: false, ..Setup::PLAIN }, "parktime = 0"),
        (tsuji, logged, "accesslog = \"/nowhere/access.log\""),
        (haproxy, tuned, "tune.bufsize"),
        (haproxy, logged, "log stdout format raw local0"),
        (nginx, tuned, "proxy_buffers"),
        (nginx, tuned, "proxy_buffer_size"),
        (nginx, tuned, "client_body_buffer_size"),
        (nginx, tuned, "proxy_max_temp_file_size"),
        (nginx, logged, "access_log /nowhere/access.log combined;"),
    ];
    for (configuration, setup, words) in cases {
        assert!(configuration(setup, &site).contains(words), "{words}");
        assert!(!configuration(Setup::PLAIN, &site).contains(words), "{words}, though nobody asked for it");
    }
}
