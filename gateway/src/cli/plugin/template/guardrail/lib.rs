//! Finds long numbers in a text, such as those of cards and accounts. Owns the search and its settings; what is done about
//! them is in `guest`.

#[cfg(target_arch = "wasm32")]
mod guest;

use serde::Deserialize;

/// What an operator may say; `config.schema.json` says the same to programs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From how many digits on a number is long.
    pub digits: usize,
    /// From how many long numbers on a text is blocked rather than redacted.
    pub block_from: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            digits: 12,
            block_from: 5,
        }
    }
}

impl Config {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if config.digits == 0 || config.block_from == 0 {
            return Err("`digits` and `block_from` are 1 at least".to_owned());
        }
        Ok(config)
    }
}

/// Where long numbers stand, as bytes of the text. Single blanks and hyphens between digits belong to a number.
pub fn numbers(text: &str, digits: usize) -> Vec<(usize, usize)> {
    let (bytes, mut found, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (start, mut end, mut count) = (at, at, 0);
        while at < bytes.len() {
            if bytes[at].is_ascii_digit() {
                count += 1;
                at += 1;
                end = at;
            } else if at == end && matches!(bytes[at], b' ' | b'-') {
                at += 1;
            } else {
                break;
            }
        }
        if count >= digits {
            found.push((start, end));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_found_where_they_stand() {
        let found = |text: &str| {
            numbers(text, 12)
                .iter()
                .map(|(a, b)| text[*a..*b].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found("card 4111 1111 1111 1111, or ü 411111111111"),
            ["4111 1111 1111 1111", "411111111111"]
        );
        assert_eq!(found("4111  1111  1111 and 12345"), [""; 0]);
        assert_eq!(found(""), [""; 0]);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Config::read("{}"), Ok(Config::default()));
        assert!(Config::read("{\"digits\": 0}").is_err());
    }
}
