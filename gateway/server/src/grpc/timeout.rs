//! How long a caller waits at most, as his call says (`grpc-timeout`). Pure.

use http::{HeaderMap, HeaderName};
use std::time::Duration;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the caller waits; none where he does not say, or in no form of gRPC.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let count: u64 = is_number.then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(of("10S"), Some(Duration::from_secs(10)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!((of("7u"), of("7n")), (Some(Duration::from_micros(7)), Some(Duration::from_nanos(7))));
        for none in ["", "S", "10", "-1S", "+1S", "123456789S", "1.5S", "10s", "1 S"] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
