//! `roles` of a monitor: what its fields are to the plugin. Owns which belong together and of which kind each is; whether
//! the plugin wants them is known when it is loaded.

use super::field::{Column, word};
use crate::place::Place;
use crate::scalar::{At, Count, Text};
use crate::section::Desk;
use crate::shape::{Placed as _, record};
use crate::suggest::nearest;
use tidegate_core::spec::{FieldKind, RolesSpec};

/// Smaller groups are not shown, where nothing is said: what many hold for the least that protects people in it.
const MIN_GROUP_SIZE: u32 = 30;

record! {
    /// What fields are to the plugin. For fairness `prediction`, `protected` and `positive`; for RAG `question` and `answer`.
    RolesFile {
        optional {
            /// Fairness: the field of predictions.
            prediction: At<Text>,
            /// Fairness: the field of scores.
            score: At<Text>,
            /// Fairness: the field of labels.
            label: At<Text>,
            /// Fairness: the fields whose groups are compared.
            protected: Vec<At<Text>>,
            /// Fairness: the prediction that is the good outcome.
            positive: At<Text>,
            /// Fairness: smaller groups are not shown; 30 by default.
            min_group_size: At<Count>,
            /// RAG: the field of questions.
            question: At<Text>,
            /// RAG: the field of passages: an array of texts, or of `{id, text, score}`.
            passages: At<Text>,
            /// RAG: the field of answers.
            answer: At<Text>,
            /// RAG: the field of what should have been answered.
            reference: At<Text>,
            /// RAG: the field of the ids of what should have been found, an array.
            relevant_ids: At<Text>,
        }
    }
}

/// The roles of these fields, which become what their roles ask for.
pub(super) fn check(raw: Option<RolesFile>, columns: &mut [Column], desk: &mut Desk<'_>) -> Option<RolesSpec> {
    let Some(raw) = raw else { return Some(RolesSpec { min_group_size: MIN_GROUP_SIZE, ..RolesSpec::default() }) };
    let has = |name: &str| raw.here().has(name);
    let of_fairness = ["prediction", "score", "label", "protected", "positive", "min_group_size"];
    let of_rag = ["question", "passages", "answer", "reference", "relevant_ids"];
    let (fairness, rag) = (of_fairness.iter().find(|name| has(name)), of_rag.iter().find(|name| has(name)));
    let needed: &[&str] = match (fairness, rag) {
        (Some(one), Some(other)) => {
            desk.notes
                .fault(
                    raw.at(),
                    format!("`{one}` is a role of fairness and `{other}` one of RAG, and no plugin takes both"),
                )
                .remedy("watch them by two monitors");
            return None;
        }
        (Some(_), None) => &["prediction", "protected", "positive"],
        (None, Some(_)) => &["question", "answer"],
        (None, None) => &[],
    };
    let mut is_whole = true;
    for name in needed.iter().filter(|name| !has(name)) {
        desk.notes
            .fault(raw.at(), format!("the role `{name}` is missing"))
            .remedy(format!("add `{name}: …` and name the field that it is"));
        is_whole = false;
    }
    let at = raw.at().clone();
    let mut seat = Seat { columns, at, is_whole };
    let spec = RolesSpec {
        prediction: seat.one(raw.prediction.as_ref(), FieldKind::Category, desk),
        score: seat.one(raw.score.as_ref(), FieldKind::Number, desk),
        label: seat.one(raw.label.as_ref(), FieldKind::Category, desk),
        protected: seat.all(raw.protected.as_deref(), desk),
        positive: raw.positive.map(|text| text.value.0),
        min_group_size: raw.min_group_size.map_or(MIN_GROUP_SIZE, |count| count.value.0),
        question: seat.one(raw.question.as_ref(), FieldKind::Text, desk),
        passages: seat.one(raw.passages.as_ref(), FieldKind::Text, desk),
        answer: seat.one(raw.answer.as_ref(), FieldKind::Text, desk),
        reference: seat.one(raw.reference.as_ref(), FieldKind::Text, desk),
        relevant_ids: seat.one(raw.relevant_ids.as_ref(), FieldKind::Text, desk),
    };
    seat.is_whole.then_some(spec)
}

/// Where roles are given to fields.
struct Seat<'a> {
    columns: &'a mut [Column],
    at: Place,
    is_whole: bool,
}

impl Seat<'_> {
    fn one(&mut self, given: Option<&At<Text>>, kind: FieldKind, desk: &mut Desk<'_>) -> Option<String> {
        let given = given?;
        let name = given.value.0.as_str();
        let Some(column) = self.columns.iter_mut().find(|column| column.spec.name == name) else {
            let known: Vec<&str> = self.columns.iter().map(|column| column.spec.name.as_str()).collect();
            desk.notes
                .fault(&given.at, format!("this monitor has no field `{name}`"))
                .meant(nearest(name, known.iter().copied()), || format!("it has {}", known.join(", ")));
            self.is_whole = false;
            return None;
        };
        if !column.settle(kind) {
            desk.notes
                .fault(&given.at, format!("the field `{name}` would have to be a {} for this", word(kind)))
                .remedy(format!("name another field, or write `{{from: …, kind: {}}}` for it", word(kind)));
            self.is_whole = false;
        }
        Some(name.to_owned())
    }

    fn all(&mut self, given: Option<&[At<Text>]>, desk: &mut Desk<'_>) -> Vec<String> {
        let Some(given) = given else { return Vec::new() };
        if given.is_empty() {
            desk.notes
                .fault(&self.at, "`protected` names no field, so that no groups are compared")
                .remedy("name one: `protected: [sex]`");
            self.is_whole = false;
        }
        given.iter().filter_map(|one| self.one(Some(one), FieldKind::Category, desk)).collect()
    }
}
