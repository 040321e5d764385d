//! One block of samples as bytes: what the block record of a samples file holds.
//!
//! Every column is differenced none, once or twice, whichever leaves the smallest numbers, less a
//! base value, divided by the greatest common divisor; what remains are small whole numbers, which
//! zstd squeezes. All arithmetic wraps, so every 64-bit value comes back. `docs/formats.md` gives
//! the layout byte by byte.

use std::io::Read;

use flagperf_model::{SampleBlock, Timestamp};

use super::varint::{Cursor, put, put_signed, zigzag};
use super::{MAX_CELLS, MAX_COLUMNS, MAX_TICKS, Malformed};

/// Most bytes that a block may unfold to. The limits on ticks and cells allow 10 bytes a number
/// and some heads: 11 MiB.
const MAX_RAW: u64 = 16 << 20;

/// Flag in a column's first byte: a bitmap of the values present follows.
const HAS_GAPS: u8 = 0x04;

/// Encodes a block that respects the limits of [`super`].
pub(super) fn encode(block: &SampleBlock, level: i32) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::with_capacity(block.times.len() * (block.columns.len() + 4) * 2);
    put(&mut raw, block.times.len() as u64);
    put(&mut raw, block.columns.len() as u64);
    let times: Vec<i64> = block.times.iter().map(|time| time.0).collect();
    put_column(&mut raw, &times, None);
    for column in &block.columns {
        let present: Vec<i64> = column.iter().copied().flatten().collect();
        let gaps = (present.len() != column.len()).then_some(column.as_slice());
        put_column(&mut raw, &present, gaps);
    }
    zstd::bulk::compress(&raw, level)
}

fn put_column(out: &mut Vec<u8>, values: &[i64], gaps: Option<&[Option<i64>]>) {
    let plan = (0..=2)
        .map(|order| Plan::new(values, order))
        .min_by_key(|plan| plan.bits);
    let Some(plan) = plan else { return };
    out.push(plan.order as u8 | if gaps.is_some() { HAS_GAPS } else { 0 });
    if let Some(column) = gaps {
        out.extend(column.chunks(8).map(|eight| {
            eight.iter().enumerate().fold(0u8, |byte, (bit, value)| {
                byte | u8::from(value.is_some()) << bit
            })
        }));
    }
    for head in &plan.heads {
        put_signed(out, *head);
    }
    if plan.rest.is_empty() {
        return;
    }
    put_signed(out, plan.base);
    put(out, plan.divisor as u64);
    for value in &plan.rest {
        put_signed(out, *value);
    }
}

/// A column differenced `order` times.
struct Plan {
    order: usize,
    /// The first value, and the first difference.
    heads: Vec<i64>,
    /// Subtracted from what the differencing left.
    base: i64,
    /// Then divided by this.
    divisor: i64,
    rest: Vec<i64>,
    /// Size of `rest` in bits, about.
    bits: u64,
}

impl Plan {
    fn new(values: &[i64], order: usize) -> Self {
        let mut rest = values.to_vec();
        let mut heads = Vec::new();
        for _ in 0..order {
            let Some(&first) = rest.first() else { break };
            heads.push(first);
            rest = rest
                .windows(2)
                .map(|pair| pair[1].wrapping_sub(pair[0]))
                .collect();
        }
        let mut sorted = rest.clone();
        let middle = sorted.len() / 2;
        // The middle value as base centres noise around zero and is one of the values, so that
        // the common divisor of the distances between values survives.
        let base = if sorted.is_empty() {
            0
        } else {
            *sorted.select_nth_unstable(middle).1
        };
        let mut divisor = 0u64;
        for value in &mut rest {
            *value = value.wrapping_sub(base);
            divisor = common_divisor(divisor, value.unsigned_abs());
        }
        let divisor = i64::try_from(divisor).unwrap_or(1).max(1);
        let mut bits = 64 * heads.len() as u64;
        for value in &mut rest {
            *value /= divisor;
            bits += u64::from(64 - zigzag(*value).leading_zeros());
        }
        Self {
            order,
            heads,
            base,
            divisor,
            rest,
            bits,
        }
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Decodes a block of exactly `columns` columns.
pub(super) fn decode(payload: &[u8], columns: usize) -> Result<SampleBlock, Malformed> {
    let raw = unfold(payload, MAX_RAW)?;
    let mut cursor = Cursor(&raw);
    let ticks = usize::try_from(cursor.unsigned()?).unwrap_or(usize::MAX);
    let count = usize::try_from(cursor.unsigned()?).unwrap_or(usize::MAX);
    if count != columns || count > MAX_COLUMNS {
        return Err(Malformed("its columns are not those of the dictionary"));
    }
    if ticks > MAX_TICKS || ticks.saturating_mul(count) > MAX_CELLS.max(count) {
        return Err(Malformed("it claims more values than a block may have"));
    }
    let times = take_column(&mut cursor, ticks)?
        .into_iter()
        .map(|time| time.map(Timestamp))
        .collect::<Option<Vec<_>>>()
        .ok_or(Malformed("a moment is missing"))?;
    let columns = (0..count)
        .map(|_| take_column(&mut cursor, ticks))
        .collect::<Result<_, _>>()?;
    if !cursor.0.is_empty() {
        return Err(Malformed("bytes are left over"));
    }
    Ok(SampleBlock { times, columns })
}

fn take_column(cursor: &mut Cursor<'_>, ticks: usize) -> Result<Vec<Option<i64>>, Malformed> {
    let first = cursor.bytes(1)?[0];
    let order = usize::from(first & 0x03);
    if order > 2 || first & !(0x03 | HAS_GAPS) != 0 {
        return Err(Malformed("a column is coded in an unknown way"));
    }
    let bitmap = if first & HAS_GAPS == 0 {
        None
    } else {
        Some(cursor.bytes(ticks.div_ceil(8))?)
    };
    let present = |tick: usize| bitmap.is_none_or(|map| map[tick / 8] >> (tick % 8) & 1 == 1);
    let count = (0..ticks).filter(|&tick| present(tick)).count();
    // `heads[0]` is the running value, `heads[1]` the running difference.
    let mut heads = [0i64; 2];
    let stored = order.min(count);
    for head in &mut heads[..stored] {
        *head = cursor.signed()?;
    }
    let (base, divisor) = if count > stored {
        (cursor.signed()?, cursor.unsigned()? as i64)
    } else {
        (0, 1)
    };
    let mut index = 0;
    let mut value = heads[0];
    let mut difference = heads[1];
    (0..ticks)
        .map(|tick| {
            if !present(tick) {
                return Ok(None);
            }
            index += 1;
            if index == 1 && order >= 1 {
                return Ok(Some(value));
            }
            if index == 2 && order == 2 {
                value = value.wrapping_add(difference);
                return Ok(Some(value));
            }
            let rest = cursor.signed()?.wrapping_mul(divisor).wrapping_add(base);
            match order {
                0 => value = rest,
                1 => value = value.wrapping_add(rest),
                _ => {
                    difference = difference.wrapping_add(rest);
                    value = value.wrapping_add(difference);
                }
            }
            Ok(Some(value))
        })
        .collect()
}

/// Decompresses, and stops at `limit` bytes whatever the frame claims: memory grows with what
/// really comes out, never with a number in the input.
pub(super) fn unfold(payload: &[u8], limit: u64) -> Result<Vec<u8>, Malformed> {
    let broken = |_| Malformed("its compressed bytes are damaged");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(payload).map_err(broken)?;
    // 2^24 bytes: a window larger than the largest block is never written.
    decoder.window_log_max(24).map_err(broken)?;
    let mut raw = Vec::new();
    decoder
        .take(limit + 1)
        .read_to_end(&mut raw)
        .map_err(broken)?;
    if raw.len() as u64 > limit {
        return Err(Malformed("it unfolds to more bytes than allowed"));
    }
    Ok(raw)
}
