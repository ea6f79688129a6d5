//! `telemetry`: where traces go.

use super::Desk;
use super::provider::Url;
use crate::scalar::{At, Share, Text};
use crate::shape::record;
use tidegate_core::spec::{OtlpSpec, TelemetrySpec};

record! {
    /// Traces.
    TelemetryFile {
        optional {
            /// Where traces go by OTLP; nowhere by default.
            otlp: OtlpFile,
        }
        later { "logs", "metrics", "prometheus" }
    }
}

record! {
    /// Where traces go.
    OtlpFile {
        required {
            /// The collector's gRPC address, such as `http://127.0.0.1:4317`.
            endpoint: At<Url>,
        }
        optional {
            /// The share of traces begun here that is sampled; 100% by default. A caller's decision is kept.
            sample: At<Share>,
            /// The `service.name`; `tidegate` by default.
            service: At<Text>,
        }
        later { "headers", "tls" }
    }
}

/// Traces.
pub(crate) fn check(raw: Option<TelemetryFile>, desk: &mut Desk<'_>) -> TelemetrySpec {
    let otlp = raw.and_then(|raw| raw.otlp).and_then(|otlp| {
        if let Some(sample) = otlp.sample.as_ref().filter(|sample| sample.value.0 == 0.0) {
            desk.notes
                .warn(&sample.at, "no trace that begins here is ever sampled")
                .remedy("leave `otlp` out, or give a share");
        }
        Some(OtlpSpec {
            sample: otlp.sample.map_or(1.0, |sample| sample.value.0),
            service: otlp.service.map_or_else(|| "tidegate".to_owned(), |service| service.value.0),
            endpoint: otlp.endpoint?.value.0,
        })
    });
    TelemetrySpec { otlp }
}
