//! Tables by columns, as the contract has them. Owns reading a column as texts, numbers or yes and no; what a column is to a
//! measure is [`crate::roles`]'s.

use std::borrow::Cow;

/// What is in a column: an entry for each row, which means nothing at missing rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Numbers.
    Numbers(Vec<f64>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Texts of which there are few, by their places among the levels.
    Categories {
        /// The level of each row.
        codes: Vec<u32>,
        /// The texts.
        levels: Vec<String>,
    },
    /// Texts.
    Texts(Vec<String>),
    /// Yes or no.
    Booleans(Vec<bool>),
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub data: Data,
    /// Rows without a value.
    pub missing: Vec<u32>,
}

/// Columns of the same rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// How many rows each has.
    pub rows: u32,
    /// All of them.
    pub columns: Vec<Column>,
}

impl Table {
    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Data {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
            Self::Texts(values) => values.len(),
            Self::Booleans(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are, in a word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Integers(_) => "integers",
            Self::Categories { .. } => "categories",
            Self::Texts(_) => "texts",
            Self::Booleans(_) => "booleans",
        }
    }
}

impl Column {
    /// A column without gaps.
    #[must_use]
    pub fn full(name: &str, data: Data) -> Self {
        Self { name: name.to_owned(), data, missing: Vec::new() }
    }

    /// For each row whether it has a value. NaN is none.
    #[must_use]
    pub fn present(&self) -> Vec<bool> {
        let mut present = match &self.data {
            Data::Numbers(values) => values.iter().map(|value| !value.is_nan()).collect(),
            data => vec![true; data.len()],
        };
        for row in &self.missing {
            if let Some(cell) = usize::try_from(*row).ok().and_then(|row| present.get_mut(row)) {
                *cell = false;
            }
        }
        present
    }

    /// Each row's value as a text, numbers in their shortest form.
    ///
    /// # Errors
    /// A code has no level; said in words.
    pub fn texts(&self) -> Result<Vec<Option<Cow<'_, str>>>, String> {
        let present = self.present();
        let of_row = |row: usize| -> Option<Cow<'_, str>> {
            match &self.data {
                Data::Numbers(values) => Some(Cow::Owned(values.get(row)?.to_string())),
                Data::Integers(values) => Some(Cow::Owned(values.get(row)?.to_string())),
                Data::Categories { codes, levels } => {
                    let level = levels.get(usize::try_from(*codes.get(row)?).ok()?)?;
                    Some(Cow::Borrowed(level.as_str()))
                }
                Data::Texts(values) => Some(Cow::Borrowed(values.get(row)?.as_str())),
                Data::Booleans(values) => Some(Cow::Borrowed(if *values.get(row)? { "true" } else { "false" })),
            }
        };
        let read = present.iter().enumerate().map(|(row, present)| {
            if !present {
                return Ok(None);
            }
            let text = of_row(row).ok_or_else(|| format!("row {row} of column {} has no level", self.name))?;
            Ok(Some(text))
        });
        read.collect()
    }

    /// Each row's value as a number; yes is 1.
    ///
    /// # Errors
    /// The column has texts; said in words.
    pub fn numbers(&self) -> Result<Vec<Option<f64>>, String> {
        let present = self.present();
        #[expect(clippy::cast_precision_loss, reason = "as numbers, near enough: they are compared and summed")]
        let values: Vec<f64> = match &self.data {
            Data::Numbers(values) => values.clone(),
            Data::Integers(values) => values.iter().map(|value| *value as f64).collect(),
            Data::Booleans(values) => values.iter().map(|value| f64::from(u8::from(*value))).collect(),
            Data::Categories { .. } | Data::Texts(_) => {
                return Err(format!("column {} has {}, where numbers are asked for", self.name, self.data.kind()));
            }
        };
        Ok(values.into_iter().zip(present).map(|(value, present)| present.then_some(value)).collect())
    }

    /// For each row whether its value is `wanted`. Numbers are compared as numbers; of booleans, 1 and 0 are names too.
    ///
    /// # Errors
    /// No value of the column could be it; said in words.
    pub fn equals(&self, wanted: &str) -> Result<Vec<Option<bool>>, String> {
        let odd = |what: &str| Err(format!("column {} has {}, and `{wanted}` is {what}", self.name, self.data.kind()));
        match &self.data {
            Data::Numbers(_) | Data::Integers(_) => {
                let Ok(wanted) = wanted.trim().parse::<f64>() else { return odd("no number") };
                Ok(self.numbers()?.into_iter().map(|value| value.map(|value| value == wanted)).collect())
            }
            Data::Booleans(values) => {
                let wanted = match wanted {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return odd("neither true nor false"),
                };
                let present = self.present();
                Ok(values.iter().zip(present).map(|(value, here)| here.then_some(*value == wanted)).collect())
            }
            Data::Categories { .. } | Data::Texts(_) => {
                Ok(self.texts()?.into_iter().map(|text| text.map(|text| text == wanted)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holed(data: Data) -> Column {
        Column { name: "x".to_owned(), data, missing: vec![1, 99] }
    }

    #[test]
    fn what_is_missing_is_nothing() {
        let levels = vec!["b".to_owned()];
        let categories = holed(Data::Categories { codes: vec![0, 7, 0], levels });
        assert_eq!(categories.texts(), Ok(vec![Some("b".into()), None, Some("b".into())]));
        assert!(categories.numbers().expect_err("texts").contains("has categories"));
        let numbers = holed(Data::Numbers(vec![1.0, 2.0, f64::NAN, 0.5]));
        assert_eq!(numbers.numbers(), Ok(vec![Some(1.0), None, None, Some(0.5)]));
        assert_eq!(numbers.texts().map(|texts| texts[3].clone()), Ok(Some("0.5".into())));
        let odd = Column::full("x", Data::Categories { codes: vec![3], levels: Vec::new() });
        assert_eq!(odd.texts(), Err("row 0 of column x has no level".to_owned()));
    }

    #[test]
    fn a_value_is_found_whatever_its_type() {
        let found = |data: Data, wanted: &str| holed(data).equals(wanted);
        assert_eq!(found(Data::Numbers(vec![1.0, 1.0, 0.0]), "1"), Ok(vec![Some(true), None, Some(false)]));
        assert_eq!(found(Data::Integers(vec![1, 1, 0]), "1.0"), Ok(vec![Some(true), None, Some(false)]));
        assert_eq!(found(Data::Booleans(vec![true, true, false]), "1"), Ok(vec![Some(true), None, Some(false)]));
        let texts = Data::Texts(vec!["yes".to_owned(), String::new(), "no".to_owned()]);
        assert_eq!(found(texts, "yes"), Ok(vec![Some(true), None, Some(false)]));
        assert!(found(Data::Numbers(vec![1.0]), "yes").expect_err("no number").contains("`yes` is no number"));
        assert!(found(Data::Booleans(vec![true]), "2").is_err());
    }
}
