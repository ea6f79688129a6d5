//! Traces and logs.

use http::Uri;

/// Traces and logs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TelemetrySpec {
    /// Where traces go; nowhere where none is given.
    pub otlp: Option<OtlpSpec>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct OtlpSpec {
    /// The collector's gRPC address.
    pub endpoint: Uri,
    /// The share of traces begun here that is sampled, in `[0, 1]`; a caller's decision is kept.
    pub sample: f64,
    /// The `service.name`.
    pub service: String,
}
