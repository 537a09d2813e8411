//! Scripts of dscontrol commands into a document.

use super::document::Draft;

/// Reads a script into the draft; a faulty line is left out and reported.
pub(super) fn read(_text: &str, _file: &str, _draft: &mut Draft) {}
