//! What the products say of the configurations that they are measured with.

use std::fs;

use super::configuration::{Setup, Site, haproxy, nginx, tsuji};
use super::tools::{assert_content, run};

/// Has a program judge the configuration of each set-up, in a directory of its own.
fn judged(configuration: fn(Setup, &Site) -> String, program: &str, arguments: &[&str], with_log: bool) {
    for (workers, sticky, access_log) in [(1, true, false), (1, true, with_log), (2, false, false)] {
        let (directory, setup) = (tempfile::tempdir().expect("a directory"), Setup { workers, sticky, access_log });
        let path = directory.path();
        let servers = [9081, 9082];
        // Of the descriptors, as many as any machine has.
        let site = Site { directory: path, port: 8081, metrics: 9150, servers, descriptors: 1000, root: false };
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
    judged(tsuji, env!("CARGO_BIN_EXE_tsuji"), &["check", "FILE"], true);
}

#[test]
fn haproxy_accepts_its_configuration() {
    judged(haproxy, "haproxy", &["-c", "-f", "FILE"], true);
}

#[test]
fn nginx_accepts_its_configuration() {
    judged(nginx, "nginx", &["-t", "-q", "-p", "PATH", "-e", "PATH/error.log", "-c", "FILE"], true);
}
