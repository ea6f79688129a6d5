//! What the nodes of a graph of classic models make of tensors: pure. [`combine`] makes one answer of several,
//! [`branch`] says which way a switch goes, [`part`] which way a splitter does, [`feed`] gives a step its inputs, and [`Why`]
//! is why it all comes out so.
//! Who asks the models is the program's.

mod branch;
mod combine;
mod feed;
mod reason;

pub use branch::branch;
pub use combine::combine;
pub use feed::feed;
pub use reason::{Source, Why, passes};

use crate::share;
use tidegate_core::dice::{mix, unit};

/// Why tensors are not what a node needs: what is wrong and how to mend it, for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(String);

/// Which part of a splitter a call goes to, and the uniform number that says so. It hangs on the call's id and the node
/// alone, so that it can be drawn again.
#[must_use]
pub fn part(shares: &[f64], call: u128, node: &str) -> (usize, f64) {
    // FNV-1a: nodes of one graph draw apart from each other.
    let salt = node
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    let [high, low] = [call >> 64, call & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default());
    let draw = unit(mix(mix(low ^ salt) ^ high));
    (share::at(shares, draw), draw)
}

/// How many names a message lists.
const SHOWN: usize = 16;

/// Names as a message lists them.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let clean = |name: &str| name.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{}`", clean(name))).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_shares_and_nodes_draw_apart() {
        const CALLS: u32 = 100_000;
        let shares = [0.9, 0.1];
        let (mut first, mut both) = (0, 0);
        for n in 0..CALLS {
            let id = tidegate_core::InferenceId::from_parts(
                1_700_000_000_000 + u64::from(n),
                mix(n.into()),
                mix(7 ^ u64::from(n)),
            );
            let (one, draw) = part(&shares, id.as_u128(), "a");
            assert_eq!(part(&shares, id.as_u128(), "a"), (one, draw));
            let (other, _) = part(&shares, id.as_u128(), "b");
            first += u32::from(one == 0);
            both += u32::from(one == 0 && other == 0);
        }
        let near = |count: u32, share: f64| {
            let n = f64::from(CALLS);
            (f64::from(count) - n * share).abs() <= 4.0 * (n * share * (1.0 - share)).sqrt()
        };
        assert!(near(first, 0.9) && near(both, 0.81), "{first} {both}");
    }
}
