//! The JSON of a record, written without a walk through serde: every call of the gateway pays for it. Owns no form of its
//! own: what it writes is byte for byte what `serde_json` makes of an [`Event`], and a field that is missing here does
//! not compile.

use serde::Serialize;
use tidegate_core::event::{Attempt, Decision, Regarded};
use tidegate_core::served::ServedView;
use tidegate_core::{Event, Outcome, Reasons, SpanId, StateId, TraceId, Usage, Visit};

/// Appends the JSON of `event`; on a fault `out` may hold a part of it.
pub(crate) fn event(out: &mut Vec<u8>, event: &Event) -> serde_json::Result<()> {
    let Event {
        id,
        unix_ms,
        api,
        episode,
        client_request_id,
        trace_id,
        parent_span,
        sampled,
        config,
        key,
        principal,
        tenant,
        subject,
        route,
        variant,
        model,
        adapter,
        adapter_generation,
        model_version,
        provider,
        prompt,
        decision,
        attempts,
        stream,
        outcome,
        status,
        request_bytes,
        answer_bytes,
        usage,
        usage_estimated,
        cost_usd,
        first_us,
        total_us,
        filtered,
        checks,
        reasons,
        features,
        visits,
        content,
    } = event;
    raw(out, b"{\"id\":\"", &id.encode());
    number(out, b"\",\"unix_ms\":", unix_ms)?;
    number(out, b",\"api\":", api)?;
    text(out, b",\"episode\":", episode.as_deref())?;
    text(out, b",\"client_request_id\":", client_request_id.as_deref())?;
    hex(out, b",\"trace_id\":\"", trace_id.map(TraceId::encode));
    hex(out, b",\"parent_span\":\"", parent_span.map(SpanId::encode));
    number_if(out, b",\"sampled\":", sampled.as_ref())?;
    text(out, b",\"config\":", Some(config))?;
    text(out, b",\"key\":", key.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"principal\":", principal.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"tenant\":", tenant.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"subject\":", subject.as_deref())?;
    text(out, b",\"route\":", route.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"variant\":", variant.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"model\":", model.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"adapter\":", adapter.as_ref().map(AsRef::<str>::as_ref))?;
    text(out, b",\"adapter_generation\":", adapter_generation.as_deref())?;
    number_if(out, b",\"model_version\":", model_version.as_ref())?;
    text(out, b",\"provider\":", provider.as_ref().map(AsRef::<str>::as_ref))?;
    number_if(out, b",\"prompt\":", prompt.as_ref())?;
    if let Some(made) = decision {
        self::decision(out, made)?;
    }
    self::attempts(out, attempts)?;
    flag(out, b",\"stream\":", *stream);
    self::outcome(out, outcome)?;
    number(out, b",\"status\":", status)?;
    number(out, b",\"request_bytes\":", request_bytes)?;
    number(out, b",\"answer_bytes\":", answer_bytes)?;
    usage.as_ref().map_or(Ok(()), |tokens| self::usage(out, tokens))?;
    flag_if(out, b",\"usage_estimated\":", *usage_estimated);
    number_if(out, b",\"cost_usd\":", cost_usd.as_ref())?;
    number_if(out, b",\"first_us\":", first_us.as_ref())?;
    number(out, b",\"total_us\":", total_us)?;
    number_if(out, b",\"filtered\":", Some(filtered).filter(|looks| !looks.is_empty()))?;
    number_if(out, b",\"checks\":", checks.as_ref())?;
    predicted(out, reasons.as_deref(), features, visits)?;
    number_if(out, b",\"content\":", content.as_ref()).map(|()| out.push(b'}'))
}

/// What calls of classic models have beside.
fn predicted(
    out: &mut Vec<u8>,
    reasons: Option<&Reasons>,
    features: &[ServedView],
    visits: &[Visit],
) -> serde_json::Result<()> {
    number_if(out, b",\"reasons\":", reasons)?;
    number_if(out, b",\"features\":", Some(features).filter(|views| !views.is_empty()))?;
    number_if(out, b",\"visits\":", Some(visits).filter(|visits| !visits.is_empty()))
}

fn outcome(out: &mut Vec<u8>, outcome: &Outcome) -> serde_json::Result<()> {
    match outcome {
        // What nearly every call has.
        Outcome::Ok => out.extend_from_slice(b",\"outcome\":\"ok\""),
        other => number(out, b",\"outcome\":", other)?,
    }
    Ok(())
}

fn hex<const N: usize>(out: &mut Vec<u8>, name: &[u8], digits: Option<[u8; N]>) {
    if let Some(digits) = digits {
        raw(out, name, &digits);
        out.push(b'"');
    }
}

fn flag_if(out: &mut Vec<u8>, name: &[u8], value: bool) {
    if value {
        flag(out, name, true);
    }
}

fn decision(out: &mut Vec<u8>, decision: &Decision) -> serde_json::Result<()> {
    let Decision { shares, arm, draw, sticky, state, regarded, advised } = decision;
    number(out, b",\"decision\":{\"shares\":", shares)?;
    number(out, b",\"arm\":", arm)?;
    number(out, b",\"draw\":", draw)?;
    flag(out, b",\"sticky\":", *sticky);
    hex(out, b",\"state\":\"", state.map(StateId::encode));
    if let Some(Regarded { of, features }) = regarded {
        hex(out, b",\"regarded\":{\"of\":\"", Some(of.encode()));
        number(out, b",\"features\":", features)?;
        out.push(b'}');
    }
    number_if(out, b",\"advised\":", advised.as_ref())?;
    out.push(b'}');
    Ok(())
}

fn attempts(out: &mut Vec<u8>, attempts: &[Attempt]) -> serde_json::Result<()> {
    let mut before: &[u8] = b",\"attempts\":[";
    for Attempt { variant, endpoint, fault, status, us, hedge, lost, poor, poor_by, cost_usd } in attempts {
        out.extend_from_slice(before);
        text(out, b"{\"variant\":", Some(variant.as_str()))?;
        text(out, b",\"endpoint\":", endpoint.as_ref().map(AsRef::<str>::as_ref))?;
        number_if(out, b",\"fault\":", fault.as_ref())?;
        number_if(out, b",\"status\":", status.as_ref())?;
        number(out, b",\"us\":", us)?;
        flag_if(out, b",\"hedge\":", *hedge);
        flag_if(out, b",\"lost\":", *lost);
        number_if(out, b",\"poor\":", poor.as_ref())?;
        text(out, b",\"poor_by\":", poor_by.as_deref())?;
        number_if(out, b",\"cost_usd\":", cost_usd.as_ref())?;
        out.push(b'}');
        before = b",";
    }
    if !attempts.is_empty() {
        out.push(b']');
    }
    Ok(())
}

fn usage(out: &mut Vec<u8>, usage: &Usage) -> serde_json::Result<()> {
    let Usage { prompt, cached, completion, reasoning } = usage;
    number(out, b",\"usage\":{\"prompt\":", prompt)?;
    number(out, b",\"cached\":", cached)?;
    number(out, b",\"completion\":", completion)?;
    number(out, b",\"reasoning\":", reasoning)?;
    out.push(b'}');
    Ok(())
}

fn raw(out: &mut Vec<u8>, key: &[u8], digits: &[u8]) {
    out.extend_from_slice(key);
    out.extend_from_slice(digits);
}

fn flag(out: &mut Vec<u8>, key: &[u8], is: bool) {
    raw(out, key, if is { b"true" } else { b"false" });
}

/// A number, or anything rare enough to go through serde.
fn number<T: Serialize + ?Sized>(out: &mut Vec<u8>, key: &[u8], value: &T) -> serde_json::Result<()> {
    out.extend_from_slice(key);
    serde_json::to_writer(out, value)
}

fn number_if<T: Serialize + ?Sized>(out: &mut Vec<u8>, key: &[u8], value: Option<&T>) -> serde_json::Result<()> {
    value.map_or(Ok(()), |value| number(out, key, value))
}

fn text(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) -> serde_json::Result<()> {
    let Some(value) = value else { return Ok(()) };
    out.extend_from_slice(key);
    // Without a branch for each byte, so that the compiler can look at many at once.
    let escapes = value.bytes().fold(false, |any, b| any | (b < 0x20) | (b == b'"') | (b == b'\\'));
    if escapes {
        return serde_json::to_writer(out, value);
    }
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tidegate_core::event::{Content, FilterDid, Filtered, Poor};
    use tidegate_core::port::features::{FeatureValue, KeyValue};
    use tidegate_core::reasons::{Contribution, ValueReasons};
    use tidegate_core::served::{ServedFeature, ServedRow};
    use tidegate_core::{Checks, FaultKind};

    fn agrees(event: &Event) {
        let mut ours = Vec::new();
        super::event(&mut ours, event).unwrap();
        assert_eq!(String::from_utf8(ours).unwrap(), serde_json::to_string(event).unwrap());
    }

    fn visits() -> Vec<Visit> {
        vec![
            Visit { node: Some("panel".parse().unwrap()), branch: Some(1), draw: Some(0.25), ..Visit::begun(None, 0) },
            Visit {
                model: Some("a".parse().unwrap()),
                model_version: Some(3),
                us: Some(7),
                fault: Some(FaultKind::UpstreamFailed),
                ..Visit::begun(Some(0), 12)
            },
        ]
    }

    fn attempts() -> Vec<Attempt> {
        vec![
            Attempt {
                endpoint: Some("e:80".parse().unwrap()),
                fault: Some(FaultKind::UpstreamFailed),
                status: Some(502),
                us: 3,
                ..Attempt::of("a".parse().unwrap())
            },
            Attempt {
                lost: true,
                poor: Some(Poor::Plugin),
                poor_by: Some("guard".into()),
                cost_usd: Some(1e-7),
                ..Attempt::of("b".parse().unwrap())
            },
            Attempt { us: u64::MAX, hedge: true, ..Attempt::of("b".parse().unwrap()) },
        ]
    }

    fn served() -> ServedView {
        ServedView {
            view: "customer".parse().unwrap(),
            rows: 1,
            us: 300,
            failed: None,
            served: vec![ServedRow {
                key: [("id".into(), KeyValue::Integer(7))].into(),
                features: [(
                    "rate".into(),
                    ServedFeature { value: Some(FeatureValue::Number(0.5)), ..Default::default() },
                )]
                .into(),
            }],
        }
    }

    #[test]
    fn each_shape_of_a_record_is_written_as_serde_does() {
        let full = Event {
            subject: Some("s".into()),
            client_request_id: Some("c".into()),
            adapter: Some("support-v3".parse().unwrap()),
            adapter_generation: Some("9f2c".into()),
            parent_span: SpanId::new(7),
            sampled: Some(false),
            attempts: attempts(),
            filtered: vec![
                Filtered {
                    plugin: "pii".parse().unwrap(),
                    answer: false,
                    did: FilterDid::Edited,
                    failed: None,
                    annotations: [("found".to_owned(), "1 \"e-mail\"".to_owned())].into(),
                    us: 7,
                },
                Filtered {
                    plugin: "guard".parse().unwrap(),
                    answer: true,
                    did: FilterDid::FailedOpen,
                    failed: Some("deadline".into()),
                    annotations: BTreeMap::new(),
                    us: 5000,
                },
            ],
            checks: Some(Checks { json: Some(false), tool_calls: None }),
            reasons: Some(Arc::new(Reasons {
                method: "tree_shap".into(),
                rows: 1,
                values: vec![ValueReasons {
                    row: 0,
                    group: 0,
                    base: 0.25,
                    explained: -1.5,
                    contributions: vec![Contribution { feature: "a \"b\"".into(), value: -1.75 }],
                }],
            })),
            features: vec![served()],
            visits: visits(),
            outcome: Outcome::Fault(FaultKind::RateLimited),
            usage_estimated: true,
            content: Some(Box::new(Content { request: Some("\"\n\u{1F600}".into()), ..Content::default() })),
            ..testing::event(0)
        };
        let bare = Event {
            trace_id: None,
            key: None,
            principal: None,
            tenant: None,
            route: None,
            variant: None,
            model: None,
            provider: None,
            usage: None,
            cost_usd: None,
            first_us: None,
            outcome: Outcome::Panic,
            ..testing::event(1)
        };
        agrees(&full);
        agrees(&bare);
        agrees(&Event { outcome: Outcome::Cancelled, ..bare });
    }

    proptest! {
        #[test]
        fn any_text_and_number_is_written_as_serde_does(
            episode in any::<Option<String>>(), subject in ".{0,20}", cost in any::<Option<f64>>(), draw: f64,
            shares in prop::collection::vec(any::<f64>(), 0..4), numbers: (u64, u64, u16), stream: bool,
        ) {
            let (total_us, request_bytes, status) = numbers;
            let state = stream.then(|| StateId::of(b"a state"));
            let features: Arc<[f64]> = Arc::from([cost.unwrap_or(draw), -draw]);
            let regarded = cost.map(|_| Regarded { of: StateId::of(b"features"), features });
            let advised = stream.then(|| tidegate_core::event::Advised {
                plugin: "p".parse().unwrap(),
                failed: cost.map(|_| "trap".into()),
                reason: episode.clone().map(Into::into),
                us: total_us,
            });
            let decision =
                Some(Decision { shares: Arc::from(shares), arm: 1, draw, sticky: stream, state, regarded, advised });
            let (episode, subject) = (episode.map(Into::into), Some(subject.into()));
            agrees(&Event {
                episode, subject, cost_usd: cost, decision, total_us, request_bytes, status, stream, ..testing::event(3)
            });
        }
    }
}
