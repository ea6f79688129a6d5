//! Why a model gave what it gave. Owns the form of an explanation, whatever reckoned it.

use crate::Refused;
use tidegate_core::Tensor;

/// How an explanation was reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Exact SHAP values of an ensemble's margins, over the training's own paths.
    TreeShap,
    /// Shapley values against one background row, estimated over random orders of the features, each with its reverse.
    Permutation,
}

impl Method {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TreeShap => "tree_shap",
            Self::Permutation => "permutation",
        }
    }
}

/// How a model is explained that has no exact way. Trees need none of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explaining {
    /// What stands for a feature that is not known, one value each: means of the training, as a rule. Zeros where not given.
    pub background: Option<Vec<f64>>,
    /// How many random orders of the features, each of which is gone both ways. More are more exact.
    pub orders: usize,
    /// Where chance begins: the same gives the same.
    pub seed: u64,
}

impl Default for Explaining {
    fn default() -> Self {
        Self { background: None, orders: 8, seed: 0 }
    }
}

/// Contributions of features to what a model gives. For each row and group, the base and the contributions add up to what
/// is explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// How it was reckoned.
    pub method: Method,
    /// The features' names.
    pub features: Vec<String>,
    /// How many rows.
    pub rows: usize,
    /// How many values of each row are explained: classes, or 1.
    pub groups: usize,
    /// Rows × groups × features.
    pub contributions: Vec<f64>,
    /// Rows × groups: what is given where no feature is known.
    pub base: Vec<f64>,
    /// Rows × groups: what is explained. Of trees it is the margin, before the link makes a probability of it.
    pub explained: Vec<f64>,
}

impl Explanation {
    /// As tensors: `contributions`, `base` and `explained`.
    ///
    /// # Errors
    /// Never, as long as the lists are as long as they say.
    pub fn to_tensors(&self) -> Result<Vec<Tensor>, Refused> {
        let outer = [self.rows as u64, self.groups as u64];
        let inner = vec![self.rows as u64, self.groups as u64, self.features.len() as u64];
        let fault = |fault: tidegate_core::TensorFault| Refused::Failed(fault.to_string());
        Ok(vec![
            Tensor::of_f64("contributions", inner, &self.contributions).map_err(fault)?,
            Tensor::of_f64("base", outer.to_vec(), &self.base).map_err(fault)?,
            Tensor::of_f64("explained", outer.to_vec(), &self.explained).map_err(fault)?,
        ])
    }
}
