//! The head of a GGUF file: counts, metadata and tensors, all of which must stand within the file and leave no room for
//! anything else. What the metadata means to an engine is the engine's.

use super::{Extent, LONGEST_HEAD, Stop, stop};
use std::collections::HashSet;

/// The most metadata entries, and the most tensors; real files have hundreds.
const MOST: u64 = 65_536;
/// The most dimensions of a tensor.
const DIMENSIONS: u32 = 4;
/// The alignment of a file that names none.
const ALIGNMENT: u64 = 32;

/// Reads a head as far as it has come.
pub(super) fn read(head: &[u8]) -> Result<Extent, Stop> {
    let mut from = Reader { bytes: head, at: 4 };
    let version = from.u32()?;
    if !matches!(version, 2 | 3) {
        let says = if matches!(version.swap_bytes(), 1..=3) { "it is big-endian" } else { "it has another version" };
        return Err(stop(format!("{says}: GGUF is taken in versions 2 and 3, little-endian")));
    }
    let (tensors, entries) = (from.u64()?, from.u64()?);
    if tensors > MOST || entries > MOST {
        return Err(stop(format!(
            "it counts {tensors} tensors and {entries} metadata entries: at most {MOST} are taken"
        )));
    }
    if tensors == 0 {
        return Err(stop("it has no tensors"));
    }
    let alignment = metadata(&mut from, entries)?;
    let mut places = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let (name, place) = tensor(&mut from)?;
        if !names.insert(name) {
            return Err(stop(format!("the tensor {name:?} stands twice in it")));
        }
        places.push(place);
    }
    let begin = aligned(from.at as u64, alignment)?;
    let end = extent(places, alignment)?;
    let shortest = begin.checked_add(end).ok_or_else(absurd)?;
    Ok(Extent { shortest, longest: aligned(shortest, alignment)? })
}

/// Reads the metadata; gives the alignment.
fn metadata<'a>(from: &mut Reader<'a>, entries: u64) -> Result<u64, Stop> {
    let mut keys: HashSet<&'a str> = HashSet::new();
    let mut alignment = ALIGNMENT;
    for _ in 0..entries {
        let key = from.name("a metadata key")?;
        if !keys.insert(key) {
            return Err(stop(format!("the metadata key {key:?} stands twice in it")));
        }
        let kind = from.u32()?;
        match (key, kind) {
            ("general.alignment", 4) => {
                alignment = from.u32()?.into();
                if !alignment.is_power_of_two() || alignment > 65_536 {
                    return Err(stop(format!(
                        "`general.alignment` is {alignment}, which is no power of two up to 65536"
                    )));
                }
            }
            ("general.alignment", _) => return Err(stop("`general.alignment` is no 32-bit number")),
            ("general.architecture", kind) if kind != TEXT => return Err(stop("`general.architecture` is no text")),
            _ => value(from, key, kind)?,
        }
    }
    if !keys.contains("general.architecture") {
        return Err(stop("`general.architecture` is missing, so that nobody knows what model it is"));
    }
    Ok(alignment)
}

/// The kinds of values that are no numbers.
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// How many bytes a value of this kind has, where all have the same.
const fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | BOOL => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn value(from: &mut Reader<'_>, key: &str, kind: u32) -> Result<(), Stop> {
    if kind != ARRAY {
        return values(from, key, kind, 1);
    }
    let (kind, count) = (from.u32()?, from.u64()?);
    values(from, key, kind, count)
}

fn values(from: &mut Reader<'_>, key: &str, kind: u32, count: u64) -> Result<(), Stop> {
    if kind == TEXT {
        if count > LONGEST_HEAD as u64 / 8 {
            return Err(absurd());
        }
        for _ in 0..count {
            let length = from.u64()?;
            from.bytes(length)?;
        }
        return Ok(());
    }
    let Some(width) = width(kind) else {
        return Err(stop(format!("the metadata value of {key:?} has a kind that is not taken: {kind}")));
    };
    let bytes = from.bytes(count.checked_mul(width).ok_or_else(absurd)?)?;
    if kind == BOOL && bytes.iter().any(|byte| *byte > 1) {
        return Err(stop(format!("the metadata value of {key:?} is neither true nor false")));
    }
    Ok(())
}

/// Where a tensor lies behind the head: its offset and its length.
type Place = (u64, u64);

fn tensor<'a>(from: &mut Reader<'a>) -> Result<(&'a str, Place), Stop> {
    let name = from.name("a tensor's name")?;
    let dimensions = from.u32()?;
    if dimensions > DIMENSIONS {
        return Err(stop(format!("the tensor {name:?} has {dimensions} dimensions: at most {DIMENSIONS} are taken")));
    }
    let mut shape = [1u64; DIMENSIONS as usize];
    for size in shape.iter_mut().take(dimensions as usize) {
        *size = from.u64()?;
    }
    let (kind, offset) = (from.u32()?, from.u64()?);
    let Some((block, bytes)) = block(kind) else {
        return Err(stop(format!("the tensor {name:?} has a type that is not known: {kind}")));
    };
    let count = shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size)).filter(|count| *count > 0);
    let length = count.and_then(|count| (count / block).checked_mul(bytes));
    match length {
        Some(length) if shape[0] % block == 0 => Ok((name, (offset, length))),
        _ => Err(stop(format!("the tensor {name:?} has a shape that cannot be: {shape:?} of type {kind}"))),
    }
}

/// How many numbers a block of a type has, and in how many bytes.
const fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        39 => (32, 17),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        _ => return None,
    })
}

/// The end of the last tensor, where each lies right behind another, but for the padding between them.
fn extent(mut places: Vec<Place>, alignment: u64) -> Result<u64, Stop> {
    places.sort_unstable();
    let mut end = 0u64;
    for (offset, length) in places {
        if offset != aligned(end, alignment)? {
            return Err(stop("its tensors overlap, have room between them, or are not aligned"));
        }
        end = offset.checked_add(length).ok_or_else(absurd)?;
    }
    Ok(end)
}

fn aligned(at: u64, alignment: u64) -> Result<u64, Stop> {
    at.checked_next_multiple_of(alignment).ok_or_else(absurd)
}

fn absurd() -> Stop {
    stop("it names a length that no file has")
}

/// Reads a head from its beginning.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: u64) -> Result<&'a [u8], Stop> {
        // No head has room for it, so that there is nothing to wait for.
        let count = usize::try_from(count).ok().filter(|count| *count <= LONGEST_HEAD).ok_or_else(absurd)?;
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..count)).ok_or(Stop::More)?;
        self.at += count;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        Ok(self.bytes(4)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        Ok(self.bytes(8)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn name(&mut self, what: &str) -> Result<&'a str, Stop> {
        let length = self.u64()?;
        let bytes = self.bytes(length)?;
        if bytes.is_empty() || bytes.len() > 65_535 {
            return Err(stop(format!("{what} has {} bytes", bytes.len())));
        }
        std::str::from_utf8(bytes).map_err(|_| stop(format!("{what} is no UTF-8")))
    }
}
