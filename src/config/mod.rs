//! What an operator wrote, and what it means.
//!
//! A text (TOML, or a script of dscontrol commands) becomes a [`Document`], the tree of what was written with the place of
//! each word. Commands change a document ([`Change`]), printing turns it back into text, [`Overrides`] are the difference
//! between two. [`Document::resolve`] makes a [`Config`] of it, in which nothing is left to check, or the list of all
//! faults. One table, [`schema`], drives all of these.
//!
//! Nothing is opened here: files, sockets, names of hosts and accounts are looked at where they are used.

mod change;
mod document;
mod edit;
mod fault;
mod identity;
pub mod import;
mod lines;
mod meaning;
mod object;
mod operand;
mod overrides;
mod print_script;
mod print_toml;
mod read_script;
mod read_toml;
mod resolve;
pub mod schema;
mod select;
mod toml_value;
mod value;
mod words;

pub use change::Change;
pub use document::{Document, Touched};
pub use fault::{Fault, Faults, Place, Refusal};
pub use meaning::Config;
pub use operand::{Operand, Part};
pub use overrides::Overrides;
pub use resolve::{PortDefaults, Resolved};
pub use words::{Unfinished, quote, split_unfinished, split_words};

#[cfg(test)]
mod tests;
