//! Reading files that may be larger than anything that is of use.

use std::fs::File;
use std::io::{self, Read};

/// The whole file. `None`: it has more than `most` bytes, and was read no further.
pub fn read_at_most(file: File, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}
