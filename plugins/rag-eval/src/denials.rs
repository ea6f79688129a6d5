//! Models of which it is remembered that they were denied. Owns that nobody asks them twice in a window.

use crate::judge::{Models, Unreached};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Models, and why some of them are denied.
pub struct Denials<'a> {
    models: &'a dyn Models,
    known: RefCell<BTreeMap<String, String>>,
}

impl<'a> Denials<'a> {
    /// These models, of which nothing is known yet.
    #[must_use]
    pub fn of(models: &'a dyn Models) -> Self {
        Self { models, known: RefCell::default() }
    }

    fn asked<T>(&self, model: &str, ask: impl FnOnce() -> Result<T, Unreached>) -> Result<T, Unreached> {
        if let Some(why) = self.known.borrow().get(model) {
            return Err(Unreached::Denied(why.clone()));
        }
        let said = ask();
        if let Err(Unreached::Denied(why)) = &said {
            self.known.borrow_mut().insert(model.to_owned(), why.clone());
        }
        said
    }
}

impl Models for Denials<'_> {
    fn generate(&self, model: &str, messages: [&str; 2], max_tokens: u32, schema: &str) -> Result<String, Unreached> {
        self.asked(model, || self.models.generate(model, messages, max_tokens, schema))
    }

    fn embed(&self, model: &str, texts: &[&str]) -> Result<Vec<Vec<f64>>, Unreached> {
        self.asked(model, || self.models.embed(model, texts))
    }
}
