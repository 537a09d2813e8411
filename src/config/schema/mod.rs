//! The vocabulary: every kind of object, its keywords, their values, ranges, defaults and help.
//!
//! One table drives the reading of TOML and of commands, the checks, the printing and `help`. It also knows the words that
//! belong to later versions, so that they are answered with a sentence of their own.

mod application;
mod command;
mod host;
mod inherited;
mod keyword;
mod kind;
mod later;
mod limits;
mod look_up;
mod pair;
mod policy;
mod settings;
mod tls;
mod traffic;
mod value_kind;

pub use command::{COMMANDS, CommandWords};
pub(super) use host::is_host_name;
pub use inherited::INHERITED;
pub use keyword::{Keyword, Only, Preset, Usage};
pub use kind::{Kind, OBJECTS, ObjectSchema};
pub use later::{Later, later, later_object, later_words};
pub use look_up::{NotFound, find, unabbreviate};
pub use value_kind::ValueKind;
