//! Lines from a stream of bytes, in bounded memory.

use std::io::{BufRead, Read};

/// Longest line kept, in bytes. A record with ten thousand repetitions has a quarter of this.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

/// Cuts a stream into lines. A line that is longer than [`LONGEST_LINE`] is given up: its first
/// bytes are handed on once, marked as cut, and the rest is skipped.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    skipping: bool,
}

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    /// True if it was longer than what is here.
    pub(crate) cut: bool,
}

impl Lines {
    /// Takes bytes and calls `each` for every line that is complete, or proves too long.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        // Reading from a slice cannot fail: the errors of the calls below stand for the end.
        while !bytes.is_empty() {
            if self.skipping {
                let skipped = bytes.len();
                let before = bytes;
                let count = bytes.skip_until(b'\n').unwrap_or(skipped);
                self.skipping = count == 0 || before[count - 1] != b'\n';
                continue;
            }
            let room = LONGEST_LINE + 1 - self.partial.len();
            let count = Read::take(&mut bytes, room as u64)
                .read_until(b'\n', &mut self.partial)
                .unwrap_or(0);
            if let [line @ .., b'\n'] = &self.partial[..] {
                each(Line {
                    bytes: line,
                    cut: false,
                });
                self.partial.clear();
            } else if self.partial.len() > LONGEST_LINE || count == 0 {
                each(Line {
                    bytes: &self.partial,
                    cut: true,
                });
                self.partial.clear();
                self.skipping = true;
            }
        }
    }

    /// Hands on the last line if the stream ended without an end of line.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.partial.is_empty() {
            each(Line {
                bytes: &self.partial,
                cut: false,
            });
        }
        self.partial = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut each = |line: Line<'_>| out.push((line.bytes.to_vec(), line.cut));
        for chunk in chunks {
            lines.feed(chunk, &mut each);
        }
        lines.finish(&mut each);
        out
    }

    #[test]
    fn a_line_without_end_is_cut_once_and_the_next_is_whole() {
        let flood = vec![b'x'; 3 * LONGEST_LINE];
        let lines = all(&[&flood, &flood, b"x\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].0.len(), lines[0].1), (LONGEST_LINE + 1, true));
        assert_eq!(lines[1], (b"next".to_vec(), false));
    }

    #[test]
    fn a_line_of_exactly_the_longest_length_is_whole() {
        let mut text = vec![b'x'; LONGEST_LINE];
        text.extend(b"\ny");
        let lines = all(&[&text]);
        assert_eq!((lines[0].0.len(), lines[0].1), (LONGEST_LINE, false));
        assert_eq!(lines[1], (b"y".to_vec(), false));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(all(&chunks), all(&[&text]));
        }
    }
}
