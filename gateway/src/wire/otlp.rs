//! Traces to an OpenTelemetry collector, over gRPC. Owns the translation of our spans and the sampling.

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tidegate_core::spec::OtlpSpec;
use tidegate_server::observe::span::{SpanRecord, Spans, Value};

/// How long a stop waits for the last spans.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// Sends spans in batches, from a thread of its own.
#[derive(Debug)]
struct OtlpSpans {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    /// Of the upper 63 bits of a trace id: sampled below it, so that every service that reckons so agrees.
    threshold: u64,
}

/// Builds the way to the collector.
///
/// # Errors
/// Its address cannot be used.
pub(crate) fn build(spec: &OtlpSpec) -> anyhow::Result<Arc<dyn Spans>> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(spec.endpoint.to_string())
        .with_timeout(Duration::from_secs(10))
        .build()?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&Resource::builder().with_service_name(spec.service.clone()).build());
    let scope = InstrumentationScope::builder("tidegate").with_version(env!("CARGO_PKG_VERSION")).build();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share in [0, 1] of 2^63")]
    let threshold = (spec.sample * 9_223_372_036_854_775_808.0) as u64;
    Ok(Arc::new(OtlpSpans { processor, scope, threshold }))
}

impl Spans for OtlpSpans {
    fn export(&self, span: SpanRecord) {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half of the trace id is wanted")]
        let lower = span.trace_id.bits() as u64;
        // A caller's decision is kept: a trace that he does not record would be a span without its tree.
        if span.sampled.unwrap_or(lower >> 1 < self.threshold) {
            self.processor.on_end(self.data(span));
        }
    }

    fn close(&self) {
        if let Err(fault) = self.processor.shutdown_with_timeout(CLOSE_LIMIT) {
            tracing::warn!(%fault, "the last spans did not reach the collector of `telemetry.otlp`");
        }
    }
}

impl OtlpSpans {
    fn data(&self, span: SpanRecord) -> SpanData {
        let at = |ns| SystemTime::UNIX_EPOCH + Duration::from_nanos(ns);
        let attributes =
            span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, translated(value))).collect();
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(span.trace_id.bits()),
                SpanId::from(span.span_id.bits()),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: span.parent.map_or(SpanId::INVALID, |id| SpanId::from(id.bits())),
            parent_span_is_remote: span.parent.is_some() && !span.is_within,
            span_kind: if span.is_within { SpanKind::Internal } else { SpanKind::Server },
            name: span.name.into(),
            start_time: at(span.start_unix_ns),
            end_time: at(span.end_unix_ns),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn translated(value: Value) -> opentelemetry::Value {
    match value {
        Value::Text(text) => opentelemetry::Value::String(text.into()),
        Value::Integer(number) => opentelemetry::Value::I64(number),
        Value::Number(number) => opentelemetry::Value::F64(number),
        Value::Bool(flag) => opentelemetry::Value::Bool(flag),
    }
}
