//! An ensemble as a model: what it takes and gives as tensors. Owns what outputs are made of an ensemble's scores.

use crate::tree::shap::Explainer;
use crate::tree::{Ensemble, Head, Precision};
use crate::{Explanation, Matrix, Method, Refused};
use tidegate_core::{Datatype, Tensor, TensorFault, TensorMeta};

/// What a library's `predict` gives.
const PREDICT: &str = "predict";
const LABEL: &str = "label";
const PROBABILITIES: &str = "probabilities";

/// An ensemble, and what explains it.
#[derive(Debug)]
pub(crate) struct Forest {
    ensemble: Ensemble,
    explainer: Result<Explainer, Refused>,
}

impl Forest {
    pub(crate) fn of(ensemble: Ensemble) -> Self {
        let explainer = Explainer::of(&ensemble);
        Self { ensemble, explainer }
    }

    pub(crate) fn features(&self) -> &[String] {
        &self.ensemble.features
    }

    pub(crate) fn inputs(&self) -> Vec<TensorMeta> {
        let columns = self.ensemble.features.len() as u64;
        vec![TensorMeta { name: "input".to_owned(), datatype: self.datatype(), shape: vec![None, Some(columns)] }]
    }

    pub(crate) fn outputs(&self) -> Vec<TensorMeta> {
        let groups = self.ensemble.groups();
        let meta = |name: &str, datatype, inner: Option<usize>| TensorMeta {
            name: name.to_owned(),
            datatype,
            shape: std::iter::once(None).chain(inner.map(|inner| Some(inner as u64))).collect(),
        };
        let several = (groups > 1 && self.ensemble.head != Head::Class).then_some(groups);
        let mut outputs = vec![meta(PREDICT, self.datatype(), several)];
        if self.ensemble.head != Head::Value {
            outputs.push(meta(LABEL, Datatype::Int64, None));
            outputs.push(meta(PROBABILITIES, self.datatype(), Some(groups.max(2))));
        }
        outputs
    }

    fn datatype(&self) -> Datatype {
        if self.ensemble.precision == Precision::Single { Datatype::Fp32 } else { Datatype::Fp64 }
    }

    /// `predict` as the library gives it; of classifiers the label and the probabilities of all classes beside it.
    pub(crate) fn predict(&self, rows: &Matrix, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Tensor>, Refused> {
        let (ensemble, groups, count) = (&self.ensemble, self.ensemble.groups(), rows.rows() as u64);
        let scores = ensemble.scores(rows)?;
        let labels = || -> Vec<i64> {
            match ensemble.head {
                Head::Binary => scores.iter().map(|score| i64::from(*score > 0.5)).collect(),
                _ => scores.chunks_exact(groups).map(highest).collect(),
            }
        };
        let of_groups = if groups > 1 { vec![count, groups as u64] } else { vec![count] };
        let mut outputs = Vec::new();
        if wanted(PREDICT) {
            outputs.push(if ensemble.head == Head::Class {
                let labels: Vec<f64> = labels().into_iter().map(|label| label as f64).collect();
                self.floats(PREDICT, vec![count], &labels)
            } else {
                self.floats(PREDICT, of_groups, &scores)
            });
        }
        if ensemble.head != Head::Value && wanted(LABEL) {
            outputs.push(Tensor::of_i64(LABEL, vec![count], &labels()));
        }
        if ensemble.head != Head::Value && wanted(PROBABILITIES) {
            let shape = vec![count, groups.max(2) as u64];
            outputs.push(if ensemble.head == Head::Binary {
                let both: Vec<f64> = scores.iter().flat_map(|score| [1.0 - score, *score]).collect();
                self.floats(PROBABILITIES, shape, &both)
            } else {
                self.floats(PROBABILITIES, shape, &scores)
            });
        }
        outputs.into_iter().collect::<Result<_, _>>().map_err(|fault| Refused::Failed(fault.to_string()))
    }

    fn floats(&self, name: &str, shape: Vec<u64>, values: &[f64]) -> Result<Tensor, TensorFault> {
        if self.ensemble.precision == Precision::Double {
            return Tensor::of_f64(name, shape, values);
        }
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::of_f32(name, shape, &values)
    }

    /// Exact SHAP values of the margins.
    pub(crate) fn explain(&self, rows: &Matrix) -> Result<Explanation, Refused> {
        let explainer = self.explainer.as_ref().map_err(Clone::clone)?;
        let width = self.ensemble.features.len() + 1;
        let all = explainer.contributions(&self.ensemble, rows)?;
        let parts = all.chunks_exact(width).filter_map(<[f64]>::split_last);
        let (base, contributions): (Vec<f64>, Vec<&[f64]>) = parts.unzip();
        Ok(Explanation {
            method: Method::TreeShap,
            features: self.ensemble.features.clone(),
            rows: rows.rows(),
            groups: self.ensemble.groups(),
            contributions: contributions.concat(),
            base,
            explained: self.ensemble.margins(rows)?,
        })
    }
}

/// The first of the highest.
fn highest(row: &[f64]) -> i64 {
    let best = row
        .iter()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (place, score)| if *score > best.1 { (place, *score) } else { best });
    best.0 as i64
}
