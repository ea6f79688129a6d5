//! Routers: a warm instance is asked which arms a call may have. Owns what it is shown of them, and that what it says are
//! shares.

use super::{WarmFilter, vet, view};
use crate::bindings::filters::exports::tidegate::plugin::router as wit;
use tidegate_core::port::filter::{Failed, Seen};
use tidegate_core::port::router::{Advice, Router, SeenArm};

/// The longest reason.
const REASON_BYTES: usize = 256;

impl Router for WarmFilter {
    fn choose(&self, call: &Seen<'_>, features: &[f64], arms: &[SeenArm<'_>]) -> Result<Advice, Failed> {
        let id = view::Id::of(call);
        let context = view::context(&id, call, self.0.plugin().limits().deadline);
        let seen: Vec<wit::Arm<'_>> = arms.iter().map(arm).collect();
        self.0.call(
            |store, guests| match &guests.router {
                Some(guest) => guest.call_choose(store, context, call.headers, features, &seen),
                // Whoever is no router says nothing, which is no share.
                None => Ok(Ok(wit::Advice { shares: Vec::new(), reason: None })),
            },
            |advice| vetted(advice, arms.len()),
        )
    }
}

fn arm<'a>(arm: &SeenArm<'a>) -> wit::Arm<'a> {
    wit::Arm {
        name: arm.name.as_str(),
        share: arm.share,
        ready: arm.is_ready,
        in_flight: arm.busy,
        first_byte_ms: arm.first_byte_ms,
        price_input: arm.price.map(|price| price.input),
        price_output: arm.price.map(|price| price.output),
    }
}

/// A share for each arm, and a reason that a record can have.
fn vetted(given: wit::Advice, arms: usize) -> Result<Advice, vet::Wrong> {
    let wit::Advice { shares, reason } = given;
    if shares.len() != arms {
        return Err(format!("it gave {} shares for {arms} arms", shares.len()));
    }
    if let Some(share) = shares.iter().find(|share| !share.is_finite() || **share < 0.0) {
        return Err(format!("it gave the share {share}: shares are numbers from 0 on"));
    }
    if shares.iter().all(|share| *share <= 0.0) {
        return Err("it gave no arm a share above 0".to_owned());
    }
    if let Some(reason) = &reason {
        vet::short(reason, REASON_BYTES, "its reason")?;
    }
    Ok(Advice { shares, reason: reason.filter(|reason| !reason.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shares_are_taken() {
        let said = |shares: &[f64], reason: Option<&str>| {
            vetted(wit::Advice { shares: shares.to_vec(), reason: reason.map(str::to_owned) }, 2)
        };
        let good = said(&[0.0, 3.0], Some("long")).unwrap();
        assert_eq!((good.shares, good.reason.as_deref()), (vec![0.0, 3.0], Some("long")));
        assert_eq!(said(&[1.0, 1.0], Some("")).unwrap().reason, None);
        for (shares, part) in [
            (&[1.0][..], "1 shares for 2 arms"),
            (&[1.0, f64::NAN], "the share NaN"),
            (&[1.0, -1.0], "the share -1"),
            (&[f64::INFINITY, 1.0], "the share inf"),
            (&[0.0, 0.0], "no arm a share"),
        ] {
            let says = said(shares, None).unwrap_err();
            assert!(says.contains(part), "{says}");
        }
        assert!(said(&[1.0, 1.0], Some(&"x".repeat(257))).unwrap_err().contains("its reason"));
    }
}
