//! In a program that runs no plugins nothing is granted to any. Owns saying so where `granting` would.

use super::parts::Parts;
use std::sync::Arc;
use tidegate_core::Clock;
use tidegate_core::spec::GatewaySpec;

/// Nobody judges.
#[derive(Debug)]
pub(crate) struct Granting;

impl Granting {
    /// Nobody; that plugins cannot be run is said where they are loaded.
    #[expect(clippy::unnecessary_wraps, reason = "with the feature a model may be missing")]
    pub(super) const fn of(_: &GatewaySpec, _: &Parts, _: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        Ok(Self)
    }
}
