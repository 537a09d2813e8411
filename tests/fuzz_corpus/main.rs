//! The fuzz targets on any compiler: their corpus, mutations of it from a fixed seed, and long inputs made of it.
//!
//! Here and in `fuzz/` the same functions check ([`checks`]). libFuzzer finds new inputs (`make fuzz`); those that broke
//! something are kept in `fuzz/corpus`, so that they are tried here with every `make test`.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test that meets the unexpected should stop right there")]

mod checks;
mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use checks::{MOST, TARGETS};
use fastrand::Rng;

/// Mutations of each target: all targets together take some seconds.
const MUTATIONS: usize = 3000;

/// Where mutations begin; they are the same in each run.
const SEED: u64 = 0x7473_756a_6921;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What a folder contains, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    entries(&fuzz().join("corpus").join(target))
        .iter()
        .map(|path| fs::read(path).expect("a file of the corpus"))
        .collect()
}

/// The words of a target's language, as libFuzzer spells them: each in quotes on a line of its own, odd bytes as `\xAB`.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz().join("dictionaries").join(format!("{target}.dict"))).expect("a dictionary");
    let word =
        |line: &str| plain(line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).expect("a word in quotes"));
    text.lines().map(word).collect()
}

fn plain(word: &str) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), word.as_bytes());
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, more) = match (first, behind) {
            (b'\\', [b'x', high, low, more @ ..]) => (digit(*high) << 4 | digit(*low), more),
            (b'\\', [escaped, more @ ..]) => (*escaped, more),
            (byte, more) => (byte, more),
        };
        plain.push(byte);
        rest = more;
    }
    plain
}

fn digit(letter: u8) -> u8 {
    char::from(letter).to_digit(16).expect("a hexadecimal digit") as u8
}

/// Runs the target, and shows the input that breaks it.
fn run(target: &str, data: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| checks::run(target, data))) {
        eprintln!("{target}: {} bytes: {}", data.len(), data[..data.len().min(2000)].escape_ascii());
        resume_unwind(panic);
    }
}

fn replay(target: &str) {
    let words = words(target);
    let corpus = corpus(target);
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|data| run(target, data));
    let mut rng = Rng::with_seed(SEED);
    for _ in 0..MUTATIONS {
        run(target, &mutate::mutated(&mut rng, &corpus, &words));
    }
}

/// Inputs as long as one may be, of one piece over and over: what takes the square of its length does not come to its end here.
fn stretch(target: &str) {
    let words = words(target);
    let corpus = corpus(target);
    let begin = corpus.iter().max_by_key(|data| data.len()).expect("a file");
    for piece in words.iter().chain(&corpus).filter(|piece| !piece.is_empty()) {
        let long = piece.repeat(MOST / piece.len() + 1);
        run(target, &long[..MOST]);
        let (before, behind) = begin.split_at(begin.len() / 2);
        run(target, &[before, &long, behind].concat()[..MOST]);
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            #[test]
            fn corpus_and_mutations() {
                super::replay(stringify!($name));
            }

            #[test]
            fn long_inputs() {
                super::stretch(stringify!($name));
            }
        })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets!(
    chunked,
    client_hello,
    commands,
    control_frames,
    heartbeat,
    paths,
    plugin_xml,
    proxy_protocol,
    requests,
    responses,
    script_config,
    sessions,
    toml_config,
);

#[test]
fn each_target_has_its_program_its_corpus_and_its_tests() {
    let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    known.sort_unstable();
    assert_eq!(known, TESTED);
    for folder in ["corpus", "dictionaries", "fuzz_targets"] {
        assert_eq!(names(&entries(&fuzz().join(folder))), known, "{folder}");
    }
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("fuzz/Cargo.toml");
    for name in known {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
