//! Marked lines from a stream of bytes, in bounded memory.

use std::io::BufRead;

use memchr::memmem::Finder;

/// Longest line kept, in bytes. A record with ten thousand repetitions has a quarter of this.
pub(crate) const LONGEST_LINE: usize = 1 << 20;

/// Longest line that is kept for what may follow it, in bytes.
const LONGEST_BEFORE: usize = 128;

/// Which lines are of interest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// Those that contain one of these texts.
    pub(crate) texts: &'static [&'static str],
    /// And each short line directly before one.
    pub(crate) before: bool,
}

/// Finds the lines of a stream that are of interest. A line that is longer than [`LONGEST_LINE`] is
/// given up: its first bytes are handed on once, marked as cut, and the rest is skipped.
#[derive(Debug)]
pub(crate) struct Lines {
    texts: Vec<Finder<'static>>,
    partial: Vec<u8>,
    skipping: bool,
    /// The last line, where lines before others count: empty if it was long or has been handed on.
    before: Option<Vec<u8>>,
}

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    /// True if it was longer than what is here.
    pub(crate) cut: bool,
}

impl Lines {
    /// Finds lines with these marks.
    pub(crate) fn with(marks: Marks) -> Self {
        Self {
            texts: marks.texts.iter().map(Finder::new).collect(),
            partial: Vec::new(),
            skipping: false,
            before: marks.before.then(Vec::new),
        }
    }

    fn is_marked(&self, bytes: &[u8]) -> bool {
        self.texts.iter().any(|text| text.find(bytes).is_some())
    }

    /// Takes bytes and calls `each` for every marked line that is complete, or proves too long.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        if self.skipping {
            // Reading from a slice cannot fail.
            let before = bytes;
            let count = bytes.skip_until(b'\n').unwrap_or(before.len());
            self.skipping = count == 0 || before[count - 1] != b'\n';
        } else if !self.partial.is_empty() {
            let room = LONGEST_LINE + 1 - self.partial.len();
            let line = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let (front, back) = bytes.split_at(line.unwrap_or(room.min(bytes.len())));
            self.partial.extend_from_slice(front);
            bytes = back;
            if line.is_some() {
                bytes = &bytes[1..];
                self.end_partial(false, &mut each);
            } else if self.partial.len() > LONGEST_LINE {
                self.end_partial(true, &mut each);
                self.skipping = true;
                return self.feed(bytes, each);
            }
        }
        if self.skipping || bytes.is_empty() {
            return;
        }
        // A flood of output runs through here, most of it in whole lines without the mark: those
        // are passed over together, without looking for their ends.
        let end = memchr::memrchr(b'\n', bytes);
        let (whole, rest) = bytes.split_at(end.map_or(0, |at| at + 1));
        if let Some(lines) = whole.strip_suffix(b"\n") {
            self.whole(lines, &mut each);
        }
        if rest.len() > LONGEST_LINE {
            self.partial.extend_from_slice(&rest[..=LONGEST_LINE]);
            self.end_partial(true, &mut each);
            self.skipping = true;
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    /// Takes lines that are all there, without the end of the last one.
    fn whole(&mut self, lines: &[u8], each: &mut impl FnMut(Line<'_>)) {
        let counts = self.before.is_some();
        let mut before = self.before.as_deref().unwrap_or_default();
        if self.is_marked(lines) {
            for line in lines.split(|byte| *byte == b'\n') {
                let cut = line.len() > LONGEST_LINE;
                let bytes = &line[..line.len().min(LONGEST_LINE + 1)];
                if self.is_marked(bytes) {
                    hand_on(before, Line { bytes, cut }, each);
                    before = &[];
                } else if counts {
                    before = short(line);
                }
            }
        } else if counts {
            let last = memchr::memrchr(b'\n', lines);
            before = short(&lines[last.map_or(0, |at| at + 1)..]);
        }
        if counts {
            self.before = Some(before.to_vec());
        }
    }

    fn end_partial(&mut self, cut: bool, each: &mut impl FnMut(Line<'_>)) {
        let before = self.before.as_deref().unwrap_or_default();
        let mut last: &[u8] = &[];
        if self.is_marked(&self.partial) {
            let bytes = &self.partial;
            hand_on(before, Line { bytes, cut }, each);
        } else {
            last = short(&self.partial);
        }
        if self.before.is_some() {
            self.before = Some(last.to_vec());
        }
        self.partial.clear();
    }

    /// Hands on the last line if the stream ended without an end of line.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.partial.is_empty() {
            self.end_partial(false, &mut each);
        }
        self.partial = Vec::new();
    }
}

/// Hands on a line, and the one before it where that counts.
fn hand_on(before: &[u8], line: Line<'_>, each: &mut impl FnMut(Line<'_>)) {
    if !before.is_empty() {
        each(Line {
            bytes: before,
            cut: false,
        });
    }
    each(line);
}

/// A line if it is short, else nothing.
fn short(line: &[u8]) -> &[u8] {
    if line.len() <= LONGEST_BEFORE {
        line
    } else {
        &[]
    }
}

/// True if `bytes` contain `text`.
pub(crate) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::with(Marks {
            texts: &["#!"],
            before: false,
        });
        let mut out = Vec::new();
        let mut each = |line: Line<'_>| out.push((line.bytes.to_vec(), line.cut));
        for chunk in chunks {
            lines.feed(chunk, &mut each);
            assert!(lines.partial.capacity() <= 4 * LONGEST_LINE);
        }
        lines.finish(&mut each);
        out
    }

    fn long(length: usize) -> Vec<u8> {
        let mut line = b"#!".to_vec();
        line.resize(length, b'x');
        line
    }

    #[test]
    fn only_marked_lines_are_handed_on() {
        let lines = all(&[b"a\n#!b\nc #", b"! d\n\n##!\n#\n!\n#!e"]);
        let texts: Vec<&[u8]> = lines.iter().map(|(bytes, _)| &bytes[..]).collect();
        assert_eq!(texts, [&b"#!b"[..], b"c #! d", b"##!", b"#!e"]);
    }

    fn with_the_line_before(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::with(Marks {
            texts: &["#!", "##"],
            before: true,
        });
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| texts.push(line.bytes.to_vec()));
        }
        lines.finish(|line| texts.push(line.bytes.to_vec()));
        texts
    }

    #[test]
    fn the_line_before_is_handed_on_where_it_counts() {
        let long = long(2 * LONGEST_BEFORE);
        let text = [
            &b"a\nb\n#!c\nd\n##e\n#!f\n\n#!g\n"[..],
            &long[1..],
            b"\n#!h\ni\n",
            &long[1..],
            b"\nj\n#!k",
        ]
        .concat();
        let expected = ["b", "#!c", "d", "##e", "#!f", "#!g", "#!h", "j", "#!k"];
        let expected = expected.map(|text| text.as_bytes().to_vec());
        assert_eq!(with_the_line_before(&[&text]), expected);
        for at in 0..text.len() {
            let (front, back) = text.split_at(at);
            assert_eq!(with_the_line_before(&[front, back]), expected, "{at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(with_the_line_before(&bytes), expected);
    }

    #[test]
    fn a_line_without_end_is_cut_once_and_the_next_is_whole() {
        let flood = long(3 * LONGEST_LINE);
        for chunks in [
            &[&flood[..], &flood, b"x\n#!next\n"][..],
            &[b"#!a", &flood, &flood, b"\n#!next\n"],
        ] {
            let lines = all(chunks);
            assert_eq!(lines.len(), 2);
            assert_eq!((lines[0].0.len(), lines[0].1), (LONGEST_LINE + 1, true));
            assert_eq!(lines[1], (b"#!next".to_vec(), false));
        }
    }

    #[test]
    fn a_line_of_exactly_the_longest_length_is_whole() {
        for (length, cut) in [(LONGEST_LINE, false), (LONGEST_LINE + 1, true)] {
            let mut text = long(length);
            text.extend(b"\n#!y");
            for at in [0, 10, LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1] {
                let (front, back) = text.split_at(at);
                let lines = all(&[front, back]);
                assert_eq!((lines[0].0.len(), lines[0].1), (length, cut), "{at}");
                assert_eq!(lines[1..], [(b"#!y".to_vec(), false)], "{at}");
            }
        }
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop::sample::select(b"\n#!xy".to_vec()), 0..300),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let expected: Vec<(Vec<u8>, bool)> = text
                .split(|byte| *byte == b'\n')
                .filter(|line| line.windows(2).any(|pair| pair == b"#!"))
                .map(|line| (line.to_vec(), false))
                .collect();
            prop_assert_eq!(all(&chunks), expected);
        }
    }
}
