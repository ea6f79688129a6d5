//! `tidegate check`: a configuration read as `serve` would read it, with all its faults.

use super::{Wrong, load, print};
use crate::pull::web::Web;
use crate::terminal::{Style, harmless};
use crate::wire::plugins::{Depot, Found};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_config::Report;
use tidegate_core::spec::{GatewaySpec, ProviderKind};

/// The arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Ends with 0 where `serve` would take it, warnings or not, and with 2 where it has a fault.")]
pub(super) struct Check {
    /// A YAML file, or a folder of them
    path: PathBuf,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people, with excerpts
    Text,
    /// For programs
    Json,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let loaded = match load(&self.path) {
            Ok(loaded) => loaded,
            Err(error) => {
                let report = error.downcast::<Report>()?;
                return self.refuse(&report);
            }
        };
        let built =
            Built { engine: cfg!(feature = "engine"), host: cfg!(feature = "host"), otlp: cfg!(feature = "otlp") };
        let lacking = lacking(&loaded.spec, built);
        // Plugins are loaded as `serve` would, but for those that would have to be fetched: a check asks nobody.
        let depot = Depot::from_environment(Arc::new(Web::from_environment()));
        let Found { faults: plugins, unseen } = crate::wire::plugins::faults(&loaded.spec, &depot);
        let is_fine = lacking.is_empty() && plugins.is_empty();
        match self.format {
            Format::Json => {
                let findings = serde_json::json!({"ok": is_fine, "warnings": loaded.warnings, "lacking": lacking, "plugins": plugins, "unseen": unseen, "config": *loaded.spec.hash});
                print(&format!("{findings:#}\n"))?;
            }
            Format::Text => {
                let faults: Vec<_> = lacking.iter().chain(&plugins).map(|fault| harmless(fault)).collect();
                print(&self.text(&loaded.warnings, &faults, &unseen, &loaded.spec))?;
            }
        }
        if is_fine { Ok(()) } else { Err(Wrong(String::new()).into()) }
    }

    fn text(
        &self,
        warnings: &[impl std::fmt::Display],
        faults: &[impl std::fmt::Display],
        unseen: &[String],
        spec: &GatewaySpec,
    ) -> String {
        let style = Style::stdout();
        let mut text = String::new();
        let mut line = |head: String, body: &dyn std::fmt::Display| writeln!(text, "{head} {body}").unwrap_or_default();
        for warning in warnings {
            line(style.warn("warning:"), warning);
        }
        for fault in faults {
            line(style.bad("error:"), fault);
        }
        for what in unseen {
            line("note:".to_owned(), &harmless(what));
        }
        if faults.is_empty() {
            let GatewaySpec { routes, models, providers, hash, .. } = spec;
            let adapters = match models.values().map(|model| model.adapters.len()).sum::<usize>() {
                0 => String::new(),
                count => format!("{count} adapter(s), "),
            };
            let (routes, models, providers) = (routes.len(), models.len(), providers.len());
            line(
                style.good(&format!("{} is fine:", self.path.display())),
                &format!(
                    "{routes} route(s), {models} model(s), {adapters}{providers} provider(s), {} warning(s), config {hash}",
                    warnings.len()
                ),
            );
        }
        text
    }

    fn refuse(&self, report: &Report) -> anyhow::Result<()> {
        match self.format {
            Format::Json => print(&format!("{:#}\n", serde_json::json!({"ok": false, "findings": report})))?,
            Format::Text => print(&format!("{}\n", report.to_string().trim_end()))?,
        }
        Err(Wrong(String::new()).into())
    }
}

/// What this program was built with.
#[derive(Debug, Clone, Copy)]
struct Built {
    engine: bool,
    host: bool,
    otlp: bool,
}

/// What the configuration needs and this program was built without.
fn lacking(spec: &GatewaySpec, built: Built) -> Vec<String> {
    let without = |what: String, feature: &str| {
        format!("{what} needs the feature `{feature}`, which this program was built without")
    };
    let mut lacking = Vec::new();
    if !built.engine {
        let local = spec.providers.values().filter(|provider| matches!(provider.kind, ProviderKind::Local(_)));
        lacking.extend(local.map(|provider| without(format!("the provider `{}`", provider.name), "engine")));
    }
    if !built.host {
        lacking.extend(spec.plugins.keys().map(|name| without(format!("the plugin `{name}`"), "host")));
    }
    if !built.otlp && spec.telemetry.otlp.is_some() {
        lacking.push(without("`telemetry.otlp`".to_owned(), "otlp"));
    }
    lacking
}
