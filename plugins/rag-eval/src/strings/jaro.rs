//! Letters in common that stand near their places (Jaro 1989), and more of it where texts begin alike (Winkler 1990). As in
//! rapidfuzz: near is within half of the longer text less one, transpositions are rounded down to pairs, and Winkler's bonus is
//! for a likeness above 0.7.

use crate::ranked::count;

/// Letters at the beginning that earn a bonus.
const PREFIX: usize = 4;
/// What each earns, of what is missing.
const BONUS: f64 = 0.1;
/// The likeness above which there is a bonus.
const ENOUGH: f64 = 0.7;

/// The mean of the shares of letters of each text that the other has near, and of these in the same order; 1 for two empty
/// texts.
#[must_use]
pub fn likeness(one: &[char], two: &[char]) -> f64 {
    if one.is_empty() && two.is_empty() {
        return 1.0;
    }
    // Which letters are shared depends on whose are looked for first where letters repeat; the shorter's always are.
    let (one, two) = if one.len() <= two.len() { (one, two) } else { (two, one) };
    let near = (two.len() / 2).saturating_sub(1);
    let mut taken = vec![false; two.len()];
    let mut shared = Vec::new();
    for (at, letter) in one.iter().enumerate() {
        let (from, to) = (at.saturating_sub(near), (at + near + 1).min(two.len()));
        let places = two.iter().zip(taken.iter_mut()).take(to).skip(from);
        if let Some((_, free)) = places.into_iter().find(|(other, taken)| *other == letter && !**taken) {
            *free = true;
            shared.push(letter);
        }
    }
    if shared.is_empty() {
        return 0.0;
    }
    let theirs = two.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(letter, _)| letter);
    let misplaced = shared.iter().zip(theirs).filter(|(ours, theirs)| **ours != *theirs).count();
    let all = count(shared.len());
    (all / count(one.len()) + all / count(two.len()) + (all - count(misplaced / 2)) / all) / 3.0
}

/// The likeness with a bonus for the letters, four at most, that both begin with.
#[must_use]
pub fn winkler(one: &[char], two: &[char]) -> f64 {
    let likeness = likeness(one, two);
    let alike = one.iter().zip(two).take(PREFIX).take_while(|(one, two)| one == two).count();
    if likeness > ENOUGH { likeness + count(alike) * BONUS * (1.0 - likeness) } else { likeness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strings::letters;

    #[test]
    fn known_likenesses() {
        // Winkler's own examples.
        for (one, two, jaro, with_bonus) in [
            ("MARTHA", "MARHTA", 0.944_444_444_444, 0.961_111_111_111),
            ("DWAYNE", "DUANE", 0.822_222_222_222, 0.84),
            ("DIXON", "DICKSONX", 0.766_666_666_667, 0.813_333_333_333),
            ("", "", 1.0, 1.0),
            ("", "a", 0.0, 0.0),
            ("a", "a", 1.0, 1.0),
            ("ab", "ba", 0.0, 0.0),
        ] {
            let (a, b) = (letters(one), letters(two));
            assert!((likeness(&a, &b) - jaro).abs() < 1e-11, "{one} {two}: {}", likeness(&a, &b));
            assert!((winkler(&a, &b) - with_bonus).abs() < 1e-11, "{one} {two}: {}", winkler(&a, &b));
        }
    }
}
