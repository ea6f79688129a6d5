//! A plugin says which arms a call may have, and the policy draws one from that. Owns the asking, and what the record has of
//! it; where the plugin fails the shares of the configuration count, and the record says so.

use super::choose::Coming;
use super::filter::{as_texts, micros, shown};
use crate::snapshot::{Arm, RouteRouter};
use tidegate_core::event::{Advised, Decision};
use tidegate_core::port::filter::{Failed, Seen};
use tidegate_core::port::router::SeenArm;
use tidegate_core::{Clock, Dice};

/// Picks an arm by what the plugin says of this call.
pub(crate) fn decide(
    router: &RouteRouter,
    call: &Coming<'_, '_>,
    unit: Option<&[u8]>,
    clock: &dyn Clock,
    dice: &dyn Dice,
) -> Decision {
    let Coming { admitted, headers, facts, id } = call;
    let route = &admitted.route;
    let regarded = router.advising.regard(*facts);
    let features = regarded.as_ref().map_or(&[][..], |regarded| &regarded.features);
    let headers = shown(headers);
    let headers = as_texts(&headers);
    let seen = Seen {
        id: *id,
        route: &route.spec.name,
        tenant: Some(&admitted.caller.0.tenant),
        api: admitted.arrived.api,
        model: None,
        prompt_version: None,
        headers: &headers,
    };
    let otherwise = router.advising.otherwise();
    let arms: Vec<SeenArm<'_>> =
        route.arms.iter().zip(otherwise.iter()).map(|(arm, share)| arm_of(arm, *share)).collect();
    let began = clock.now();
    let said = router.router.choose(&seen, features, &arms);
    let us = micros(clock.now().saturating_duration_since(began));
    let mut advised = Advised { plugin: router.plugin.clone(), failed: None, reason: None, us };
    let shares = said.and_then(|advice| {
        let shares = router.advising.shares(&advice.shares).map_err(|fault| Failed {
            plugin: router.plugin.clone(),
            kind: "bad_output",
            says: fault.to_string(),
        })?;
        advised.reason = advice.reason.map(Into::into);
        Ok(shares)
    });
    let shares = shares.unwrap_or_else(|failed| {
        advised.failed = Some(failed.kind.into());
        otherwise.clone()
    });
    Decision { regarded, advised: Some(advised), ..route.policy.choose_by(shares, unit, dice) }
}

fn arm_of(arm: &Arm, share: f64) -> SeenArm<'_> {
    let reading = arm.gauge.as_ref().map(|gauge| gauge.read());
    SeenArm {
        name: &arm.name,
        share,
        is_ready: arm.backend.ready() && !reading.is_some_and(|reading| reading.is_failing),
        busy: reading.map_or(0, |reading| reading.busy),
        first_byte_ms: reading.and_then(|reading| reading.time).map(|seconds| seconds * 1000.0),
        price: arm.price,
    }
}
