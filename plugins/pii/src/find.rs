//! Personal data in a text. Owns the kinds, and the scan: from left to right, at each place the kinds in their order, the
//! first that is there is taken.
//!
//! A kind says that it is there, that it is not, or that this depends on what comes next. It may say one of the first two only
//! where no continuation changes it: then a text in pieces gives the same finds as the whole, wherever it is cut.

mod address;
mod card;
mod email;
mod groups;
mod iban;
mod phone;
mod ssn;

/// A kind of personal data, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// An international bank account number, by its country's length and its check digits.
    Iban,
    /// A payment card's number, by its network's lengths and its check digit.
    Card,
    /// A US social security number.
    Ssn,
    /// An IPv6 address.
    Ipv6,
    /// An IPv4 address.
    Ipv4,
    /// A telephone number, international or in a national form with separators.
    Phone,
}

/// Whether a kind is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not, whatever comes next.
    No,
    /// It is, so many bytes long, whatever comes next.
    Found(usize),
    /// That depends on what comes next.
    More,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Nothing personal.
    Text(&'a str),
    /// Something that was found.
    Found(Kind, &'a str),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Email, Self::Iban, Self::Card, Self::Ssn, Self::Ipv6, Self::Ipv4, Self::Phone];

    /// As settings name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Ssn => "ssn",
            Self::Ipv6 => "ipv6",
            Self::Ipv4 => "ipv4",
            Self::Phone => "phone",
        }
    }

    /// As callers are told of it.
    #[must_use]
    pub const fn called(self) -> &'static str {
        match self {
            Self::Email => "an e-mail address",
            Self::Iban => "a bank account number",
            Self::Card => "a card number",
            Self::Ssn => "a social security number",
            Self::Ipv6 | Self::Ipv4 => "an IP address",
            Self::Phone => "a telephone number",
        }
    }

    /// What stands in its place where nothing else is said.
    #[must_use]
    pub const fn replacement(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::Iban => "[IBAN]",
            Self::Card => "[CARD]",
            Self::Ssn => "[SSN]",
            Self::Ipv6 | Self::Ipv4 => "[IP]",
            Self::Phone => "[PHONE]",
        }
    }

    /// Whether it is at the beginning of `rest`, which the letter `before` stands in front of.
    fn at(self, before: Option<char>, rest: &str, is_end: bool) -> Verdict {
        match self {
            Self::Email => email::at(before, rest, is_end),
            Self::Iban => iban::at(before, rest, is_end),
            Self::Card => card::at(before, rest, is_end),
            Self::Ssn => ssn::at(before, rest, is_end),
            Self::Ipv6 => address::v6_at(before, rest, is_end),
            Self::Ipv4 => address::v4_at(before, rest, is_end),
            Self::Phone => phone::at(before, rest, is_end),
        }
    }
}

/// The longest that any kind holds back, in bytes.
pub const MOST_HELD: usize = 700;

/// What is at the beginning of `rest`: a find, none, or that it depends on what comes next.
pub(crate) fn first(kinds: &[Kind], before: Option<char>, rest: &str, is_end: bool) -> (Verdict, Option<Kind>) {
    for kind in kinds {
        match kind.at(before, rest, is_end) {
            Verdict::No => {}
            verdict => return (verdict, Some(*kind)),
        }
    }
    (Verdict::No, None)
}

/// The pieces of a whole text.
#[must_use]
pub fn pieces<'a>(kinds: &[Kind], text: &'a str) -> Vec<Piece<'a>> {
    let (mut found, mut before, mut from, mut at) = (Vec::new(), None, 0, 0);
    while let Some(letter) = text[at..].chars().next() {
        if let (Verdict::Found(length), Some(kind)) = first(kinds, before, &text[at..], true) {
            if from < at {
                found.push(Piece::Text(&text[from..at]));
            }
            let of = &text[at..at + length];
            found.push(Piece::Found(kind, of));
            (before, at) = (of.chars().next_back(), at + length);
            from = at;
        } else {
            (before, at) = (Some(letter), at + letter.len_utf8());
        }
    }
    if from < at {
        found.push(Piece::Text(&text[from..]));
    }
    found
}

/// Whether a letter belongs to a word or a number, so that nothing begins behind it and nothing ends before it.
pub(crate) fn is_inner(letter: Option<char>) -> bool {
    letter.is_some_and(char::is_alphanumeric)
}

#[cfg(test)]
mod tests;
