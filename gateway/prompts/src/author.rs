//! Who writes. Owns what of a name may stand in a commit and a reflog.

/// Who writes a version or moves a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    name: String,
    email: String,
}

impl Author {
    /// An author; what git takes for markup or a line's end is taken out.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |text: &str, or: &str| {
            let kept: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).take(200).collect();
            let kept = kept.trim().to_owned();
            if kept.is_empty() { or.to_owned() } else { kept }
        };
        Self { name: clean(name, "tidegate"), email: clean(email, "tidegate@localhost") }
    }

    /// As git writes it: `name <address>`.
    pub(crate) fn line(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}
