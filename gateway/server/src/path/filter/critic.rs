//! Plugins that a cascade shows an answer to, before its caller gets it. Owns what counts as an objection: that the answer
//! would be refused or replaced. What would be changed in it passes, and so does what nobody can look at.

use super::answer::message;
use super::{Filters, held};
use crate::body;
use bytes::Bytes;
use tidegate_core::PluginName;
use tidegate_core::port::filter::{Action, Message};

impl Filters {
    /// Which of the plugins that the cascade asks would not let an answer pass: the first one. `parts` are its body, or
    /// the events of a stream.
    pub(crate) fn objection(&self, parts: &[Bytes], is_stream: bool) -> Option<PluginName> {
        if self.route.critics.plugins.is_empty() {
            return None;
        }
        if is_stream {
            let choices = held::read(parts)?;
            return self.objects(&choices.iter().map(held::Choice::message).collect::<Vec<_>>());
        }
        let body = parts.concat();
        let answer = body::answered(&body)?;
        self.objects(&answer.choices.iter().map(|choice| message(choice, &body)).collect::<Vec<_>>())
    }

    fn objects(&self, said: &[Message<'_>]) -> Option<PluginName> {
        let plugins = &self.route.critics.plugins;
        let objects = plugins.iter().find(|(name, plugin)| match self.seen(|seen| plugin.answer(seen, said)) {
            Ok(opinion) => matches!(opinion.action, Action::Refuse(_) | Action::Reply(_)),
            // It is not held against the answer that a plugin is broken.
            Err(failed) => {
                tracing::warn!(route = %self.route.spec.name, plugin = %name, kind = failed.kind, says = %failed.says, "a plugin has no word on an answer, which passes");
                false
            }
        });
        objects.map(|(name, _)| name.clone())
    }
}
