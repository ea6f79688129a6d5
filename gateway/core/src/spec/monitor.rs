//! Monitors: what is watched, in which windows, by which plugin, against what, and what follows.

use crate::model_ref::ModelRef;
use crate::{AlertName, LabelName, ModelName, MonitorName, PluginName, RewardName, RouteName, VariantName};
use std::time::Duration;

/// Something that watches the traffic of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// Its name.
    pub name: MonitorName,
    /// What judges a window.
    pub plugin: PluginName,
    /// Whose calls are watched.
    pub route: RouteName,
    /// Only those that this variant answered, where one is named.
    pub variant: Option<VariantName>,
    /// The share of them that is looked at, in `(0, 1]`, by the hash of their ids: all replicas and replays take the same.
    pub share: f64,
    /// What is taken of each call, at least one.
    pub fields: Vec<FieldSpec>,
    /// What fields are to the plugin, where its world wants to know that.
    pub roles: RolesSpec,
    /// When a window ends.
    pub window: WindowSpec,
    /// With what windows are compared.
    pub reference: ReferenceSpec,
    /// Whose evaluations these are, where the version that answers is not one of the registry.
    pub evaluates: Option<ModelRef>,
    /// The plugin's configuration as JSON, in the place of its own.
    pub config: Option<String>,
    /// The same with stars in the place of what comes from references, for people.
    pub shown: Option<String>,
    /// When windows are an alarm.
    pub alarm: AlarmSpec,
    /// Who is told.
    pub alert: Vec<AlertName>,
    /// What else follows.
    pub action: MonitorAction,
}

/// A column of windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSpec {
    /// Its name.
    pub name: String,
    /// Where its value stands.
    pub from: FieldFrom,
    /// What its values are; `None` where the first ones show it.
    pub kind: Option<FieldKind>,
}

/// Where the value of a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFrom {
    /// In the caller's body, by a JSON pointer (RFC 6901).
    Request(String),
    /// In the answer's body, by a JSON pointer; a streamed answer is looked at as the whole one that it makes.
    Answer(String),
    /// The text of the first choice.
    Said,
    /// A label that is said of the call later.
    Label(LabelName),
    /// A reward that is given to the call later.
    Reward(RewardName),
    /// The variant that answered.
    Variant,
    /// A fact of the caller's key: a tag.
    Tag(String),
    /// How many rules of the model's contract the inputs break; calls that are refused for that are looked at, too.
    Violations,
}

/// What the values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Numbers.
    Number,
    /// A few texts, numbers or booleans, each a class.
    Category,
    /// Texts.
    Text,
    /// Vectors of numbers, such as embeddings.
    Vector,
}

/// What fields are to worlds that want to know it, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RolesSpec {
    /// Fairness: the prediction.
    pub prediction: Option<String>,
    /// Fairness: the score.
    pub score: Option<String>,
    /// Fairness: the label.
    pub label: Option<String>,
    /// Fairness: whose groups are compared.
    pub protected: Vec<String>,
    /// Fairness: the prediction that is the good outcome.
    pub positive: Option<String>,
    /// Fairness: smaller groups are not shown.
    pub min_group_size: u32,
    /// RAG: the question.
    pub question: Option<String>,
    /// RAG: the passages, an array of texts or of `{id, text, score}`.
    pub passages: Option<String>,
    /// RAG: the answer.
    pub answer: Option<String>,
    /// RAG: what should have been answered.
    pub reference: Option<String>,
    /// RAG: the ids of what should have been found, an array.
    pub relevant_ids: Option<String>,
}

/// When a window ends: at so many calls or after such a time, whichever comes first. One of both is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// After so many calls.
    pub size: Option<u64>,
    /// After such a time.
    pub every: Option<Duration>,
    /// A window with fewer calls says nothing.
    pub min: u64,
    /// How long a call waits for what is said of it later, where a field wants that.
    pub wait: Duration,
}

/// With what windows are compared.
#[derive(Debug, Clone, PartialEq)]
pub enum ReferenceSpec {
    /// With nothing.
    None,
    /// With the baseline that the registry keeps of this version; its columns have the names of the fields.
    Registry(ModelRef),
    /// With so many calls that came first.
    First(u64),
}

/// When windows are an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlarmSpec {
    /// So many breached windows, at least 1,
    pub breaches: u32,
    /// of so many last ones, at least as many, 64 at most.
    pub of: u32,
}

/// What follows an alarm beside telling of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorAction {
    /// Nothing.
    None,
    /// The route's rollout goes back.
    Rollback,
    /// The route's rollout stays where it is.
    PauseRollout,
    /// This variant gets no more calls.
    DisableVariant(VariantName),
}

/// The version of a model in the registry that a window's results belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watched {
    /// The model as it is configured.
    pub model: ModelName,
    /// Its version, where it comes from the registry.
    pub version: Option<u32>,
}
