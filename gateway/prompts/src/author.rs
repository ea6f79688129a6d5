//! Who writes, and by which key of his the same write is known again. Owns what of a name may stand in a commit and a
//! reflog.

use tidegate_core::once::Once;

/// Who writes a version or moves a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    name: String,
    email: String,
    once: Option<Once>,
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
        Self { name: clean(name, "tidegate"), email: clean(email, "tidegate@localhost"), once: None }
    }

    /// The same, who is to do this request once.
    #[must_use]
    pub fn with(self, once: Option<Once>) -> Self {
        Self { once, ..self }
    }

    /// The request that he does, where it has a key.
    pub(crate) const fn once(&self) -> Option<&Once> {
        self.once.as_ref()
    }

    /// As git writes it: `name <address>`.
    pub(crate) fn line(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}
