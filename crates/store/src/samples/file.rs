//! Records of a samples file: framing, appending, reading what is whole, compacting.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flagperf_model::{SampleBlock, SeriesDecl};

use crate::regular::open_regular;

use super::block::{decode, encode, unfold};
use super::{MAX_CELLS, MAX_COLUMNS, MAX_TICKS, Malformed};

/// First bytes of the file: name and version of the format.
const MAGIC: [u8; 12] = *b"FPSAMPLE\x01\0\0\0";
const DICTIONARY: u8 = 1;
const BLOCK: u8 = 2;
/// Type, length, checksum.
const HEADER: usize = 9;
/// Most bytes of one record; a block unfolds to at most as much.
const MAX_PAYLOAD: usize = 16 << 20;
/// Most bytes that a dictionary unfolds to: 250 bytes for each of the most series allowed.
const MAX_DICTIONARY: u64 = 16 << 20;
/// Most values that are read into one block: 1 GiB of memory.
const MAX_READ: usize = 1 << 26;
/// Compression while a case runs: speed counts.
const LIVE_LEVEL: i32 = 1;
/// Compression afterwards: size counts. Higher levels gain less than 1 % and cost several times as much.
const FINAL_LEVEL: i32 = 9;

/// Samples of one node during one case.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// What the columns of `block` are.
    pub series: Vec<SeriesDecl>,
    /// The samples.
    pub block: SampleBlock,
    /// What could not be read, in words; `None` if everything could.
    pub damage: Option<String>,
}

/// Reads the content of a samples file. Never fails: what is not whole is left out, and `damage` says so.
pub fn decode_samples(bytes: &[u8]) -> Samples {
    collect(Reader::new(bytes))
}

/// Reads a whole file into one block.
pub(crate) fn collect<R: Read>(mut reader: Reader<R>) -> Samples {
    let mut block = SampleBlock {
        times: Vec::new(),
        columns: vec![Vec::new(); reader.series.len()],
    };
    let width = reader.series.len().max(1);
    while let Some(next) = reader.next() {
        if (block.times.len() + next.times.len()).saturating_mul(width) > MAX_READ {
            reader.note(format!(
                "only the first {} moments were read: the file holds more than {MAX_READ} values",
                block.times.len()
            ));
            break;
        }
        append(&mut block, next);
    }
    Samples {
        series: reader.series,
        block,
        damage: reader.damage,
    }
}

fn append(block: &mut SampleBlock, next: SampleBlock) {
    block.times.extend(next.times);
    for (column, values) in block.columns.iter_mut().zip(next.columns) {
        column.extend(values);
    }
}

/// The blocks of a file, one after the other.
pub(crate) struct Reader<R> {
    input: R,
    /// Bytes read so far.
    at: u64,
    pub(crate) series: Vec<SeriesDecl>,
    pub(crate) damage: Option<String>,
    done: bool,
}

impl Reader<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(BufReader::new(open_regular(path)?)))
    }
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        let mut reader = Self {
            input,
            at: 0,
            series: Vec::new(),
            damage: None,
            done: false,
        };
        if let Err(why) = reader.start() {
            reader.note(why);
            reader.done = true;
        }
        reader
    }

    fn start(&mut self) -> Result<(), String> {
        match self.bytes(MAGIC.len()) {
            Ok(magic) if magic == MAGIC => {}
            Ok(magic) if magic.starts_with(&MAGIC[..8]) => {
                return Err("it has a format version that this program does not know".into());
            }
            _ => return Err("it does not begin like a samples file".into()),
        }
        let Some((DICTIONARY, payload)) = self.record()? else {
            return Err("its dictionary is missing".into());
        };
        self.series = unfold(&payload, MAX_DICTIONARY)
            .map_err(|why| why.to_string())
            .and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()))
            .map_err(|why| format!("its dictionary cannot be read: {why}"))?;
        if self.series.len() > MAX_COLUMNS {
            self.series.clear();
            return Err("its dictionary has more series than allowed".into());
        }
        Ok(())
    }

    /// The next block that is whole; blocks that are not are noted and passed over.
    pub(crate) fn next(&mut self) -> Option<SampleBlock> {
        while !self.done {
            let begin = self.at;
            match self.record() {
                Ok(Some((BLOCK, payload))) => match decode(&payload, self.series.len()) {
                    Ok(block) => return Some(block),
                    Err(Malformed(why)) => {
                        self.note(format!("the block at byte {begin} cannot be read: {why}"));
                    }
                },
                // Records of a kind that a later version adds are passed over.
                Ok(Some(_)) => {}
                Ok(None) => self.done = true,
                Err(why) => {
                    self.note(why);
                    self.done = true;
                }
            }
        }
        None
    }

    /// The next record with a right checksum; `None` at the end of the file.
    fn record(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        loop {
            let begin = self.at;
            let torn = || format!("it ends in the middle of a record that begins at byte {begin}");
            let header = self.bytes(HEADER).map_err(|_| torn())?;
            if header.is_empty() {
                return Ok(None);
            }
            let Ok(header) = <[u8; HEADER]>::try_from(header) else {
                return Err(torn());
            };
            let [kind, l0, l1, l2, l3, c0, c1, c2, c3] = header;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            if length > MAX_PAYLOAD {
                return Err(format!(
                    "the record at byte {begin} claims an impossible length"
                ));
            }
            let payload = self.bytes(length).map_err(|_| torn())?;
            if payload.len() < length {
                return Err(torn());
            }
            if checksum(kind, &payload) == u32::from_le_bytes([c0, c1, c2, c3]) {
                return Ok(Some((kind, payload)));
            }
            self.note(format!("the record at byte {begin} is damaged"));
        }
    }

    /// Up to `count` bytes, fewer at the end of the file.
    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input
            .by_ref()
            .take(count as u64)
            .read_to_end(&mut bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    /// Keeps the first damage only: later ones mostly follow from it.
    fn note(&mut self, what: String) {
        self.damage.get_or_insert(what);
    }
}

fn checksum(kind: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(kind);
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(checksum(kind, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Turns blocks into the bytes of a samples file. The caller owns the file.
#[derive(Debug)]
pub(crate) struct Writer {
    columns: usize,
    level: i32,
}

impl Writer {
    /// A writer for blocks as they come, and the first bytes of the file.
    pub(crate) fn live(series: &[SeriesDecl]) -> io::Result<(Self, Vec<u8>)> {
        Self::new(series, LIVE_LEVEL)
    }

    fn new(series: &[SeriesDecl], level: i32) -> io::Result<(Self, Vec<u8>)> {
        if series.len() > MAX_COLUMNS {
            return Err(io::Error::other(format!("more than {MAX_COLUMNS} series")));
        }
        let dictionary = zstd::bulk::compress(&serde_json::to_vec(series)?, FINAL_LEVEL)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(record(DICTIONARY, &dictionary));
        Ok((
            Self {
                columns: series.len(),
                level,
            },
            bytes,
        ))
    }

    /// The records of a block of any length.
    pub(crate) fn block(&self, block: &SampleBlock) -> io::Result<Vec<u8>> {
        let ticks = block.times.len();
        if block.columns.len() != self.columns
            || block.columns.iter().any(|column| column.len() != ticks)
        {
            return Err(io::Error::other(format!(
                "samples do not match the {} series that were declared",
                self.columns
            )));
        }
        let mut bytes = Vec::new();
        let step = group_size(self.columns);
        for begin in (0..ticks).step_by(step) {
            let end = (begin + step).min(ticks);
            let payload = if (begin, end) == (0, ticks) {
                encode(block, self.level)?
            } else {
                let part = SampleBlock {
                    times: block.times[begin..end].to_vec(),
                    columns: block
                        .columns
                        .iter()
                        .map(|c| c[begin..end].to_vec())
                        .collect(),
                };
                encode(&part, self.level)?
            };
            bytes.extend(record(BLOCK, &payload));
        }
        Ok(bytes)
    }
}

/// Moments of one block for a number of series.
fn group_size(columns: usize) -> usize {
    (MAX_CELLS / columns.max(1)).clamp(1, MAX_TICKS)
}

/// Rewrites a file with large blocks, through a temporary name beside it. Holds one block in
/// memory. A file with damage is left as it is: its bytes may still be of use to somebody.
pub(crate) fn compact(path: &Path) -> io::Result<()> {
    let mut reader = Reader::open(path)?;
    let (writer, head) = Writer::new(&reader.series, FINAL_LEVEL)?;
    let temporary = path.with_extension("fps.tmp");
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(&head)?;
        let step = group_size(reader.series.len());
        let empty = SampleBlock {
            times: Vec::new(),
            columns: vec![Vec::new(); reader.series.len()],
        };
        let mut group = empty.clone();
        while let Some(next) = reader.next() {
            if !group.times.is_empty() && group.times.len() + next.times.len() > step {
                file.write_all(&writer.block(&group)?)?;
                group = empty.clone();
            }
            append(&mut group, next);
        }
        if !group.times.is_empty() {
            file.write_all(&writer.block(&group)?)?;
        }
        if let Some(damage) = reader.damage.take() {
            return Err(io::Error::other(damage));
        }
        file.sync_data()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        // It may not exist; the error to report is the first one.
        drop(fs::remove_file(&temporary));
    }
    result
}
