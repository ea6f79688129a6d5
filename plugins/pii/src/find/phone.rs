//! Telephone numbers: international ones from their `+` or `00`, and national ones where separators show that they are:
//! North America's three groups, a leading 0, an area in brackets. Ten digits alone are any number.

use super::groups::{Group, Groups};
use super::{Verdict, is_inner};

/// What may stand between digits, how many of it, and the most digits that a number has (E.164; and the 00 before).
const SEPARATORS: &str = " -./()";
const BETWEEN: usize = 2;
const DIGITS: usize = 15;

pub(super) fn at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    // A number that something is joined to from the left is a part of that.
    if is_inner(before) || before.is_some_and(|before| ".-/:,+_".contains(before)) {
        // `tel:` and the like stand before an international number.
        if before != Some(':') || !rest.starts_with('+') {
            return Verdict::No;
        }
    }
    let Some(first) = rest.bytes().next() else { return Verdict::No };
    let head = match first {
        b'+' | b'(' => 1,
        b'0'..=b'9' => 0,
        _ => return Verdict::No,
    };
    let most = if rest.starts_with("00") { DIGITS + 2 } else { DIGITS };
    let mut groups = Groups::of(&rest[head..], SEPARATORS, BETWEEN, most, is_end);
    if groups.is_open {
        return Verdict::More;
    }
    // A group that a letter is joined to belongs to something else.
    if groups.whole.last().is_some_and(|last| is_inner(rest[head + last.end..].chars().next())) {
        groups.whole.pop();
    }
    let found = match first {
        b'+' => longest(&groups.whole, 8..=DIGITS),
        b'(' => in_brackets(&groups.whole),
        _ => national(&groups),
    };
    found.map_or(Verdict::No, |end| Verdict::Found(head + end))
}

/// The end of the most groups that have so many digits together.
fn longest(groups: &[Group<'_>], digits: std::ops::RangeInclusive<usize>) -> Option<usize> {
    let mut all = 0;
    let fitting = groups.iter().filter(|group| {
        all += group.digits.len();
        digits.contains(&all)
    });
    fitting.last().map(|group| group.end)
}

/// `(030) 123456`, `(555) 123-4567`.
fn in_brackets(groups: &[Group<'_>]) -> Option<usize> {
    let (area, next) = (groups.first()?, groups.get(1)?);
    let is_area = (2..=5).contains(&area.digits.len()) && next.separator.starts_with(')');
    if is_area { longest(groups, 7..=12) } else { None }
}

fn national(groups: &Groups<'_>) -> Option<usize> {
    let first = groups.whole.first()?;
    if let Some(abroad) = first.digits.strip_prefix("00") {
        let is_abroad = !abroad.starts_with('0') && groups.whole.len() > 1;
        return if is_abroad { longest(&groups.whole, 10..=DIGITS + 2) } else { None };
    }
    if first.digits.starts_with('0') {
        let has_dots = groups.whole.iter().any(|group| group.separator.contains(['.', '(']));
        let is_date = matches!(groups.lengths()[..], [1 | 2, 1 | 2, 2 | 4, ..]);
        let is_number = groups.whole.len() > 1 && !has_dots && (!is_date || is_pairs(groups));
        return if is_number { longest(&groups.whole, 8..=12) } else { None };
    }
    let skip = usize::from(first.digits == "1");
    north_american(groups.whole.get(skip..)?)
}

/// `06 12 34 56 78`: five pairs are no date.
fn is_pairs(groups: &Groups<'_>) -> bool {
    groups.whole.len() >= 5 && groups.whole.iter().take(5).all(|group| group.digits.len() == 2)
}

/// Three, three and four digits, the first of each three from 2 on.
fn north_american(groups: &[Group<'_>]) -> Option<usize> {
    let [area, office, line, ..] = groups else { return None };
    let is_three = |group: &Group<'_>| group.digits.len() == 3 && !group.digits.starts_with(['0', '1']);
    let is_joined = |group: &Group<'_>| matches!(group.separator, "-" | "." | " ");
    let is_number =
        is_three(area) && is_three(office) && line.digits.len() == 4 && is_joined(office) && is_joined(line);
    is_number.then_some(line.end)
}
