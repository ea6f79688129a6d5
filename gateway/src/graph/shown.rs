//! A step of a graph that is a plugin. Owns that it sees the tensors as JSON of the Open Inference Protocol, in one
//! text of one message, and that what it puts in its place is read as strictly as what callers send.

use bytes::Bytes;
use std::borrow::Cow;
use tidegate_core::port::filter::{Action, Filter, Message, Part, PartKind, Seen};
use tidegate_core::{Fault, FaultKind, PredictRequest, Tensor};
use tidegate_dialect::{Served, Wire};

/// What a plugin makes of these tensors.
///
/// # Errors
/// It refuses the call, it failed, or what it gives is no tensors.
pub(super) fn shown(plugin: &dyn Filter, seen: &Seen<'_>, given: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    let request = PredictRequest { inputs: given.to_vec(), ..PredictRequest::default() };
    let json = Served::asked(&request).map_err(tidegate_dialect::Wrong::of_caller)?;
    let text = Cow::Owned(String::from_utf8(json.to_vec()).map_err(Fault::internal)?);
    let part = Part { kind: PartKind::Text, text, is_untrusted: true };
    let message = Message { role: Cow::Borrowed("user"), parts: vec![part] };
    let opinion = plugin.request(seen, &[message]).map_err(|failed| {
        let says = format!("the plugin `{}` failed ({})", failed.plugin, failed.kind);
        Fault::new(FaultKind::FilterFailed, says).because(failed)
    })?;
    let text = match opinion.action {
        Action::Pass => return Ok(given.to_vec()),
        // There is one text; the newest of several edits of it counts.
        Action::Edit(edits) => edits.into_iter().next_back().map(|edit| edit.text),
        Action::Reply(text) => Some(text),
        Action::Refuse(refused) => return Err(Fault::filtered(refused)),
    };
    let Some(text) = text else { return Ok(given.to_vec()) };
    let read = Served::read(Wire::OpenInference, &Bytes::from(text), None, false);
    read.map(|(request, _)| request.inputs).map_err(|wrong| {
        let says = format!("what the plugin gives is no JSON of tensors: {}: {}", wrong.field, wrong.says);
        Fault::new(FaultKind::FilterFailed, says)
    })
}
