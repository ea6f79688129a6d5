//! The port `Prompts`: a reference and variables in, messages out. Owns the way from one to the other.

use crate::fault::PromptFault;
use crate::store::PromptStore;
use crate::template::Prompt;
use serde_json::{Map, Value};
use std::sync::Arc;
use tidegate_core::port::prompts::{Prompts, Reach, RenderedPrompt};
use tidegate_core::{Fault, PromptPick, PromptRef, PromptStamp};

impl PromptStore {
    /// What a reference means now, compiled, and which version that is.
    ///
    /// # Errors
    /// When there is none, or it is broken, or it is the work tree and the caller is not on this machine.
    pub fn resolve(&self, reference: &PromptRef, reach: Reach) -> Result<(Arc<Prompt>, PromptStamp), PromptFault> {
        let name = reference.name.clone();
        if reference.pick == PromptPick::Dev {
            if reach != Reach::Loopback {
                return Err(PromptFault::Forbidden("`@dev` is for callers on this machine alone".into()));
            }
            let prompt = Prompt::compile(&self.dev_files(&name)?)?;
            return Ok((Arc::new(prompt), PromptStamp { name, n: 0, sha: None }));
        }
        let book = self.book();
        let version = book.find(reference)?;
        let stamp = PromptStamp { name, n: version.n, sha: Some(version.sha) };
        Ok((self.prompt(version)?, stamp))
    }

    pub(crate) fn rendered(
        &self,
        reference: &PromptRef,
        variables: &Map<String, Value>,
        reach: Reach,
    ) -> Result<RenderedPrompt, PromptFault> {
        let (prompt, stamp) = self.resolve(reference, reach)?;
        let rendered = prompt.render(variables)?;
        Ok(RenderedPrompt {
            stamp,
            messages: rendered.messages,
            parameters: rendered.parameters,
            response_format: rendered.response_format,
        })
    }
}

impl Prompts for PromptStore {
    fn render(
        &self,
        reference: &PromptRef,
        variables: &Map<String, Value>,
        reach: Reach,
    ) -> Result<RenderedPrompt, Fault> {
        self.rendered(reference, variables, reach).map_err(Fault::from)
    }

    fn ready(&self, reference: &PromptRef) -> Result<PromptStamp, Fault> {
        self.resolve(reference, Reach::Loopback).map(|(_, stamp)| stamp).map_err(Fault::from)
    }
}
