//! What is wrong with what was read, and where.

use tidegate_core::{Fault, FaultKind, TensorFault};

/// What is wrong, with the field that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The field, as `inputs[0].shape`.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub says: String,
}

/// The longest piece of a foreign text that is shown in a message.
const SHOWN: usize = 64;

impl Wrong {
    /// What is wrong with a field.
    #[must_use]
    pub fn new(field: impl Into<String>, says: impl Into<String>) -> Self {
        Self { field: field.into(), says: says.into() }
    }

    /// What a tensor's check says.
    #[must_use]
    pub(crate) fn tensor(field: impl Into<String>, fault: &TensorFault) -> Self {
        Self::new(field, fault.to_string())
    }

    /// As the fault of a caller.
    #[must_use]
    pub fn of_caller(self) -> Fault {
        Fault::field(self.field, self.says)
    }

    /// As the fault of a provider, which its answer shows.
    #[must_use]
    pub fn of_provider(self) -> Fault {
        let says = "the provider's answer is none of its protocol; its kind or its url may be wrong";
        Fault::new(FaultKind::UpstreamFailed, says).because(format_args!("{}: {}", self.field, self.says))
    }
}

/// A foreign text as it may stand in a message: short, and of one line.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}
