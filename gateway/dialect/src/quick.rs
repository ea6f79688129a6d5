//! Bodies of the Open Inference Protocol as most of them are, read in one pass: members in the usual order, plain names,
//! numbers, and no word of outputs. What is otherwise, wrong or not, is left to the careful reader in `open_inference`, which
//! says what is wrong; tests hold the two to the same tensors.

use crate::cell::{put_number, put_whole};
use bytes::BytesMut;
use tidegate_core::tensor::{Parameters, elements};
use tidegate_core::{Datatype, Tensor};

/// More tensors are rare, and names are compared one by one.
const MOST_TENSORS: usize = 16;
/// Lists within lists.
const MOST_DEPTH: usize = 8;
/// The powers of ten that an `f64` has exactly: a whole number below 2^53 times or by one of them is rounded once.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// What a body says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) id: Option<String>,
    pub(crate) model_version: Option<String>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) parameters: Parameters,
}

/// Reads a body whose tensors stand in `list`, where it is of the usual kind.
pub(crate) fn read(json: &[u8], list: &str) -> Option<Read> {
    let mut at = Cursor { json, at: 0 };
    let (mut read, mut name) = (Read::default(), false);
    // Who asks names the model in the path.
    let is_answer = list == "outputs";
    let mut parameters = None;
    at.members(|at, member| {
        match member {
            "id" if read.id.is_none() => read.id = Some(at.text()?.to_owned()),
            "model_version" if is_answer && read.model_version.is_none() => {
                read.model_version = Some(at.text()?.to_owned());
            }
            "model_name" if is_answer && !std::mem::replace(&mut name, true) => drop(at.text()?),
            "parameters" if parameters.is_none() => parameters = Some(at.parameters()?),
            _ if member == list && read.tensors.is_empty() => {
                at.list(|at| {
                    let tensor = tensor(at)?;
                    let is_known = read.tensors.iter().any(|known| known.name() == tensor.name());
                    read.tensors.push(tensor);
                    (!is_known && read.tensors.len() <= MOST_TENSORS).then_some(())
                })?;
            }
            _ => return None,
        }
        Some(())
    })?;
    read.parameters = parameters.unwrap_or_default();
    (at.peek().is_none() && !read.tensors.is_empty()).then_some(read)
}

fn tensor(at: &mut Cursor<'_>) -> Option<Tensor> {
    let (mut name, mut shape, mut datatype, mut data, mut parameters) = (None, None, None, None, None);
    at.members(|at, member| {
        match member {
            "name" if name.is_none() => name = Some(at.text()?.to_owned()),
            "datatype" if datatype.is_none() => datatype = Some(at.text()?.parse::<Datatype>().ok()?),
            "shape" if shape.is_none() => {
                let mut sizes: Vec<u64> = Vec::with_capacity(2);
                at.list(|at| {
                    sizes.push(at.number()?.size()?);
                    Some(())
                })?;
                shape = Some(sizes);
            }
            "parameters" if parameters.is_none() => parameters = Some(at.parameters()?),
            "data" if data.is_none() => {
                let datatype = datatype.filter(|datatype| datatype.is_float() || datatype.is_integer())?;
                let wanted = elements(name.as_deref()?, shape.as_deref()?).ok()?;
                // Two bytes of JSON are an element at least.
                let wanted = usize::try_from(wanted).ok().filter(|wanted| *wanted <= at.json.len() / 2)?;
                let mut list = BytesMut::with_capacity(wanted * datatype.width()?);
                let found = at.numbers(datatype, 0, &mut list)?;
                data = (found == wanted).then(|| list.freeze());
                data.as_ref()?;
            }
            _ => return None,
        }
        Some(())
    })?;
    let tensor = Tensor::new(name?, datatype?, shape?, data?).ok()?;
    Some(tensor.with_parameters(parameters.unwrap_or_default()))
}

/// A number as it stands there: `digits` times ten to the `tens`.
struct Number<'a> {
    is_negative: bool,
    digits: u64,
    tens: i32,
    /// Whether it has neither point nor exponent.
    is_whole: bool,
    text: &'a [u8],
}

impl Number<'_> {
    fn size(&self) -> Option<u64> {
        (self.is_whole && !self.is_negative).then_some(self.digits)
    }

    #[expect(clippy::cast_precision_loss, reason = "below 2^53, or the nearest number is meant")]
    fn value(&self) -> Option<f64> {
        let nth = usize::try_from(self.tens.unsigned_abs()).ok()?;
        let value = match TENS.get(nth) {
            _ if self.is_whole => self.digits as f64,
            Some(by) if self.digits < 1 << 53 => {
                if self.tens < 0 {
                    self.digits as f64 / by
                } else {
                    self.digits as f64 * by
                }
            }
            _ => return std::str::from_utf8(self.text).ok()?.parse().ok().filter(|value: &f64| value.is_finite()),
        };
        Some(if self.is_negative { -value } else { value })
    }

    fn put(&self, datatype: Datatype, into: &mut BytesMut) -> Option<()> {
        if datatype.is_float() {
            return put_number(datatype, self.value()?, into).ok();
        }
        let whole = i128::from(self.is_whole.then_some(self.digits)?);
        put_whole(datatype, if self.is_negative { -whole } else { whole }, into).ok()
    }
}

struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Whether another one follows in a list or an object that ends so.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        (byte == b',' || byte == end).then_some(byte == b',')
    }

    fn members(&mut self, mut each: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.text()?;
            self.take(b':')?;
            each(self, name)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn list(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        loop {
            each(self)?;
            if !self.goes_on(b']')? {
                return Some(());
            }
        }
    }

    /// A text of ASCII without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let rest = self.json.get(self.at..)?;
        let end = rest.iter().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
        self.at += end + 1;
        let (text, behind) = rest.split_at(end);
        (behind.first() == Some(&b'"')).then(|| std::str::from_utf8(text).ok()).flatten()
    }

    /// A flat object.
    fn parameters(&mut self) -> Option<Parameters> {
        self.take(b'{')?;
        let rest = self.json.get(self.at..)?;
        let end = rest.iter().position(|byte| matches!(byte, b'{' | b'}' | b'[' | b'\\'))?;
        let all = self.json.get(self.at - 1..=self.at + end)?;
        self.at += end + 1;
        let found: Parameters = serde_json::from_slice(all).ok()?;
        // What they mean is the careful reader's.
        let is_special = |name: &String| name.starts_with("shared_memory_") || name.starts_with("binary_data");
        (!found.keys().any(is_special)).then_some(found)
    }

    /// The numbers of a list, flat or nested; how many.
    fn numbers(&mut self, datatype: Datatype, depth: usize, into: &mut BytesMut) -> Option<usize> {
        let mut found = 0;
        self.list(|at| {
            found += match at.peek()? {
                b'[' if depth < MOST_DEPTH => at.numbers(datatype, depth + 1, into)?,
                _ => {
                    at.number()?.put(datatype, into)?;
                    1
                }
            };
            Some(())
        })?;
        Some(found)
    }

    fn number(&mut self) -> Option<Number<'a>> {
        self.peek()?;
        let start = self.at;
        let is_negative = self.json.get(start) == Some(&b'-');
        self.at += usize::from(is_negative);
        let (mut digits, mut count, first) = (0_u64, 0, self.at);
        self.digits(&mut digits, &mut count)?;
        let has_zero = self.json.get(first) == Some(&b'0');
        let (mut tens, mut is_whole) = (0, true);
        if has_zero && self.at > first + 1 {
            return None;
        }
        if self.json.get(self.at) == Some(&b'.') {
            (self.at, is_whole) = (self.at + 1, false);
            let point = self.at;
            self.digits(&mut digits, &mut count)?;
            tens = -i32::try_from(self.at - point).ok()?;
        }
        if matches!(self.json.get(self.at), Some(b'e' | b'E')) {
            (self.at, is_whole) = (self.at + 1, false);
            let sign = self.json.get(self.at).copied().filter(|byte| matches!(byte, b'+' | b'-'));
            self.at += usize::from(sign.is_some());
            let (mut exponent, mut count) = (0, 0);
            self.digits(&mut exponent, &mut count)?;
            let exponent = i32::try_from(exponent).ok().filter(|exponent| *exponent < 1000)?;
            tens += if sign == Some(b'-') { -exponent } else { exponent };
        }
        Some(Number { is_negative, digits, tens, is_whole, text: self.json.get(start..self.at)? })
    }

    /// At least one digit, and no more in all than a `u64` has for sure.
    fn digits(&mut self, into: &mut u64, count: &mut u32) -> Option<()> {
        let start = self.at;
        while let Some(byte @ b'0'..=b'9') = self.json.get(self.at) {
            *into = into.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            self.at += 1;
        }
        *count += u32::try_from(self.at - start).ok()?;
        (self.at > start && *count <= 19).then_some(())
    }
}
