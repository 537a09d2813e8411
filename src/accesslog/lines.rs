//! Records as lines.

use crate::model::AccessLogFormat;

use super::record::Record;
use super::stamp::{Offset, Stamp};
use super::{combined, json};

/// Writes lines. Keeps the text of the second that it wrote last.
#[derive(Debug)]
pub struct Lines {
    stamp: Stamp,
}

impl Lines {
    /// `offset` knows the local time zone.
    pub fn new(offset: Offset) -> Self {
        Self { stamp: Stamp::new(offset) }
    }

    /// Puts the record's line behind what is in `out`, in its format and with its end of line.
    pub fn write(&mut self, out: &mut Vec<u8>, record: &Record<'_>) {
        match record.line.format {
            AccessLogFormat::Combined => combined::write(out, record, &mut self.stamp),
            AccessLogFormat::Json => json::write(out, record, &mut self.stamp),
        }
    }
}
