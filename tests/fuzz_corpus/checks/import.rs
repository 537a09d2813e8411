//! The web-server plug-in's configuration.

use tsuji::config::import::{Front, Remark, import_plugin, latin1};
use tsuji::config::{Document, Faults};

use super::{Target, bounded, text};

pub const TARGET: Target = Target { name: "plugin_xml", check };

fn check(data: &[u8]) {
    imported(&text(data));
    if let Some(text) = latin1(bounded(data)) {
        imported(&text);
    }
}

fn imported(text: &str) {
    let lines = text.split('\n').count();
    let ports = Front { address: [192, 0, 2, 10].into(), ports: vec![80, 8080] };
    for front in [Front::default(), ports] {
        match import_plugin(text, "plugin-cfg.xml", &front) {
            Ok(imported) => {
                let stays_inside = |remark: &Remark| {
                    (1..=lines).contains(&(remark.line as usize)) && !remark.text.chars().any(char::is_control)
                };
                assert!(imported.remarks.iter().all(stays_inside), "{:#?}", imported.remarks);
                let document = Document::parse(&imported.toml, "x.toml");
                let document = document.unwrap_or_else(|faults| refused(&faults, &imported.toml));
                if let Err(faults) = document.resolve() {
                    refused(&faults, &imported.toml);
                }
            }
            Err(faults) => {
                for fault in &faults {
                    let place = fault.place.as_ref().expect("a line");
                    assert!((1..=lines).contains(&(place.line as usize)), "{fault}");
                    assert!(!fault.message.chars().any(char::is_control), "{fault:?}");
                }
            }
        }
    }
}

fn refused(faults: &Faults, toml: &str) -> ! {
    panic!("what is imported can be loaded: {faults}\n{toml}")
}
