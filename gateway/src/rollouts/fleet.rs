//! The way on which replicas run one rollout together: who of them leads, what all saw, and the course that they are agreed
//! on. Owns what of it stands in the shared store; what follows from it is pure and in the crate `tidegate-route`.

#[cfg(feature = "redis")]
mod shared;

#[cfg(feature = "redis")]
pub(crate) use shared::Fleet;

/// How a replica stands to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Footing {
    /// There are no others.
    Alone,
    /// It decides for all.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there are no others without it"))]
    Leads,
    /// Another one decides.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "there are no others without it"))]
    Follows,
    /// Nothing is known of the others.
    CutOff,
}

impl Footing {
    /// In a word, for people and programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Leads => "leads",
            Self::Follows => "follows",
            Self::CutOff => "cut_off",
        }
    }
}

/// Without the feature there is no way to others.
#[cfg(not(feature = "redis"))]
#[derive(Debug)]
pub(crate) enum Fleet {}

#[cfg(not(feature = "redis"))]
impl Fleet {
    pub(crate) fn begin(_: &tidegate_core::spec::SharedSpec, _: String) -> anyhow::Result<Self> {
        anyhow::bail!("this program was built without the feature `redis`, which `store.shared` needs")
    }

    #[expect(clippy::unused_async, reason = "the shape of the one that there is with the feature")]
    pub(super) async fn round(
        &self,
        _: &[std::sync::Arc<super::seat::Seat>],
    ) -> Option<Vec<std::sync::Arc<super::seat::Seat>>> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "the shape of the one that there is with the feature")]
    pub(super) async fn commit(
        &self,
        _: &super::seat::Seat,
        _: u64,
        _: &tidegate_route::rollout::course::Course,
    ) -> Option<bool> {
        match *self {}
    }
}
