//! Digits in groups, as people write long numbers: `4111 1111 1111 1111`, `(030) 123-456`. Owns taking them apart.

/// A group of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group<'a> {
    /// What stands between it and the group before.
    pub(super) separator: &'a str,
    /// Its digits.
    pub(super) digits: &'a str,
    /// Where it ends, in bytes from the beginning.
    pub(super) end: usize,
}

/// Groups at the beginning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Groups<'a> {
    /// Those that are whole.
    pub(super) whole: Vec<Group<'a>>,
    /// Whether more could belong to them.
    pub(super) is_open: bool,
}

impl<'a> Groups<'a> {
    /// With up to `between` of these separators between two groups, and up to `most` digits in all: a group that has more
    /// does not count, and ends them.
    pub(super) fn of(text: &'a str, separators: &str, between: usize, most: usize, is_end: bool) -> Self {
        let (mut whole, mut at, mut taken): (Vec<Group<'a>>, usize, usize) = (Vec::new(), 0, 0);
        loop {
            let rest = &text[at..];
            let separator = if whole.is_empty() {
                ""
            } else {
                let length = rest.bytes().take(between).take_while(|byte| separators.as_bytes().contains(byte)).count();
                &rest[..length]
            };
            let digits = &rest[separator.len()..];
            let length = digits.bytes().take(most - taken + 1).take_while(u8::is_ascii_digit).count();
            let is_at_end = separator.len() + length == rest.len();
            if length > most - taken {
                return Self { whole, is_open: false };
            }
            if is_at_end && !is_end {
                return Self { whole, is_open: true };
            }
            if length == 0 || (separator.is_empty() && !whole.is_empty()) {
                return Self { whole, is_open: false };
            }
            let end = at + separator.len() + length;
            whole.push(Group { separator, digits: &digits[..length], end });
            (at, taken) = (end, taken + length);
        }
    }

    /// The lengths of the groups.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.whole.iter().map(|group| group.digits.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, is_end: bool) -> (Vec<usize>, bool) {
        let groups = Groups::of(text, " -", 1, 8, is_end);
        (groups.lengths(), groups.is_open)
    }

    #[test]
    fn groups_end_where_nothing_belongs_to_them() {
        assert_eq!(of("12 34-56x", false), (vec![2, 2, 2], false));
        assert_eq!(of("12 34-56", true), (vec![2, 2, 2], false));
        assert_eq!(of("12 34-56", false), (vec![2, 2], true), "the last may go on");
        assert_eq!(of("12 34-", false), (vec![2, 2], true));
        assert_eq!(of("12  34", false), (vec![2], false), "two spaces are no separator");
        assert_eq!(of("1234 56789", false), (vec![4], false), "too many digits");
        assert_eq!(
            (of("123456789", false), of("x", true), of("", true)),
            ((vec![], false), (vec![], false), (vec![], false))
        );
    }
}
