//! What works and will surprise.

use super::{Check, Config, View};

impl Check {
    pub(super) fn warn(&mut self, _root: View<'_>, _config: &Config) {}
}
