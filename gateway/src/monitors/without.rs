//! Without plugins nobody judges windows: a configuration that has monitors is refused.

use tidegate_core::spec::GatewaySpec;

/// None.
#[derive(Debug, Default)]
pub(crate) struct Monitors(());

impl Monitors {
    /// Without the feature there are none.
    ///
    /// # Errors
    /// The configuration has some.
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(crate) fn refused(&self, spec: &GatewaySpec) -> anyhow::Result<()> {
        anyhow::ensure!(
            spec.monitors.is_empty(),
            "this program was built without the feature `host`, which `monitors` need"
        );
        Ok(())
    }
}
