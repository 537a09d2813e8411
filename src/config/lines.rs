//! From an offset in a text to its line and column.

use std::sync::Arc;

use super::Place;

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    file: Arc<str>,
    /// Offset of each line's first byte, and whether the line is ASCII (then a column is found without counting).
    starts: Vec<(usize, bool)>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str, file: &str) -> Self {
        let mut starts = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            starts.push((offset, line.is_ascii()));
            offset += line.len();
        }
        Self { text, file: file.into(), starts }
    }

    /// The place of a byte offset; one past the end is the end.
    pub fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|(start, _)| *start <= offset).max(1);
        let (start, ascii) = self.starts.get(line - 1).copied().unwrap_or((0, true));
        let before = if ascii { offset - start } else { self.characters(start, offset) };
        Place { file: self.file.clone(), line: line as u32, column: before as u32 + 1 }
    }

    fn characters(&self, start: usize, offset: usize) -> usize {
        let bytes = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Each character has exactly one byte that is not a continuation.
        bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
    }

    /// The first line of more than `most` bytes.
    pub fn longer_than(&self, most: usize) -> Option<Place> {
        let ends = self.starts.iter().skip(1).map(|(start, _)| *start).chain([self.text.len()]);
        let long = self.starts.iter().zip(ends).find(|((start, _), end)| end - start > most);
        long.map(|((start, _), _)| self.place(*start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let lines = Lines::new("ab\n\nüö x\r\nend", "f");
        let at = |offset| {
            let place = lines.place(offset);
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(8), (3, 3));
        assert_eq!(at(9), (3, 4));
        assert_eq!(at(15), (4, 4));
        let empty = Lines::new("", "f").place(0);
        assert_eq!((empty.line, empty.column), (1, 1));
    }
}
