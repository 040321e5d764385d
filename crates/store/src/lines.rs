//! Output of several ranks on its way into one file: lines stay whole, and the last ones and the
//! classic result lines are remembered.

use std::collections::{BTreeMap, VecDeque};

use flagperf_model::RECORD_PREFIX;

/// Longest unfinished line that waits for its end, in bytes. A longer one is passed on in pieces.
const LONGEST_WAIT: usize = 64 << 10;
/// Lines kept for the end of a case that did not pass.
const TAIL_LINES: usize = 20;
/// Most bytes of a line that are kept in memory.
const KEPT_BYTES: usize = 2000;
/// Most classic result lines kept of a case on a node.
const RESULT_LINES: usize = 10_000;
/// What a classic result line contains; libraries of other vendors print text before it.
const RESULT_MARK: &[u8] = b"FlagPerf Result";

/// Puts the chunks of each rank together to whole lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    waiting: BTreeMap<u32, Vec<u8>>,
    /// The rank whose unfinished line is at the end of the file.
    unfinished: Option<u32>,
    tail: VecDeque<String>,
    results: Vec<String>,
}

impl Lines {
    /// Takes a chunk of a rank and returns what the file should get now. One rank alone comes out
    /// byte for byte as it went in.
    pub(crate) fn take(&mut self, rank: u32, chunk: &[u8]) -> Vec<u8> {
        let waiting = self.waiting.entry(rank).or_default();
        // An unfinished line waits; what comes before it is ready.
        let end = chunk.iter().rposition(|&byte| byte == b'\n');
        let (now, later) = chunk.split_at(end.map_or(0, |end| end + 1));
        let mut ready = Vec::new();
        if !now.is_empty() {
            ready = std::mem::take(waiting);
            ready.extend_from_slice(now);
        }
        waiting.extend_from_slice(later);
        let mut out = self.pass(rank, ready);
        if let Some(waiting) = self.waiting.get_mut(&rank)
            && waiting.len() > LONGEST_WAIT
        {
            let piece = std::mem::take(waiting);
            out.extend(self.pass(rank, piece));
        }
        out
    }

    /// The unfinished lines, when nothing more will come.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .into_iter()
            .flat_map(|(rank, rest)| self.pass(rank, rest))
            .collect()
    }

    /// The last lines, without the machine-readable records.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &str> {
        self.tail.iter().map(String::as_str)
    }

    /// The classic result lines so far, trimmed.
    pub(crate) fn take_results(&mut self) -> Vec<String> {
        std::mem::take(&mut self.results)
    }

    fn pass(&mut self, rank: u32, bytes: Vec<u8>) -> Vec<u8> {
        let Some(&last) = bytes.last() else {
            return bytes;
        };
        self.remember(&bytes);
        let broken = self.unfinished.is_some_and(|other| other != rank);
        self.unfinished = (last != b'\n').then_some(rank);
        if broken {
            let mut out = Vec::with_capacity(bytes.len() + 1);
            out.push(b'\n');
            out.extend(bytes);
            return out;
        }
        bytes
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.results
            .extend(result_lines(bytes).take(RESULT_LINES.saturating_sub(self.results.len())));
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let last: Vec<String> = text
            .rsplit(|&byte| byte == b'\n')
            .filter(|line| !line.starts_with(RECORD_PREFIX.as_bytes()))
            .take(TAIL_LINES)
            .map(shorten)
            .collect();
        self.tail.extend(last.into_iter().rev());
        while self.tail.len() > TAIL_LINES {
            self.tail.pop_front();
        }
    }
}

fn shorten(line: &[u8]) -> String {
    let kept = &line[..line.len().min(KEPT_BYTES)];
    let text = String::from_utf8_lossy(kept);
    let text = text.trim_end();
    if kept.len() < line.len() {
        format!("{text} …")
    } else {
        text.to_owned()
    }
}

/// The lines that contain a classic result, trimmed, in order.
pub(crate) fn result_lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let found = memchr::memmem::find(rest, RESULT_MARK)?;
        let begin = rest[..found]
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |newline| newline + 1);
        let end = rest[found..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |newline| found + newline);
        let line = shorten(&rest[begin..end]);
        rest = &rest[end..];
        Some(line.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_of_ranks_never_mix(chunks in prop::collection::vec((0u32..3, 1usize..9), 0..200)) {
            // Each rank writes lines made of its own number only, cut at arbitrary places.
            let mut sent = [0usize; 3];
            let mut lines = Lines::default();
            let mut file = Vec::new();
            for (rank, length) in chunks {
                let chunk: Vec<u8> = (0..length)
                    .map(|_| {
                        sent[rank as usize] += 1;
                        if sent[rank as usize] % 5 == 0 { b'\n' } else { b'0' + rank as u8 }
                    })
                    .collect();
                file.extend(lines.take(rank, &chunk));
            }
            file.extend(lines.finish());
            for line in file.split(|&byte| byte == b'\n') {
                prop_assert!(line.iter().all(|byte| *byte == line[0]) && line.len() <= 4, "{line:?}");
            }
            for rank in 0..3u8 {
                let own = file.iter().filter(|byte| **byte == b'0' + rank);
                prop_assert_eq!(own.count(), sent[rank as usize] - sent[rank as usize] / 5);
            }
        }

        #[test]
        fn one_rank_comes_out_as_it_went_in(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let mut lines = Lines::default();
            let mut file = Vec::new();
            for chunk in &chunks {
                file.extend(lines.take(7, chunk));
            }
            file.extend(lines.finish());
            prop_assert_eq!(file, chunks.concat());
        }
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut lines = Lines::default();
        let mut written = 0;
        for _ in 0..1000 {
            written += lines.take(0, &[b'x'; 4096]).len();
            assert!(lines.waiting[&0].len() <= LONGEST_WAIT + 4096);
        }
        assert!(written > 900 * 4096);
        let other = lines.take(1, b"whole\n");
        assert_eq!(
            other, b"\nwhole\n",
            "a line of another rank begins on its own line"
        );
    }

    #[test]
    fn the_tail_is_what_a_person_would_look_at() {
        let mut lines = Lines::default();
        for number in 0..30 {
            lines.take(
                0,
                format!("line {number}\n[FlagPerf Record]{{}}\n").as_bytes(),
            );
        }
        lines.take(
            0,
            b"[FlagPerf Result]Rank 0's x=1.0GB/s\n+ echo '[FlagPerf Result]y= '\n",
        );
        let tail: Vec<&str> = lines.tail().collect();
        assert_eq!((tail.len(), tail[0]), (20, "line 12"));
        assert_eq!(
            lines.take_results(),
            [
                "[FlagPerf Result]Rank 0's x=1.0GB/s",
                "+ echo '[FlagPerf Result]y= '"
            ]
        );
    }
}
