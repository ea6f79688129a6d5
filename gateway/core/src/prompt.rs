//! The words of prompts: names, labels, commits, versions and references to one. Owns their grammar; where prompts lie
//! and how they are rendered is the prompt organ's business.

use crate::hex;
use crate::name::{NameFault, check, texts};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no name of a prompt, no label, no commit or no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptRefFault {
    /// It breaks the grammar of names.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// A character that names may have elsewhere, but not here.
    #[error("a prompt's name or label is made of letters, digits and . _ -, and {0:?} is none of them")]
    Character(char),
    /// A form that git does not take in a ref.
    #[error("a prompt's name or label has no `..` and does not end in `.` or `.lock`")]
    Shape,
    /// A label that means something else.
    #[error("{0:?} cannot be a label: it is how a version, a commit, the newest version or the work tree is named")]
    Reserved(String),
    /// A version that is no number from 1.
    #[error("{0:?} is no version: write a number from 1, as in `support/3`")]
    Version(String),
    /// Not 40 hex digits.
    #[error("{0:?} is no commit: write its 40 lower-case hex digits")]
    Sha(String),
    /// Two versions in one reference.
    #[error("the reference names a version twice: leave one of them out")]
    Twice,
}

fn check_part(text: &str) -> Result<(), PromptRefFault> {
    check(text)?;
    if let Some(c) = text.chars().find(|c| "/:@".contains(*c)) {
        return Err(PromptRefFault::Character(c));
    }
    if text.contains("..") || text.ends_with('.') || text.ends_with(".lock") {
        return Err(PromptRefFault::Shape);
    }
    Ok(())
}

fn check_label(text: &str) -> Result<(), PromptRefFault> {
    check_part(text)?;
    let is_commit = text.len() >= 7 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let is_version = text.strip_prefix('v').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
    if is_commit || is_version || matches!(text, "dev" | "latest") {
        return Err(PromptRefFault::Reserved(text.to_owned()));
    }
    Ok(())
}

texts! { PromptRefFault:
    /// The name of a prompt: a folder's name, and a part of a git ref.
    PromptName by check_part
    /// A name that is moved from version to version: `production`.
    PromptLabel by check_label
}

/// The id of a git commit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitSha([u8; 20]);

impl CommitSha {
    /// The commit with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for CommitSha {
    type Err = PromptRefFault;

    fn from_str(text: &str) -> Result<Self, PromptRefFault> {
        let fault = || PromptRefFault::Sha(text.chars().take(48).collect());
        let digits = text.as_bytes();
        if digits.len() != 40 {
            return Err(fault());
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex::read(pair).and_then(|value| u8::try_from(value).ok()).ok_or_else(fault)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 40];
        hex::write(&self.0, &mut digits);
        f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for CommitSha {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CommitSha {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which version of a prompt is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PromptPick {
    /// The newest one.
    Newest,
    /// The one that a label points to.
    Label(PromptLabel),
    /// The one with this number.
    Number(u32),
    /// The one of the commit that begins with these hex digits (7 to 40, lower case).
    Commit(Arc<str>),
    /// What lies in the work tree now; for loopback alone.
    Dev,
}

/// A reference to a version of a prompt: `support`, `support@production`, `support/3`, `support@1a2b3c4`, `support@dev`.
/// `prompts:/` may stand before it, as MLflow writes it, and `@latest` is the newest version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PromptRef {
    /// The prompt.
    pub name: PromptName,
    /// Which version of it.
    pub pick: PromptPick,
}

impl PromptRef {
    /// The reference that an `id` and a `version` beside it make; the version may be a number, a label or a commit.
    ///
    /// # Errors
    /// When either is wrong, or both name a version.
    pub fn of(id: &str, version: Option<&str>) -> Result<Self, PromptRefFault> {
        let mut reference: Self = id.parse()?;
        if let Some(version) = version {
            if reference.pick != PromptPick::Newest {
                return Err(PromptRefFault::Twice);
            }
            let is_number = version.bytes().all(|b| b.is_ascii_digit()) && version.len() < 7;
            reference.pick = if is_number { number(version)? } else { at(version)? };
        }
        Ok(reference)
    }
}

fn number(text: &str) -> Result<PromptPick, PromptRefFault> {
    let fault = || PromptRefFault::Version(text.chars().take(48).collect());
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fault());
    }
    text.parse().map(PromptPick::Number).map_err(|_| fault())
}

fn at(text: &str) -> Result<PromptPick, PromptRefFault> {
    match text {
        "dev" => return Ok(PromptPick::Dev),
        "latest" => return Ok(PromptPick::Newest),
        _ => {}
    }
    let is_commit = (7..=40).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_commit { Ok(PromptPick::Commit(text.into())) } else { text.parse().map(PromptPick::Label) }
}

impl FromStr for PromptRef {
    type Err = PromptRefFault;

    fn from_str(text: &str) -> Result<Self, PromptRefFault> {
        let text = text.strip_prefix("prompts:/").unwrap_or(text);
        let (name, pick) = if let Some((name, label)) = text.split_once('@') {
            (name, at(label)?)
        } else if let Some((name, version)) = text.split_once('/') {
            (name, number(version)?)
        } else {
            (text, PromptPick::Newest)
        };
        Ok(Self { name: name.parse()?, pick })
    }
}

impl fmt::Display for PromptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.pick {
            PromptPick::Newest => write!(f, "{name}"),
            PromptPick::Label(label) => write!(f, "{name}@{label}"),
            PromptPick::Number(n) => write!(f, "{name}/{n}"),
            PromptPick::Commit(digits) => write!(f, "{name}@{digits}"),
            PromptPick::Dev => write!(f, "{name}@dev"),
        }
    }
}

impl Serialize for PromptRef {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PromptRef {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which version served: what an event says of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptStamp {
    /// The prompt.
    pub name: PromptName,
    /// The version's number; 0 for the work tree.
    pub n: u32,
    /// Its commit; `None` for the work tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<CommitSha>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_in_all_their_forms() {
        let pick = |text: &str| text.parse::<PromptRef>().map(|r| r.pick);
        assert_eq!(pick("support"), Ok(PromptPick::Newest));
        assert_eq!(pick("support@latest"), Ok(PromptPick::Newest));
        assert_eq!(pick("prompts:/support/12"), Ok(PromptPick::Number(12)));
        assert_eq!(pick("support@1a2b3c4"), Ok(PromptPick::Commit("1a2b3c4".into())));
        assert_eq!(pick("support@dev"), Ok(PromptPick::Dev));
        assert_eq!(pick("support@production"), Ok(PromptPick::Label("production".parse().unwrap())));
    }

    #[test]
    fn what_could_be_a_path_an_option_or_a_revision_is_refused() {
        for bad in [
            "",
            "../x",
            "a/../b",
            "-x",
            "a\0",
            ".gitmodules",
            "a..b",
            "a.lock",
            "a.",
            "a b",
            "a~1",
            "a^{/x}",
            "a:b",
            "a/0",
            "a/-1",
            "a/99999999999",
            "a/03",
            "a@",
            "a@v1",
            "a@b@c",
            "a@../x",
            "a@x.lock",
            "$(id)",
            "ext::sh -c id",
            "a/1/2",
        ] {
            assert!(bad.parse::<PromptRef>().is_err(), "{bad:?}");
        }
        for reserved in ["dev", "latest", "12", "v3", "1a2b3c4", "ABCDEF0123"] {
            assert!(reserved.parse::<PromptLabel>().is_err(), "{reserved}");
        }
    }

    #[test]
    fn an_id_and_a_version_make_a_reference_once() {
        assert_eq!(PromptRef::of("a", Some("3")).unwrap().to_string(), "a/3");
        assert_eq!(PromptRef::of("a", Some("blue")).unwrap().to_string(), "a@blue");
        assert_eq!(PromptRef::of("a@blue", None).unwrap().to_string(), "a@blue");
        assert_eq!(PromptRef::of("a@blue", Some("3")), Err(PromptRefFault::Twice));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_written_the_same(text in "\\PC{0,60}") {
            if let Ok(reference) = text.parse::<PromptRef>() {
                prop_assert_eq!(reference.to_string().parse::<PromptRef>(), Ok(reference));
            }
        }

        #[test]
        fn a_good_name_is_safe_in_a_path_and_in_a_ref(text in "[a-zA-Z0-9._@/:-]{1,20}") {
            if let Ok(name) = text.parse::<PromptName>() {
                let name = name.as_str();
                prop_assert!(!name.contains(['/', '\\', ':', '@', ' ', '~', '^']) && !name.contains(".."));
                prop_assert!(!name.starts_with(['.', '-']) && !name.ends_with(".lock"));
            }
        }

        #[test]
        fn commits_are_written_as_they_are_read(bytes in any::<[u8; 20]>()) {
            let sha = CommitSha::from_bytes(bytes);
            prop_assert_eq!(sha.to_string().parse::<CommitSha>(), Ok(sha));
        }
    }
}
