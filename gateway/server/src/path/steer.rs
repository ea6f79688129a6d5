//! What is seen of a route's arms when a call comes, for policies that look at it. Owns the look; what is made of it is pure
//! and in the crate `tidegate-route`.

use crate::body::Scan;
use crate::snapshot::Arm;
use std::sync::Arc;
use tidegate_route::Steering;
use tidegate_route::steer::{Asked, Seen};

/// The probability of each arm for this call; `None` where an arm is not measured.
pub(crate) fn shares(steering: &Steering, arms: &[Arm], scan: &Scan) -> Option<Arc<[f64]>> {
    let seen: Option<Vec<Seen>> = arms.iter().map(seen).collect();
    let most = scan.max_tokens.map(|most| most.saturating_mul(scan.n));
    Some(steering.shares(&seen?, &Asked { prompt: scan.prompt_tokens, most }))
}

fn seen(arm: &Arm) -> Option<Seen> {
    let gauge = arm.gauge.as_ref()?;
    Some(Seen { is_ready: arm.backend.ready(), reading: gauge.read(), price: arm.price })
}
