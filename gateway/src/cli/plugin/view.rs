//! What filters are called with and what they say, as JSON: a view of a call, of an answer or of a stream, and an opinion of
//! it. Owns these forms; what they mean is the port's (`tidegate_core::port::filter`).
//!
//! ```json
//! {"call": {"route": "support", "headers": {"x-tier": "gold"}}, "messages": [{"role": "user", "text": "Hello"}]}
//! {"choices": [{"role": "assistant", "parts": [{"kind": "tool_arguments", "text": "{}"}]}]}
//! {"deltas": ["Hel", {"choice": 0, "kind": "text", "text": "lo"}, {"choice": 0, "end": "stop"}]}
//! {"features": [0.5], "arms": [{"name": "small", "first_byte_ms": 80}, {"name": "large", "ready": false}]}
//! ```

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tidegate_core::port::filter::{
    Action, DeltaAction, Failed, Filter, Message, Opinion, Part, PartKind, Place, Refused, Seen,
};
use tidegate_core::port::router::{Advice, Router, SeenArm};
use tidegate_core::{Api, InferenceId, Price, RouteName, Tenant, VariantName};
use tidegate_host::{WarmFilter, World};

/// What a filter is called with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    call: Call,
    of: Of,
}

#[derive(Debug, Clone, PartialEq)]
enum Of {
    Request(Vec<Message<'static>>),
    Answer(Vec<Message<'static>>),
    Stream(Vec<Step>),
    Arms(Vec<f64>, Vec<ArmFile>),
}

/// A delta, or the end of a choice.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Delta(Place, String),
    End(u32, String),
}

/// The facts of a call beside its texts.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    id: InferenceId,
    route: RouteName,
    tenant: Option<Tenant>,
    api: Api,
    model: Option<String>,
    prompt_version: Option<String>,
    headers: Vec<(String, String)>,
}

/// Why an input is none, or why a filter gave no opinion.
#[derive(Debug)]
pub(super) enum NoOpinion {
    /// It does not look at such things.
    Blind(&'static str),
    /// It failed.
    Failed(Failed),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskFile {
    #[serde(default)]
    call: CallFile,
    messages: Option<Vec<MessageFile>>,
    choices: Option<Vec<MessageFile>>,
    deltas: Option<Vec<DeltaFile>>,
    arms: Option<Vec<ArmFile>>,
    #[serde(default)]
    features: Vec<f64>,
}

/// An arm of a route; what is not said of it is not known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmFile {
    name: VariantName,
    #[serde(default)]
    share: f64,
    #[serde(default = "is_ready")]
    ready: bool,
    #[serde(default)]
    in_flight: u32,
    first_byte_ms: Option<f64>,
    price: Option<PriceFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceFile {
    input: f64,
    output: f64,
}

const fn is_ready() -> bool {
    true
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CallFile {
    id: Option<String>,
    route: Option<RouteName>,
    tenant: Option<Tenant>,
    api: Option<String>,
    model: Option<String>,
    prompt_version: Option<String>,
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFile {
    role: String,
    text: Option<String>,
    parts: Option<Vec<PartFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartFile {
    #[serde(default)]
    kind: KindFile,
    #[serde(default)]
    text: String,
    #[serde(default = "is_untrusted")]
    untrusted: bool,
}

const fn is_untrusted() -> bool {
    true
}

/// A text, which belongs to the first choice, or more.
#[derive(Deserialize)]
#[serde(transparent)]
struct DeltaFile(Value);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepFile {
    #[serde(default)]
    choice: u32,
    #[serde(default)]
    kind: KindFile,
    #[serde(default)]
    index: u32,
    text: Option<String>,
    end: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindFile {
    #[default]
    Text,
    ToolArguments,
    ToolResult,
    Reasoning,
    Refusal,
    Other,
}

impl From<KindFile> for PartKind {
    fn from(kind: KindFile) -> Self {
        match kind {
            KindFile::Text => Self::Text,
            KindFile::ToolArguments => Self::ToolArguments,
            KindFile::ToolResult => Self::ToolResult,
            KindFile::Reasoning => Self::Reasoning,
            KindFile::Refusal => Self::Refusal,
            KindFile::Other => Self::Other,
        }
    }
}

const fn kind_name(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Text => "text",
        PartKind::ToolArguments => "tool_arguments",
        PartKind::ToolResult => "tool_result",
        PartKind::Reasoning => "reasoning",
        PartKind::Refusal => "refusal",
        PartKind::Other => "other",
    }
}

impl Ask {
    /// Reads it, or says what is wrong.
    pub(super) fn read(json: Value) -> Result<Self, String> {
        let AskFile { call, messages, choices, deltas, arms, features } =
            serde_json::from_value(json).map_err(|error| format!("the input: {error}"))?;
        let of = match (messages, choices, deltas, arms) {
            (Some(messages), None, None, None) => Of::Request(self::messages(messages)?),
            (None, Some(choices), None, None) => Of::Answer(self::messages(choices)?),
            (None, None, Some(deltas), None) => Of::Stream(deltas.into_iter().map(step).collect::<Result<_, _>>()?),
            (None, None, None, Some(arms)) if !arms.is_empty() => Of::Arms(features, arms),
            _ => return Err("the input has one of `messages`, `choices`, `deltas` and `arms`".to_owned()),
        };
        Ok(Self { call: call.read()?, of })
    }

    /// Asks a filter, and says what it says as JSON and how long it had the call.
    pub(super) fn of(&self, filter: &dyn Filter) -> Result<(Value, Duration), NoOpinion> {
        let headers: Vec<(&str, &str)> =
            self.call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = self.call.seen(&headers);
        let looks = filter.looks_at();
        match &self.of {
            Of::Request(_) if !looks.request => Err(NoOpinion::Blind("requests (`messages`)")),
            Of::Answer(_) if !looks.answer => Err(NoOpinion::Blind("whole answers (`choices`)")),
            Of::Arms(..) => Err(NoOpinion::Blind("arms (`arms`)")),
            Of::Stream(_) if !looks.stream => Err(NoOpinion::Blind("streams (`deltas`)")),
            Of::Request(messages) => timed(|| filter.request(&seen, messages), opinion),
            Of::Answer(choices) => timed(|| filter.answer(&seen, choices), opinion),
            Of::Stream(steps) => stream(filter, &seen, steps).map_err(NoOpinion::Failed),
        }
    }
}

impl Ask {
    /// Asks a router about arms; nothing where it is none, or is asked something else.
    pub(super) fn of_router(&self, plugin: &WarmFilter) -> Option<Result<(Value, Duration), NoOpinion>> {
        let Of::Arms(features, arms) = &self.of else { return None };
        if plugin.plugin().about().world != World::Router {
            return None;
        }
        Some(self.choose(plugin, features, arms))
    }

    fn choose(&self, router: &dyn Router, features: &[f64], arms: &[ArmFile]) -> Result<(Value, Duration), NoOpinion> {
        let headers: Vec<(&str, &str)> =
            self.call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let arms: Vec<SeenArm<'_>> = arms.iter().map(ArmFile::seen).collect();
        let began = Instant::now();
        let given = router.choose(&self.call.seen(&headers), features, &arms);
        let took = began.elapsed();
        let Advice { shares, reason } = given.map_err(NoOpinion::Failed)?;
        Ok((json!({"shares": shares, "reason": reason}), took))
    }
}

impl ArmFile {
    fn seen(&self) -> SeenArm<'_> {
        let Self { name, share, ready, in_flight, first_byte_ms, price } = self;
        SeenArm {
            name,
            share: *share,
            is_ready: *ready,
            busy: *in_flight,
            first_byte_ms: *first_byte_ms,
            price: price.map(|PriceFile { input, output }| Price { input, cached_input: None, output }),
        }
    }
}

/// The time of a call alone, without that of putting it into words.
fn timed(
    call: impl FnOnce() -> Result<Opinion, Failed>,
    said: impl FnOnce(&Opinion) -> Value,
) -> Result<(Value, Duration), NoOpinion> {
    let began = Instant::now();
    let given = call();
    let took = began.elapsed();
    Ok((said(&given.map_err(NoOpinion::Failed)?), took))
}

impl CallFile {
    fn read(self) -> Result<Call, String> {
        let Self { id, route, tenant, api, model, prompt_version, headers } = self;
        let id = match id {
            Some(id) => id.parse().map_err(|_| format!("`call.id`: `{id}` is no id of a call"))?,
            None => InferenceId::from_u128(0),
        };
        let named = |text: &str| text.parse::<RouteName>().map_err(|error| format!("`call.route`: {error}"));
        let api = match api.as_deref() {
            None | Some("chat") => Api::ChatCompletions,
            Some("completion") => Api::Completions,
            Some("embedding") => Api::Embeddings,
            Some("rerank") => Api::Rerank,
            Some(other) => return Err(format!("`call.api`: `{other}` is none of chat, completion, embedding, rerank")),
        };
        if let Some(name) = headers.keys().find(|name| name.chars().any(|c| c.is_ascii_uppercase())) {
            return Err(format!("`call.headers`: filters see names in small letters: write `{}`", name.to_lowercase()));
        }
        let route = route.map_or_else(|| named("route"), Ok)?;
        Ok(Call { id, route, tenant, api, model, prompt_version, headers: headers.into_iter().collect() })
    }
}

impl Call {
    fn seen<'a>(&'a self, headers: &'a [(&'a str, &'a str)]) -> Seen<'a> {
        Seen {
            id: self.id,
            route: &self.route,
            tenant: self.tenant.as_ref(),
            api: self.api,
            model: self.model.as_deref(),
            prompt_version: self.prompt_version.as_deref(),
            headers,
        }
    }
}

fn messages(files: Vec<MessageFile>) -> Result<Vec<Message<'static>>, String> {
    let message = |MessageFile { role, text, parts }| {
        let parts = match (text, parts) {
            (Some(text), None) => vec![PartFile { kind: KindFile::Text, text, untrusted: true }],
            (None, Some(parts)) => parts,
            _ => return Err(format!("the message of the role `{role}` has either `text` or `parts`")),
        };
        let part = |PartFile { kind, text, untrusted }| Part {
            kind: kind.into(),
            text: Cow::Owned(text),
            is_untrusted: untrusted,
        };
        Ok(Message { role: Cow::Owned(role), parts: parts.into_iter().map(part).collect() })
    };
    files.into_iter().map(message).collect()
}

fn step(DeltaFile(json): DeltaFile) -> Result<Step, String> {
    let first = Place { choice: 0, kind: PartKind::Text, index: 0 };
    if let Value::String(text) = json {
        return Ok(Step::Delta(first, text));
    }
    let StepFile { choice, kind, index, text, end } =
        serde_json::from_value(json).map_err(|error| format!("the input: a delta: {error}"))?;
    match (text, end) {
        (Some(text), None) => Ok(Step::Delta(Place { choice, kind: kind.into(), index }, text)),
        (None, Some(end)) => Ok(Step::End(choice, end)),
        _ => Err("a delta is a text, or has either `text` or `end` (a finish reason)".to_owned()),
    }
}

fn refused(Refused { status, code, message }: &Refused) -> Value {
    json!({"status": status, "code": code, "message": message})
}

fn opinion(Opinion { action, annotations }: &Opinion) -> Value {
    let action = match action {
        Action::Pass => json!("pass"),
        Action::Edit(edits) => {
            let edits = edits.iter().map(|edit| json!({"message": edit.message, "part": edit.part, "text": edit.text}));
            json!({"edit": edits.collect::<Vec<_>>()})
        }
        Action::Reply(text) => json!({"reply": text}),
        Action::Refuse(why) => json!({"refuse": refused(why)}),
    };
    let annotations: Map<String, Value> =
        annotations.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    json!({"action": action, "annotations": annotations})
}

/// What is said of each step, the texts of each choice as a caller gets them, and the time of the calls together. It ends
/// where the filter ends the stream; a choice that it stopped is not shown to it again.
fn stream(filter: &dyn Filter, seen: &Seen<'_>, steps: &[Step]) -> Result<(Value, Duration), Failed> {
    let began = Instant::now();
    let opened = filter.stream(seen)?;
    let mut took = began.elapsed();
    let Some(mut stream) = opened else { return Ok((json!({"interested": false}), took)) };
    let (mut said, mut texts, mut stopped) = (Vec::new(), BTreeMap::<String, String>::new(), Vec::new());
    let mut goes_out = |place: &Place, text: &str| {
        if place.kind == PartKind::Text {
            texts.entry(place.choice.to_string()).or_default().push_str(text);
        }
    };
    for step in steps {
        let (Step::Delta(Place { choice, .. }, _) | Step::End(choice, _)) = step;
        if stopped.contains(choice) {
            continue;
        }
        let began = Instant::now();
        match step {
            Step::Delta(place, text) => {
                let action = stream.delta(*place, text)?;
                took += began.elapsed();
                match action {
                    DeltaAction::Pass => {
                        goes_out(place, text);
                        said.push(json!("pass"));
                    }
                    DeltaAction::Replace(text) => {
                        goes_out(place, &text);
                        said.push(json!({"replace": text}));
                    }
                    DeltaAction::Hold => said.push(json!("hold")),
                    DeltaAction::Stop { finish_reason, last } => {
                        goes_out(place, &last);
                        stopped.push(*choice);
                        said.push(json!({"stop": {"finish_reason": finish_reason, "last": last}}));
                    }
                    DeltaAction::Refuse(why) => {
                        said.push(json!({"refuse": refused(&why)}));
                        break;
                    }
                }
            }
            Step::End(choice, reason) => {
                let held = stream.end(*choice, reason)?;
                took += began.elapsed();
                let shown = held.iter().map(|(place, text)| {
                    goes_out(place, text);
                    let Place { choice, kind, index } = place;
                    json!({"choice": choice, "kind": kind_name(*kind), "index": index, "text": text})
                });
                said.push(json!({"held": shown.collect::<Vec<_>>()}));
            }
        }
    }
    Ok((json!({"deltas": said, "text": texts}), took))
}

#[cfg(test)]
mod tests {
    use super::super::scaffold;
    use super::*;
    use tidegate_core::port::filter::{Edit, FilterStream, LooksAt};

    /// Edits the last part, refuses answers, and holds each delta until the next.
    #[derive(Debug)]
    struct Filtering;

    #[derive(Debug, Default)]
    struct Holding(Option<(Place, String)>);

    impl Filter for Filtering {
        fn looks_at(&self) -> LooksAt {
            LooksAt { request: true, answer: true, stream: true }
        }
        fn request(&self, call: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
            let text = messages[0].parts[0].text.to_uppercase();
            let action = Action::Edit(vec![Edit { message: 0, part: 0, text }]);
            Ok(Opinion { action, annotations: vec![("route".to_owned(), call.route.to_string())] })
        }
        fn answer(&self, _: &Seen<'_>, _: &[Message<'_>]) -> Result<Opinion, Failed> {
            let why = Refused { status: 422, code: "no".to_owned(), message: "never".to_owned() };
            Ok(Opinion { action: Action::Refuse(why), annotations: vec![] })
        }
        fn stream(&self, call: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
            Ok((call.model != Some("dull")).then(|| Box::new(Holding::default()) as Box<dyn FilterStream>))
        }
    }

    impl FilterStream for Holding {
        fn delta(&mut self, place: Place, text: &str) -> Result<DeltaAction, Failed> {
            if text == "stop" {
                return Ok(DeltaAction::Stop { finish_reason: "stop".to_owned(), last: "!".to_owned() });
            }
            let before = self.0.replace((place, text.to_owned()));
            Ok(before.map_or(DeltaAction::Hold, |(_, text)| DeltaAction::Replace(text)))
        }
        fn end(&mut self, _: u32, _: &str) -> Result<Vec<(Place, String)>, Failed> {
            Ok(self.0.take().into_iter().collect())
        }
    }

    fn said(json: Value) -> Value {
        Ask::read(json).unwrap().of(&Filtering).unwrap().0
    }

    #[test]
    fn opinions_are_said_as_json() {
        let request = json!({"call": {"route": "support"}, "messages": [{"role": "user", "text": "hello"}]});
        assert_eq!(
            said(request),
            json!({"action": {"edit": [{"message": 0, "part": 0, "text": "HELLO"}]}, "annotations": {"route": "support"}})
        );
        let answer = json!({"choices": [{"role": "assistant", "parts": [{"kind": "reasoning", "text": "hm"}]}]});
        assert_eq!(
            said(answer),
            json!({"action": {"refuse": {"status": 422, "code": "no", "message": "never"}}, "annotations": {}})
        );
    }

    #[test]
    fn a_stream_says_what_goes_out() {
        assert_eq!(
            said(
                json!({"deltas": ["a", "b", {"end": "stop"}, {"choice": 1, "text": "stop"}, {"choice": 1, "text": "c"}]})
            ),
            json!({
                "deltas": [
                    "hold",
                    {"replace": "a"},
                    {"held": [{"choice": 0, "kind": "text", "index": 0, "text": "b"}]},
                    {"stop": {"finish_reason": "stop", "last": "!"}},
                ],
                "text": {"0": "ab", "1": "!"},
            })
        );
        assert_eq!(said(json!({"call": {"model": "dull"}, "deltas": ["a"]})), json!({"interested": false}));
    }

    #[test]
    fn what_is_no_input_is_said() {
        for (json, part) in [
            (json!({}), "one of `messages`"),
            (json!({"messages": [], "choices": []}), "one of `messages`"),
            (json!({"message": []}), "message"),
            (json!({"messages": [{"role": "user"}]}), "either `text` or `parts`"),
            (json!({"messages": [{"role": "user", "parts": [{"kind": "picture"}]}]}), "picture"),
            (json!({"deltas": [{"choice": 0}]}), "either `text` or `end`"),
            (json!({"deltas": [3]}), "a delta"),
            (json!({"call": {"headers": {"X-Tier": "a"}}, "messages": []}), "`x-tier`"),
            (json!({"call": {"api": "paint"}, "messages": []}), "paint"),
            (json!({"call": {"id": "x"}, "messages": []}), "`call.id`"),
        ] {
            let says = Ask::read(json.clone()).unwrap_err();
            assert!(says.contains(part), "{json}: {says}");
        }
    }

    #[test]
    fn the_inputs_of_scaffolds_are_read() {
        use scaffold::World::{Filter, Guardrail, RequestFilter, ResponseFilter, StreamFilter};
        for world in [RequestFilter, ResponseFilter, StreamFilter, Filter, Guardrail] {
            for file in scaffold::files(world, "mine").unwrap() {
                if file.path.starts_with("fixtures/") {
                    let mut json: Value = serde_json::from_str(&file.text).unwrap();
                    Ask::read(json["input"].take()).unwrap_or_else(|says| panic!("{world}, {}: {says}", file.path));
                }
            }
        }
    }
}
