//! How a call of gRPC ended: a code, a text, and when to come again (`google.rpc.RetryInfo`). Owns their form in headers.

use crate::proto::{Fields, Value, put_bytes, put_number, put_text};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use std::time::Duration;

/// How a call ended; the codes of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Well.
    Ok = 0,
    /// Given up.
    Cancelled = 1,
    /// Nobody knows.
    Unknown = 2,
    /// What was asked is wrong.
    InvalidArgument = 3,
    /// Too late.
    DeadlineExceeded = 4,
    /// There is no such model.
    NotFound = 5,
    /// It is there already.
    AlreadyExists = 6,
    /// Who asks may not.
    PermissionDenied = 7,
    /// A limit is reached.
    ResourceExhausted = 8,
    /// The state of things does not allow it.
    FailedPrecondition = 9,
    /// Something else came between.
    Aborted = 10,
    /// Beyond the end.
    OutOfRange = 11,
    /// This is not served.
    Unimplemented = 12,
    /// The server failed.
    Internal = 13,
    /// It cannot be served now.
    Unavailable = 14,
    /// Something is lost.
    DataLoss = 15,
    /// Nobody knows who asks.
    Unauthenticated = 16,
}

impl Code {
    /// All of them, by their numbers.
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of a `grpc-status`; `Unknown` where it is none.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<usize>().ok());
        number.and_then(|number| Self::ALL.get(number)).copied().unwrap_or(Self::Unknown)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What is said of it.
    pub says: String,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

/// Binary headers come with padding and without.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Status {
    /// The value of `grpc-message`.
    #[must_use]
    pub fn message(&self) -> String {
        let mut out = String::with_capacity(self.says.len());
        for byte in self.says.bytes() {
            if (0x20..0x7F).contains(&byte) && byte != b'%' {
                out.push(char::from(byte));
            } else {
                out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
            }
        }
        out
    }

    /// The value of `grpc-status-details-bin`, where there is more to say than code and text.
    #[must_use]
    pub fn details(&self) -> Option<String> {
        let wait = self.retry_after?;
        let (mut delay, mut info, mut any, mut status) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        put_number(&mut delay, 1, wait.as_secs());
        put_number(&mut delay, 2, u64::from(wait.subsec_nanos()));
        put_bytes(&mut info, 1, &delay);
        put_text(&mut any, 1, RETRY_INFO);
        put_bytes(&mut any, 2, &info);
        put_number(&mut status, 1, u64::from(self.code.number()));
        put_text(&mut status, 2, &self.says);
        put_bytes(&mut status, 3, &any);
        Some(STANDARD_NO_PAD.encode(status))
    }

    /// Reads the three headers.
    #[must_use]
    pub fn read(code: &[u8], message: Option<&[u8]>, details: Option<&[u8]>) -> Self {
        let says = String::from_utf8_lossy(&unescaped(message.unwrap_or_default())).into_owned();
        let details = details.and_then(|text| EITHER.decode(text).ok());
        Self { code: Code::of(code), says, retry_after: details.and_then(|details| retry(&details)) }
    }
}

/// A digit of sixteen.
fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or_default().to_ascii_uppercase()
}

/// The bytes that percents stand for; one that stands for none is itself.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, behind)) = rest.split_first() {
        let escape = (*first == b'%').then(|| behind.get(..2)).flatten();
        let byte = escape.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    out
}

/// The delay of a `RetryInfo` among the details of a status.
fn retry(status: &[u8]) -> Option<Duration> {
    let mut fields = Fields::of(status);
    while let Ok(Some((number, value))) = fields.next() {
        let (3, Value::Bytes(any)) = (number, value) else { continue };
        if inner(any, 1) == Some(RETRY_INFO.as_bytes()) {
            return delay(inner(inner(any, 2)?, 1)?);
        }
    }
    None
}

fn inner(message: &[u8], field: u64) -> Option<&[u8]> {
    let mut fields = Fields::of(message);
    while let Ok(Some((number, value))) = fields.next() {
        if let (true, Value::Bytes(bytes)) = (number == field, value) {
            return Some(bytes);
        }
    }
    None
}

fn delay(message: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos, mut fields) = (0, 0, Fields::of(message));
    while let Ok(Some((number, value))) = fields.next() {
        match (number, value) {
            (1, Value::Varint(whole)) => seconds = whole,
            (2, Value::Varint(part)) => nanos = u32::try_from(part).ok()?,
            _ => {}
        }
    }
    // More than a year is none, and a negative one is more than that.
    (seconds < 32_000_000 && nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}
