//! A table as CSV (RFC 4180): a line of names, then rows.

use crate::cell::Cell;
use crate::loose::Table;
use crate::wrong::Wrong;
use tidegate_core::Tensor;

/// Reads a table.
///
/// # Errors
/// It has no line of names or no row, a row is of another length, or a quote is left open.
pub(crate) fn read(text: &[u8]) -> Result<Vec<Tensor>, Wrong> {
    let wrong = |says: &str| Wrong::new("body", format!("the body is no CSV: {says}"));
    let text = std::str::from_utf8(text).map_err(|_| wrong("it is no UTF-8"))?;
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let head = records.next_record().map_err(wrong)?.ok_or_else(|| wrong("it has no line of names"))?;
    let mut table = Table::new(head.into_iter().map(|field| field.text).collect(), "the first line")?;
    let mut count = 0;
    while let Some(row) = records.next_record().map_err(wrong)? {
        let cells = row.into_iter().map(|field| match field.is_quoted {
            true => Cell::Text(field.text.into_bytes()),
            false => Cell::of_csv(field.text.trim()),
        });
        table.push(cells).map_err(|why| wrong(&why))?;
        count += 1;
    }
    if count == 0 {
        return Err(wrong("it has no row behind the line of names"));
    }
    table.tensors()
}

struct Field {
    text: String,
    is_quoted: bool,
}

struct Records<'a> {
    rest: &'a str,
}

impl Records<'_> {
    /// The fields of the next line; blank ones are passed over.
    fn next_record(&mut self) -> Result<Option<Vec<Field>>, &'static str> {
        self.rest = self.rest.trim_start_matches(['\r', '\n']);
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        if self.rest.is_empty() || self.rest.starts_with(['\r', '\n']) {
            Ok(Some(fields))
        } else {
            Err("something stands behind a closing quote")
        }
    }

    fn field(&mut self) -> Result<Field, &'static str> {
        let Some(mut rest) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\r', '\n']).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(Field { text: text.to_owned(), is_quoted: false });
        };
        let mut text = String::new();
        loop {
            let (before, behind) = rest.split_once('"').ok_or("a quote is left open")?;
            text.push_str(before);
            match behind.strip_prefix('"') {
                Some(more) => {
                    text.push('"');
                    rest = more;
                }
                None => {
                    self.rest = behind;
                    return Ok(Field { text, is_quoted: true });
                }
            }
        }
    }
}
