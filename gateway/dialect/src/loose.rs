//! JSON whose datatypes and shapes nobody said: lists of lists, rows of objects, columns. They are found while it is read.

use crate::cell::{Cell, Column};
use crate::wrong::{Wrong, shown};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tidegate_core::Tensor;
use tidegate_core::tensor::MAX_RANK;

/// What a serde fault says, without its place.
fn said(fault: &serde_json::Error) -> String {
    fault.to_string().split(" at line ").next().unwrap_or_default().to_owned()
}

/// Reads lists of lists, or a single value, as a tensor of this name.
///
/// # Errors
/// The lists are not of one length, or the values not of one kind.
pub(crate) fn nested(name: &str, json: &RawValue, field: &str) -> Result<Tensor, Wrong> {
    let mut nest = Nest::default();
    let mut reader = serde_json::Deserializer::from_str(json.get());
    Level { nest: &mut nest, depth: 0 }.deserialize(&mut reader).map_err(|fault| Wrong::new(field, said(&fault)))?;
    let shape = nest.shape.iter().map(|size| size.unwrap_or(0) as u64).collect();
    nest.column.tensor(name, shape).map_err(|wrong| Wrong { field: field.to_owned(), ..wrong })
}

#[derive(Default)]
struct Nest {
    column: Column,
    shape: Vec<Option<usize>>,
    /// At which depth the values are.
    leaves: Option<usize>,
}

struct Level<'a> {
    nest: &'a mut Nest,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Level<'_> {
    fn cell<E: Error>(self, cell: Cell) -> Result<(), E> {
        if *self.nest.leaves.get_or_insert(self.depth) != self.depth || self.nest.shape.len() > self.depth {
            return Err(E::custom("the lists are not equally deep"));
        }
        self.nest.column.push(cell).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { nest, depth } = self;
        if depth >= MAX_RANK || nest.leaves.is_some_and(|leaves| leaves <= depth) {
            return Err(A::Error::custom("the lists are not equally deep, or too deep"));
        }
        if nest.shape.len() == depth {
            nest.shape.push(None);
        }
        let mut length = 0;
        while list.next_element_seed(Level { nest, depth: depth + 1 })?.is_some() {
            length += 1;
        }
        match nest.shape.get_mut(depth) {
            Some(known @ None) => *known = Some(length),
            Some(Some(known)) if *known != length => {
                let says = format!("the lists are not equally long: one has {known} elements, another {length}");
                return Err(A::Error::custom(says));
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.cell(Cell::Truth(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.cell(Cell::Whole(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond i64 only the nearest number is left")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.cell(i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.cell(Cell::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.cell(Cell::Text(value.as_bytes().to_vec()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.cell(Cell::Missing)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let cell = Cell::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        self.cell(cell)
    }
}

/// Reads `{name: lists, …}` as a tensor each.
///
/// # Errors
/// One of them is none.
pub(crate) fn named(json: &RawValue, field: &str) -> Result<Vec<Tensor>, Wrong> {
    let members = members(json, field)?;
    members.iter().map(|(name, json)| nested(name, json, &format!("{field}.{}", shown(name)))).collect()
}

/// The members of an object, in their order.
///
/// # Errors
/// It is none, or has a member twice.
pub(crate) fn members<'a>(json: &'a RawValue, field: &str) -> Result<Vec<(String, &'a RawValue)>, Wrong> {
    let members: Members<'a> =
        serde_json::from_str(json.get()).map_err(|fault| Wrong::new(field, format!("{field}: {}", said(&fault))))?;
    Ok(members.0)
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, json)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.len() >= MOST_COLUMNS || members.iter().any(|(known, _)| *known == name) {
                        let says = format_args!("member `{}` stands there twice, or there are too many", shown(&name))
                            .to_string();
                        return Err(A::Error::custom(says));
                    }
                    members.push((name, json));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// The most columns, or inputs, that are looked at: names are compared one by one.
const MOST_COLUMNS: usize = 4096;

/// Columns, each with its name.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) names: Vec<String>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// A table of these columns without rows.
    ///
    /// # Errors
    /// A name stands there twice, or there are too many.
    pub(crate) fn new(names: Vec<String>, field: &str) -> Result<Self, Wrong> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if names.len() > MOST_COLUMNS || sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Wrong::new(
                field,
                format!("{field}: a name stands there twice, or there are more than {MOST_COLUMNS}"),
            ));
        }
        let columns = names.iter().map(|_| Column::default()).collect();
        Ok(Self { names, columns, rows: 0 })
    }

    /// Takes a row.
    ///
    /// # Errors
    /// It is of another length, or a value of another kind than those before.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Cell>) -> Result<(), String> {
        let (mut count, nth) = (0, self.rows);
        for cell in row {
            let Some(column) = self.columns.get_mut(count) else {
                return Err(format!("row {nth} has more than {} values", self.names.len()));
            };
            column.push(cell).map_err(|why| format!("row {nth}, column `{}`: {why}", shown(&self.names[count])))?;
            count += 1;
        }
        if count < self.names.len() {
            return Err(format!("row {nth} has {count} values, and there are {} columns", self.names.len()));
        }
        self.rows += 1;
        Ok(())
    }

    /// As tensors of one dimension.
    ///
    /// # Errors
    /// None that is not a mistake of ours.
    pub(crate) fn tensors(self) -> Result<Vec<Tensor>, Wrong> {
        let shape = vec![self.rows as u64];
        self.names.iter().zip(self.columns).map(|(name, column)| column.tensor(name, shape.clone())).collect()
    }
}

/// Rows that are lists.
pub(crate) struct Rows<'a>(pub(crate) &'a mut Table);

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Vec<Cell>>()? {
            // The names of columns are numbers where nobody says them.
            if self.0.names.is_empty() && self.0.rows == 0 {
                let names = (0..row.len()).map(|nth| nth.to_string()).collect();
                *self.0 = Table::new(names, "columns").map_err(|wrong| A::Error::custom(wrong.says))?;
            }
            self.0.push(row).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Reads rows that are lists into a table.
///
/// # Errors
/// What is wrong with one.
pub(crate) fn rows(json: &RawValue, table: &mut Table, field: &str) -> Result<(), Wrong> {
    let mut reader = serde_json::Deserializer::from_str(json.get());
    Rows(table).deserialize(&mut reader).map_err(|fault| Wrong::new(field, format!("{field}: {}", said(&fault))))
}

/// Reads rows that are objects: a tensor for each member, whose first dimension is the rows.
///
/// # Errors
/// They have not all the same members, or values that do not go together.
pub(crate) fn records(json: &RawValue, field: &str) -> Result<Vec<Tensor>, Wrong> {
    let rows: Vec<&RawValue> =
        serde_json::from_str(json.get()).map_err(|fault| Wrong::new(field, format!("{field}: {}", said(&fault))))?;
    let Some(first) = rows.first() else { return Err(Wrong::new(field, format!("{field} is empty"))) };
    let names: Vec<String> = members(first, field)?.into_iter().map(|(name, _)| name).collect();
    // A list of the rows' values, for each member; what it holds is found as in lists that came so.
    let mut lists: Vec<String> = names.iter().map(|_| "[".to_owned()).collect();
    for (nth, row) in rows.iter().enumerate() {
        let row = members(row, &format!("{field}[{nth}]"))?;
        for (name, list) in names.iter().zip(&mut lists) {
            let value = row.iter().find(|(known, _)| known == name).map_or("null", |(_, json)| json.get());
            if nth > 0 {
                list.push(',');
            }
            list.push_str(value);
        }
        if let Some((unknown, _)) = row.iter().find(|(known, _)| !names.contains(known)) {
            let says = format!("{field}[{nth}] has a member `{}` that {field}[0] has not", shown(unknown));
            return Err(Wrong::new(field, says));
        }
    }
    names
        .iter()
        .zip(lists)
        .map(|(name, list)| {
            let field = format!("{field}[].{}", shown(name));
            let json =
                RawValue::from_string(list + "]").map_err(|fault| Wrong::new(field.as_str(), fault.to_string()))?;
            nested(name, &json, &field)
        })
        .collect()
}

/// Whether this is a list whose first element is an object of its own (`b64` is a value).
pub(crate) fn is_of_objects(json: &RawValue) -> bool {
    let inner = json.get().strip_prefix('[').map(str::trim_start);
    inner.is_some_and(|inner| inner.strip_prefix('{').is_some_and(|object| !object.trim_start().starts_with("\"b64\"")))
}

/// Whether this is an object.
pub(crate) fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}
