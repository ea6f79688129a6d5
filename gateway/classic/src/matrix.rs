//! Rows of features, as trees read them. Owns how a call's tensors become rows; knows no wire format.

use crate::Refused;
use tidegate_core::Tensor;

/// Rows × features, row after row. A value that is missing is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    columns: usize,
    rows: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of values that stand row after row.
    ///
    /// # Errors
    /// When the values do not fill the rows exactly.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self, Refused> {
        if rows.checked_mul(columns) != Some(values.len()) {
            return Err(Refused::Count { rows, columns, given: values.len() });
        }
        Ok(Self { columns, rows, values })
    }

    /// One row.
    #[must_use]
    pub fn of_row(values: Vec<f64>) -> Self {
        Self { columns: values.len(), rows: 1, values }
    }

    /// What a call brings for these features: one tensor of whole rows, whatever its name, or a tensor for each feature by
    /// its name, as data frames come.
    ///
    /// # Errors
    /// When the tensors are neither; in words that name the tensor.
    pub fn of_tensors(inputs: &[Tensor], features: &[String]) -> Result<Self, Refused> {
        match inputs {
            [] => Err(Refused::Input("there is no input tensor: send one of rows × features".to_owned())),
            [whole] if features.len() == 1 || !named(inputs, &features[0]) => Self::of_whole(whole, features.len()),
            columns => Self::of_columns(columns, features),
        }
    }

    fn of_whole(tensor: &Tensor, features: usize) -> Result<Self, Refused> {
        let values: Vec<f64> = numbers(tensor)?.collect();
        let width = |shape: &[u64]| shape.iter().product::<u64>().try_into().unwrap_or(usize::MAX);
        let (rows, columns) = match tensor.shape() {
            // A list is a row, or, of a single feature, rows.
            [] | [_] if features == 1 => (values.len(), 1),
            [] | [_] => (1, values.len()),
            [rows, rest @ ..] => (usize::try_from(*rows).unwrap_or(usize::MAX), width(rest)),
        };
        if columns != features {
            return Err(Refused::Width { wanted: features, given: columns });
        }
        Self::new(rows, columns, values)
    }

    fn of_columns(tensors: &[Tensor], features: &[String]) -> Result<Self, Refused> {
        if let Some(other) = tensors.iter().find(|tensor| !features.iter().any(|feature| feature == tensor.name())) {
            return Err(Refused::Input(format!(
                "the model has no feature `{}`; it has {}",
                other.name(),
                crate::error::some_of(features)
            )));
        }
        let rows = tensors.first().map_or(0, Tensor::elements);
        let mut values = vec![0.0; rows * features.len()];
        for (place, feature) in features.iter().enumerate() {
            let tensor = tensors.iter().find(|tensor| tensor.name() == feature);
            let tensor = tensor.ok_or_else(|| {
                Refused::Input(format!("the feature `{feature}` is missing; send NaN for a value that is not known"))
            })?;
            if tensor.elements() != rows {
                return Err(Refused::Input(format!(
                    "the feature `{feature}` has {} values, but `{}` has {rows}",
                    tensor.elements(),
                    tensors[0].name()
                )));
            }
            for (row, number) in numbers(tensor)?.enumerate() {
                values[row * features.len() + place] = number;
            }
        }
        Self::new(rows, features.len(), values)
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many values a row has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A row.
    #[must_use]
    pub fn row(&self, number: usize) -> &[f64] {
        self.values.get(number * self.columns..(number + 1) * self.columns).unwrap_or_default()
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

fn named(inputs: &[Tensor], name: &str) -> bool {
    inputs.iter().any(|tensor| tensor.name() == name)
}

fn numbers(tensor: &Tensor) -> Result<impl Iterator<Item = f64> + '_, Refused> {
    tensor.numbers().ok_or_else(|| {
        Refused::Input(format!(
            "`{}` is of {}, but the model reads numbers: send FP32, or the codes of categories",
            tensor.name(),
            tensor.datatype()
        ))
    })
}
