//! Searches for prompts: a checked filter against what the shelf has. Owns what each comparison means there; for models it
//! is said in SQL, in `store::search`.

use super::{SOURCES, as_version, blocking, model, refused};
use crate::fault::RegistryFault;
use crate::filter::{Clause, Filter, Key, Operand, Operator, Target};
use crate::mlflow::models::{listing, range};
use crate::mlflow::params::Params;
use crate::page::{By, Order};
use crate::shape::WithoutAliases;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::port::shelf::PromptShelf;

/// The prompts that a search of models for prompts finds.
///
/// # Errors
/// The filter or the order is wrong, or the shelf cannot be read.
pub(super) async fn models(shelf: Arc<dyn PromptShelf>, params: &Params) -> Result<Value, RegistryFault> {
    let (filter, range) = (Filter::parse(params.text("filter"), Target::Models)?, range(params, 100)?);
    let texts = params.texts("order_by")?;
    let order = Order::parse_all(&texts, Target::Models)?;
    let (items, next) = blocking(move || {
        let mut found = shelf.prompts().map_err(refused)?;
        found.retain(|it| filter.clauses.iter().all(|clause| holds(clause, &it.name, None, &it.tags)));
        for order in order.iter().rev() {
            found.sort_by(|a, b| {
                let by = if order.by == By::Name { a.name.cmp(&b.name) } else { a.updated.cmp(&b.updated) };
                if order.descending { by.reverse() } else { by }
            });
        }
        let (page, next) = part(found, range.offset, range.limit);
        Ok((page.into_iter().map(|it| model(&*shelf, it)).collect::<Result<Vec<_>, _>>()?, next))
    })
    .await?;
    Ok(listing("registered_models", json!(items), items.is_empty(), next))
}

/// The versions that a search of versions for prompts finds.
///
/// # Errors
/// The same.
pub(super) async fn versions(shelf: Arc<dyn PromptShelf>, params: &Params) -> Result<Value, RegistryFault> {
    let (filter, range) = (Filter::parse(params.text("filter"), Target::Versions)?, range(params, 10_000)?);
    let (items, next) = blocking(move || {
        let mut found = Vec::new();
        for prompt in shelf.prompts().map_err(refused)? {
            found.extend(shelf.versions(&prompt.name).map_err(refused)?);
        }
        found.retain(|it| filter.clauses.iter().all(|clause| holds(clause, &it.name, Some(it.n), &it.tags)));
        found.sort_by(|a, b| b.created.cmp(&a.created).then(a.name.cmp(&b.name)).then(b.n.cmp(&a.n)));
        let (page, next) = part(found, range.offset, range.limit);
        Ok((page.into_iter().map(as_version).collect::<Result<Vec<_>, _>>()?, next))
    })
    .await?;
    let shown: Vec<_> = items.iter().map(WithoutAliases).collect();
    Ok(listing("model_versions", json!(shown), shown.is_empty(), next))
}

/// A page of what was found, and where the next one begins.
fn part<T>(found: Vec<T>, offset: u64, limit: u32) -> (Vec<T>, Option<u64>) {
    let (skip, most) = (usize::try_from(offset).unwrap_or(usize::MAX), limit as usize);
    let next = (found.len() > skip.saturating_add(most)).then(|| offset + u64::from(limit));
    (found.into_iter().skip(skip).take(most).collect(), next)
}

/// Whether a comparison holds; a tag that is not there holds for none.
fn holds(clause: &Clause, name: &str, n: Option<u32>, tags: &BTreeMap<String, String>) -> bool {
    let text = match &clause.key {
        Key::Name => name,
        Key::Tag(key) => match tags.get(key) {
            Some(value) => value,
            None => return false,
        },
        Key::Source => SOURCES[0],
        Key::RunId => "",
        Key::Number => {
            let (Some(n), Operand::Number(wanted)) = (n, &clause.value) else { return false };
            let order = i64::from(n).cmp(wanted);
            return match clause.operator {
                Operator::Equal => order.is_eq(),
                Operator::Unequal => order.is_ne(),
                Operator::Less => order.is_lt(),
                Operator::AtMost => order.is_le(),
                Operator::Greater => order.is_gt(),
                Operator::AtLeast => order.is_ge(),
                _ => false,
            };
        }
    };
    match (clause.operator, &clause.value) {
        (Operator::Equal, Operand::Text(wanted)) => text == wanted,
        (Operator::Unequal, Operand::Text(wanted)) => text != wanted,
        (Operator::Like, Operand::Text(pattern)) => like(text, pattern),
        (Operator::Ilike, Operand::Text(pattern)) => like(&text.to_lowercase(), &pattern.to_lowercase()),
        (Operator::In, Operand::List(all)) => all.iter().any(|one| one == text),
        (Operator::NotIn, Operand::List(all)) => all.iter().all(|one| one != text),
        _ => false,
    }
}

/// SQL's `LIKE`: `%` is any text, `_` any character.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    // What of the text the pattern so far can have taken, by length: linear in both.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for c in pattern {
        if c == '%' {
            let from = reached.iter().position(|is| *is).unwrap_or(reached.len());
            reached[from..].fill(true);
            continue;
        }
        for at in (0..text.len()).rev() {
            reached[at + 1] = reached[at] && (c == '_' || c == text[at]);
        }
        reached[0] = false;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_are_those_of_sql() {
        for (pattern, text, is_like) in [
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a_c", "abc", true),
            ("a_", "abc", false),
            ("%", "", true),
            ("", "a", false),
            ("%b%", "abc", true),
            ("a%%c_", "abbcd", true),
        ] {
            assert_eq!(like(text, pattern), is_like, "{text} LIKE {pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_and_like_its_parts(text in "[a-c]{0,12}", at in 0_usize..12) {
            prop_assert!(like(&text, &text));
            let at = at.min(text.len());
            let pattern = format!("{}%{}", &text[..at], &text[at..]);
            prop_assert!(like(&text, &pattern));
        }
    }
}
