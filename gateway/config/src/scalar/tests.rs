//! Tests of single values and their units.

use super::*;
use proptest::prelude::*;

fn span(text: &str) -> Option<Duration> {
    Span::parse(text).ok().map(|span| span.0)
}

fn remedy<T: Scalar>(text: &str) -> String {
    T::parse(text).err().and_then(|flaw| flaw.remedy).unwrap_or_default()
}

#[test]
fn durations_need_a_unit_that_there_is() {
    assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(span("1.5h"), Some(Duration::from_secs(5400)));
    assert_eq!(span("30d"), Some(Duration::from_secs(2_592_000)));
    for bad in ["", "s", "10", "10 weeks", "-1s", "0s", "1e3s", "99999999999999999999d", "1.2.3s", "NaNs"] {
        assert_eq!(span(bad), None, "{bad}");
    }
    assert!(remedy::<Span>("10sec").contains("did you mean `s`"));
    assert!(remedy::<Span>("5min").contains("did you mean `m`"));
}

#[test]
fn sizes_are_binary_or_decimal() {
    let size = |text| Size::parse(text).ok().map(|size| size.0);
    assert_eq!(
        (size("16MiB"), size("2kB"), size("1.5KiB"), size("7B")),
        (Some(16 << 20), Some(2000), Some(1536), Some(7))
    );
    assert_eq!((size("16"), size("0B"), size("0.1B"), size("9999999GB")), (None, None, None, None));
    assert!(remedy::<Size>("16MBytes").contains("did you mean `MB`"));
    assert!(remedy::<Size>("16mib").contains("did you mean `MiB`"));
}

#[test]
fn shares_are_percents_or_fractions() {
    let share = |text| Share::parse(text).ok().map(|share| share.0);
    assert_eq!((share("5%"), share("0.05"), share("100%"), share("0")), (Some(0.05), Some(0.05), Some(1.0), Some(0.0)));
    for bad in ["101%", "-1%", "nan", "inf", "half", "%", "1.1"] {
        assert_eq!(share(bad), None, "{bad}");
    }
    assert_eq!(remedy::<Share>("90"), "did you mean `90%`?");
}

#[test]
fn rates_have_a_count_and_a_time() {
    let rate = |text| Rate::parse(text).ok().map(|rate| (rate.count, rate.every.as_secs()));
    assert_eq!(
        (rate("600/min"), rate("10_000_000/day"), rate("5/s")),
        (Some((600, 60)), Some((10_000_000, 86400)), Some((5, 1)))
    );
    for bad in ["600", "0/min", "-1/min", "1.5/s", "/min", "1/"] {
        assert_eq!(rate(bad), None, "{bad}");
    }
    assert!(remedy::<Rate>("600/minute").contains("did you mean `min`"));
    assert!(remedy::<Rate>("600/m").contains("did you mean `min`"));
}

#[test]
fn a_sha256_is_64_hex_digits_and_no_sign_passes_for_one() {
    assert!(Digest::parse(&"aB".repeat(32)).is_ok());
    assert!(Digest::parse(&"+f".repeat(32)).is_err());
    assert!(Digest::parse(&"ab".repeat(31)).is_err());
}

#[test]
fn an_address_is_no_name_of_a_host() {
    assert!(SocketAddr::parse("[::1]:80").is_ok());
    assert!(remedy::<SocketAddr>("localhost:8081").contains("`127.0.0.1:8081`"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
        drop((Span::parse(&text), Size::parse(&text), Share::parse(&text), Rate::parse(&text), Digest::parse(&text)));
        drop((Count::parse(&text), Money::parse(&text), SocketAddr::parse(&text)));
    }
}
