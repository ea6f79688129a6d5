//! The template engine as prompts see it: strict, fuelled, without what grows or loops natively. Owns the filters and
//! functions that stand in for the engine's own, each drawing what it makes from one budget a rendering.

use minijinja::value::{Kwargs, Object, Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Instructions of one message.
pub(crate) const FUEL: u64 = 200_000;
/// Bytes that filters may make in one message.
const BUDGET: usize = 8 << 20;
/// The most items of a range.
const RANGE: i64 = 10_000;

/// An engine without templates.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_keep_trailing_newline(true);
    environment.set_recursion_limit(32);
    environment.set_fuel(Some(FUEL));
    for filter in ["slice", "batch", "indent", "format", "pprint", "chain", "zip", "groupby", "sum"] {
        environment.remove_filter(filter);
    }
    for function in ["namespace", "debug"] {
        environment.remove_global(function);
    }
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("tojson", to_json);
    environment.add_function("range", range);
    environment
}

#[derive(Debug)]
struct Budget(AtomicUsize);

impl Object for Budget {}

/// Takes `bytes` from what this rendering may still make.
fn take(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let budget: Arc<Budget> = state.get_or_set_temp_object("budget", || Budget(AtomicUsize::new(BUDGET)));
    let left = budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
    left.map(drop).map_err(|_| Error::new(ErrorKind::OutOfFuel, "a filter makes too much text"))
}

fn join(state: &State<'_, '_>, items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (at, item) in items.try_iter()?.enumerate() {
        let text = item.to_string();
        take(state, text.len() + separator.len())?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    Ok(joined)
}

fn replace(state: &State<'_, '_>, text: &str, from: &str, to: &str) -> Result<String, Error> {
    let found = if from.is_empty() { text.len() + 1 } else { text.matches(from).count() };
    take(state, found.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replace(from, to))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that the engine calls a filter in")]
fn to_json(state: &State<'_, '_>, value: &Value, arguments: Kwargs) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let indented: Option<bool> = arguments.get("indent")?;
    arguments.assert_all_used()?;
    let wrong = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut out = crate::capped::Capped::new(BUDGET);
    let written = if indented.unwrap_or_default() {
        serde_json::to_writer_pretty(&mut out, value)
    } else {
        serde_json::to_writer(&mut out, value)
    };
    if out.is_full() {
        return take(state, usize::MAX).map(|()| String::new());
    }
    written.map_err(wrong)?;
    let text = out.into_text().map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))?;
    take(state, text.len())?;
    Ok(text)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that the engine calls a function in")]
fn range(arguments: Rest<Value>) -> Result<Vec<i64>, Error> {
    let wrong = |why: &'static str| Error::new(ErrorKind::InvalidOperation, why);
    let mut numbers = Vec::new();
    for argument in arguments.iter() {
        if argument.kind() != ValueKind::Number {
            return Err(wrong("range takes one to three numbers"));
        }
        numbers.push(i64::try_from(argument.clone())?);
    }
    let (from, to, step) = match numbers[..] {
        [to] => (0, to, 1),
        [from, to] => (from, to, 1),
        [from, to, step] if step != 0 => (from, to, step),
        _ => return Err(wrong("range takes one to three numbers, the last not 0")),
    };
    let count = (i128::from(to) - i128::from(from)).div_euclid(i128::from(step)).max(0);
    if count > i128::from(RANGE) {
        return Err(Error::new(ErrorKind::OutOfFuel, "a range has at most 10000 numbers in a prompt"));
    }
    let mut found = Vec::new();
    let mut at = from;
    while (step > 0 && at < to) || (step < 0 && at > to) {
        found.push(at);
        at = at.saturating_add(step);
    }
    Ok(found)
}
