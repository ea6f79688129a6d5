//! Tokens guessed ahead: what followed the last ones where they stood before. The guesses are computed with the token
//! that is due, and those that the sampler would have chosen anyway are kept, so they change when tokens come and never
//! which.

/// Tokens that must agree before what follows them is worth a guess, at least and at most.
const MATCH: (usize, usize) = (2, 4);
/// Guesses in a step, at the beginning and at most. With the token that is due they fill the tiles of the product.
const GUESSES: (usize, usize) = (3, 7);
/// The most steps that are sat out after guesses of which none was right.
const LONGEST_REST: u32 = 16;

/// How much one answer guesses, by how its guesses did.
#[derive(Debug, Clone)]
pub(super) struct Drafter {
    most: usize,
    misses: u32,
    rest: u32,
}

impl Default for Drafter {
    fn default() -> Self {
        Self { most: GUESSES.0, misses: 0, rest: 0 }
    }
}

impl Drafter {
    /// Guesses what follows `tokens`, into `draft`; no more than `room`.
    pub(super) fn guess(&mut self, tokens: &[u32], room: usize, draft: &mut Vec<u32>) {
        draft.clear();
        if self.rest > 0 {
            self.rest -= 1;
            return;
        }
        draft.extend_from_slice(lookup(tokens, self.most.min(room)));
    }

    /// Hears how many of the guesses were right.
    pub(super) fn learn(&mut self, guessed: usize, right: usize) {
        if right == 0 {
            self.most = GUESSES.0;
            self.misses += 1;
            self.rest = (1 << self.misses.min(5)).min(LONGEST_REST);
        } else {
            self.misses = 0;
            self.most = if right == guessed { self.most * 2 + 1 } else { right + 1 }.clamp(GUESSES.0, GUESSES.1);
        }
    }
}

/// What followed the newest of the longest earlier places that end like `tokens`, at most `most` of it.
fn lookup(tokens: &[u32], most: usize) -> &[u32] {
    let Some((last, before)) = tokens.split_last() else { return &[] };
    let mut best = (MATCH.0 - 1, 0);
    for at in (1..tokens.len().saturating_sub(1)).rev().filter(|at| tokens[*at] == *last) {
        let alike = tokens[..at].iter().rev().zip(before.iter().rev()).take(MATCH.1 - 1);
        let length = 1 + alike.take_while(|(a, b)| a == b).count();
        if length > best.0 {
            best = (length, at + 1);
            if length == MATCH.1 {
                break;
            }
        }
    }
    let follows = if best.1 == 0 { &[] } else { &tokens[best.1..] };
    &follows[..most.min(follows.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_wins_and_among_equals_the_newest() {
        assert_eq!(lookup(&[1, 2, 3, 4, 5, 9, 1, 2], 2), [3, 4]);
        assert_eq!(lookup(&[1, 2, 3, 7, 2, 8, 7, 1, 2], 3), [3, 7, 2]);
        assert_eq!(lookup(&[1, 2, 3, 1, 2, 4, 1, 2], 1), [4]);
        assert_eq!(lookup(&[5, 1, 2, 3, 1, 2, 4, 5, 1, 2], 1), [3], "three agree there, two with the newer one");
        assert_eq!(lookup(&[7, 7, 7, 7], 8), [7], "the end itself is no earlier place");
        for none in [&[][..], &[1], &[1, 1], &[1, 2, 3, 2]] {
            assert!(lookup(none, 4).is_empty(), "{none:?}");
        }
    }

    #[test]
    fn who_guesses_well_guesses_more_and_who_does_not_rests() {
        let tokens: Vec<u32> = (0..20).chain(0..10).collect();
        let (mut drafter, mut draft) = (Drafter::default(), Vec::new());
        drafter.guess(&tokens, 100, &mut draft);
        assert_eq!(draft, [10, 11, 12]);
        drafter.learn(3, 3);
        drafter.guess(&tokens, 100, &mut draft);
        assert_eq!(draft.len(), 7);
        drafter.guess(&tokens, 2, &mut draft);
        assert_eq!(draft.len(), 2);
        for rest in [2, 4, 8, 16, 16] {
            drafter.learn(3, 0);
            let steps = (0..100).take_while(|_| {
                drafter.guess(&tokens, 100, &mut draft);
                draft.is_empty()
            });
            assert_eq!(steps.count(), rest);
        }
    }
}
