//! Between the contract's types and ours; a macro has to say it where a world's types are known. Owns nothing else.

/// `view::messages`, `view::outcome`, `view::place` … for the world filter of the SDK:
/// `contract_view!(tidegate_plugin_sdk::filter);`.
#[macro_export]
macro_rules! contract_view {
    ($($world:tt)+) => {
        mod view {
            use $($world)+ as world;

            pub(super) fn messages(messages: Vec<world::Message>) -> Vec<$crate::Message> {
                let part = |part: world::Part| $crate::Part {
                    kind: kind(part.kind),
                    text: part.text,
                    untrusted: part.untrusted,
                };
                let message = |message: world::Message| $crate::Message {
                    role: message.role,
                    parts: message.parts.into_iter().map(part).collect(),
                };
                messages.into_iter().map(message).collect()
            }

            fn kind(kind: world::PartKind) -> $crate::PartKind {
                match kind {
                    world::PartKind::Text => $crate::PartKind::Text,
                    world::PartKind::ToolArguments => $crate::PartKind::ToolArguments,
                    world::PartKind::ToolResult => $crate::PartKind::ToolResult,
                    world::PartKind::Reasoning => $crate::PartKind::Reasoning,
                    world::PartKind::Refusal => $crate::PartKind::Refusal,
                    world::PartKind::Other => $crate::PartKind::Other,
                }
            }

            pub(super) fn place(place: world::Place) -> $crate::Place {
                $crate::Place { choice: place.choice, kind: kind(place.kind), index: place.index }
            }

            pub(super) fn outcome(outcome: $crate::Outcome) -> world::Outcome {
                let edit = |edit: $crate::Edit| world::Edit { message: edit.message, part: edit.part, text: edit.text };
                let action = match outcome.action {
                    $crate::Action::Pass => world::Action::Pass,
                    $crate::Action::Edit(edits) => world::Action::Edit(edits.into_iter().map(edit).collect()),
                    $crate::Action::Refuse(why) => world::Action::Refuse(refusal(why)),
                };
                world::Outcome { action, annotations: outcome.annotations }
            }

            pub(super) fn delta(action: $crate::DeltaAction) -> world::DeltaAction {
                match action {
                    $crate::DeltaAction::Pass => world::DeltaAction::Pass,
                    $crate::DeltaAction::Replace(text) => world::DeltaAction::Replace(text),
                    $crate::DeltaAction::Hold => world::DeltaAction::Hold,
                    $crate::DeltaAction::Refuse(why) => world::DeltaAction::Refuse(refusal(why)),
                }
            }

            pub(super) fn held((place, text): ($crate::Place, String)) -> world::Held {
                let kind = match place.kind {
                    $crate::PartKind::Text => world::PartKind::Text,
                    $crate::PartKind::ToolArguments => world::PartKind::ToolArguments,
                    $crate::PartKind::ToolResult => world::PartKind::ToolResult,
                    $crate::PartKind::Reasoning => world::PartKind::Reasoning,
                    $crate::PartKind::Refusal => world::PartKind::Refusal,
                    $crate::PartKind::Other => world::PartKind::Other,
                };
                world::Held { place: world::Place { choice: place.choice, kind, index: place.index }, text }
            }

            fn refusal(why: $crate::Refusal) -> world::Refusal {
                world::Refusal { status: why.status, code: why.code, message: why.message }
            }
        }
    };
}
