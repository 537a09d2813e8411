//! Configurations, as TOML and as scripts of commands.

use tsuji::config::{Document, Faults, Overrides, import};

use super::{Target, text};

pub const TOML: Target = Target { name: "toml_config", check: |data| check(&text(data), "x.toml") };

pub const SCRIPT: Target = Target { name: "script_config", check: script };

fn script(data: &[u8]) {
    let text = text(data);
    check(&text, "x.cfg");
    match import::import_script(&text, "x.cfg") {
        Ok(imported) => {
            let document =
                Document::parse(&imported.toml, "x.toml").unwrap_or_else(|faults| refused(&faults, &imported.toml));
            if let Err(faults) = document.resolve() {
                refused(&faults, &imported.toml)
            }
        }
        Err(faults) => have_places(&faults, &text),
    }
}

fn check(text: &str, file: &str) {
    match Document::parse(text, file) {
        Err(faults) => have_places(&faults, text),
        Ok(document) => {
            if let Err(faults) = document.resolve() {
                have_places(&faults, text);
            }
            reads_back(&document);
            if document.resolve().is_ok() {
                overrides_read_back(&document);
            }
        }
    }
    if let Ok(overrides) = Overrides::parse(text) {
        assert_eq!(Overrides::parse(&overrides.to_text()), Ok(overrides));
    }
}

/// Within the file, and in words that a terminal shows as they are.
fn have_places(faults: &Faults, text: &str) {
    let lines = text.split('\n').count();
    for fault in faults {
        assert!(!fault.message.chars().any(|c| c.is_control()), "{:?}", fault.message);
        match &fault.place {
            Some(place) => assert!((1..=lines).contains(&(place.line as usize)) && place.column > 0, "{fault}"),
            // The rest is counted, and nowhere.
            None => assert!(fault.message.starts_with('…'), "{fault}"),
        }
    }
}

/// Printed as TOML it is the same document, and as a script it means the same; printing is canonical.
fn reads_back(document: &Document) {
    let read = |printed: &str, file| Document::parse(printed, file).unwrap_or_else(|faults| refused(&faults, printed));
    let toml = document.to_toml();
    // Lists of names multiply. One such document takes as long as a thousand others, and is like them.
    if toml.len() > 4 * super::MOST {
        return;
    }
    let again = read(&toml, "x.toml");
    assert_eq!(&again, document, "{toml}");
    assert_eq!(again.to_toml(), toml);
    // Commands look at what they name, so only what is without fault can be said by them.
    if let Ok(resolved) = document.resolve() {
        let script = document.to_script();
        let again = read(&script, "x.cfg");
        assert_eq!(again.resolve().map(|resolved| resolved.config), Ok(resolved.config), "{script}");
        assert_eq!(read(&again.to_script(), "x.cfg"), again, "{script}");
    }
}

/// Of documents that can be in effect.
fn overrides_read_back(document: &Document) {
    let nothing = Document::default();
    let overrides = Overrides::between(&nothing, document);
    assert_eq!(Overrides::parse(&overrides.to_text()), Ok(overrides.clone()));
    assert!(Overrides::between(document, document).is_empty());
}

fn refused(faults: &Faults, text: &str) -> ! {
    panic!("what we print we read: {faults}\n{text}")
}
