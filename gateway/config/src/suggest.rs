//! Did you mean: the nearest of the known words. Owns the distance; who asks knows the words.

/// The word nearest to `given`, where one is near enough to be meant.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let limit = (given.chars().count() / 3).clamp(1, 3);
    let distances = known.into_iter().map(|word| (distance(&given, &word.to_lowercase(), limit), word));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) between two words; more than
/// `limit` may be told as any larger number.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>(), vec![0; b.len() + 1]];
    for (i, &x) in a.iter().enumerate() {
        let [before, last, next] = &mut rows;
        next[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            next[j + 1] = replaced.min(last[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                next[j + 1] = next[j + 1].min(before[j - 1] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let words = ["weighted", "sticky", "retry", "model"];
        assert_eq!(nearest("wieghted", words), Some("weighted"));
        assert_eq!(nearest("Model", words), Some("model"));
        assert_eq!(nearest("retries", words), Some("retry").filter(|_| distance("retries", "retry", 3) <= 2));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!((distance("ab", "ba", 3), distance("kitten", "sitting", 3), distance("", "abc", 3)), (1, 3, 3));
    }
}
