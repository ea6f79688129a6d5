//! What a registry of containers answers to who does not show himself: RFC 9110's challenges, of which two kinds are known.
//! Pure; owns their grammar and the address at which a token is asked for.

use http::{HeaderMap, Uri, header};
use std::fmt::Write as _;

/// How a server wants to be shown who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By a token that another server gives.
    Bearer {
        /// Where.
        realm: Uri,
        /// For whom, and for what.
        asked: Vec<(&'static str, String)>,
    },
    /// By a login.
    Basic,
}

impl Challenge {
    /// The first one that is known; a token is preferred.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let found: Vec<Self> = values.flat_map(parse).collect();
        found.iter().find(|one| matches!(one, Self::Bearer { .. })).or_else(|| found.first()).cloned()
    }

    /// The address at which the token is had.
    pub(super) fn address(realm: &Uri, asked: &[(&'static str, String)]) -> Option<Uri> {
        let mut text = realm.to_string();
        for (name, value) in asked {
            let between = if text.contains('?') { '&' } else { '?' };
            write!(text, "{between}{name}=").ok()?;
            for byte in value.bytes() {
                let is_plain = byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
                if is_plain { text.push(char::from(byte)) } else { write!(text, "%{byte:02X}").ok()? }
            }
        }
        text.parse().ok()
    }
}

/// The challenges of one header that are known.
fn parse(value: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut parts = split(value).into_iter().peekable();
    while let Some(part) = parts.next() {
        // A challenge begins where a word stands before the first parameter.
        let (scheme, first) = part.split_once(' ').map_or((part, None), |(scheme, first)| (scheme, Some(first)));
        if scheme.contains('=') {
            continue;
        }
        let mut parameters: Vec<(String, String)> = first.and_then(parameter).into_iter().collect();
        while let Some(more) = parts.next_if(|part| parameter(part).is_some()) {
            parameters.extend(parameter(more));
        }
        let of = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = of("realm").and_then(|realm| realm.parse().ok())
        {
            let asked = ["service", "scope"].into_iter().filter_map(|name| Some((name, of(name)?))).collect();
            found.push(Challenge::Bearer { realm, asked });
        }
    }
    found
}

/// Splits at commas that stand in no quoted string.
fn split(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// `name=value` or `name="value"`; a word with more before it is none.
fn parameter(part: &str) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || name.contains([' ', '"']) {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(rest) => unescaped(rest.strip_suffix('"')?),
        None => value.to_owned(),
    };
    Some((name.to_ascii_lowercase(), value))
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let docker = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"";
        let Some(Challenge::Bearer { realm, asked }) = of(&[docker]) else { unreachable!("a token is asked") };
        assert_eq!(
            Challenge::address(&realm, &asked).unwrap().to_string(),
            "https://auth.docker.io/token?service=registry.docker.io&scope=repository:a/b:pull,push"
        );
        for (values, expected) in [
            (&["Basic realm=\"Registry\""][..], true),
            (&["basic"], true),
            (&["Negotiate", "Basic realm=\"a, b=c\", charset=\"UTF-8\""], true),
            (&["Basic realm=\"x\", Bearer realm=\"https://t/\""], false),
            (&["Basic realm=\"x\"", "bearer Realm=\"https://t/\", error=\"invalid_token\""], false),
        ] {
            assert_eq!(of(values).is_some_and(|challenge| challenge == Challenge::Basic), expected, "{values:?}");
            assert!(of(values).is_some(), "{values:?}");
        }
        for none in [&[][..], &["Negotiate"], &["Bearer"], &["Bearer realm=\"a b\""], &["=,\",\\"], &[""]] {
            assert_eq!(of(none), None, "{none:?}");
        }
        // A query that the realm has already goes on, and what could end a value is escaped.
        let realm = "https://t/token?a=b".parse().unwrap();
        let address = Challenge::address(&realm, &[("service", "x&y \"".to_owned())]).unwrap();
        assert_eq!(address.to_string(), "https://t/token?a=b&service=x%26y%20%22");
    }
}
