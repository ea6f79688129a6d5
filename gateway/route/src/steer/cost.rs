//! What a call will probably cost at each arm. Owns the guess at the tokens of its answer.

use super::{Asked, Seen};
use tidegate_core::Price;

/// After so many answers an arm's own mean counts; before, that of all arms together.
const ENOUGH: u32 = 10;
/// Tokens of an answer where nothing is known of any.
const UNKNOWN: f64 = 256.0;

/// The tokens that each arm will probably produce: its mean, but no more than the call asks for. Where no arm has
/// answered, as many as it asks for.
pub(super) fn expected(arms: &[Seen], asked: &Asked) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
    let most = asked.most.map(|most| most as f64);
    let answers: f64 = arms.iter().map(|arm| f64::from(arm.reading.answers)).sum();
    let tokens: f64 = arms.iter().map(|arm| f64::from(arm.reading.answers) * arm.reading.tokens).sum();
    let usual = if answers > 0.0 { tokens / answers } else { most.unwrap_or(UNKNOWN) };
    arms.iter().map(move |arm| {
        let own = if arm.reading.answers >= ENOUGH { arm.reading.tokens } else { usual };
        most.map_or(own, |most| own.min(most))
    })
}

/// USD for so many tokens.
#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
pub(super) fn usd(price: Price, asked: &Asked, produced: f64) -> f64 {
    (asked.prompt as f64 * price.input + produced * price.output) / 1e6
}
