//! From margins (sums of leaves) to what a library's `predict` gives, and to classes. Owns these functions and nothing else.

use super::Precision;

/// What is made of the margins of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Link {
    /// Nothing.
    Identity,
    /// 1 / (1 + e^(-scale·x)), each for itself.
    Sigmoid { scale: f64 },
    /// Shares that add up to one.
    Softmax,
    /// e^x.
    Exp,
    /// The square with the sign kept.
    SignedSquare,
    /// ln(1 + e^x).
    LogOnePlusExp,
    /// One above zero, else zero.
    Step,
}

/// What a model's answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// A number (or several).
    Value,
    /// The probability of the second of two classes.
    Binary,
    /// A score of each class, of which the highest wins.
    Classes,
    /// As `Classes`, where the library's `predict` gives the class alone.
    Class,
}

impl Link {
    /// Turns the margins of one row, in place.
    pub(crate) fn apply(self, row: &mut [f64], precision: Precision) {
        match (self, precision) {
            (Self::Identity, _) => {}
            (Self::Softmax, Precision::Single) => softmax_single(row),
            (Self::Softmax, Precision::Double) => softmax(row),
            (_, Precision::Single) => row.iter_mut().for_each(|x| *x = f64::from(self.single(*x as f32))),
            (_, Precision::Double) => row.iter_mut().for_each(|x| *x = self.double(*x)),
        }
    }

    fn single(self, x: f32) -> f32 {
        match self {
            Self::Sigmoid { scale } => 1.0 / (1.0 + (-(scale as f32) * x).exp()),
            Self::Exp => x.exp(),
            Self::SignedSquare => x.signum() * x * x,
            Self::LogOnePlusExp => x.exp().ln_1p(),
            Self::Step => f32::from(u8::from(x > 0.0)),
            Self::Identity | Self::Softmax => x,
        }
    }

    fn double(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid { scale } => 1.0 / (1.0 + (-scale * x).exp()),
            Self::Exp => x.exp(),
            Self::SignedSquare => x.signum() * x * x,
            Self::LogOnePlusExp => x.exp().ln_1p(),
            Self::Step => f64::from(u8::from(x > 0.0)),
            Self::Identity | Self::Softmax => x,
        }
    }
}

fn softmax(row: &mut [f64]) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

fn softmax_single(row: &mut [f64]) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max) as f32;
    row.iter_mut().for_each(|x| *x = f64::from((*x as f32 - most).exp()));
    let sum = row.iter().sum::<f64>() as f32;
    row.iter_mut().for_each(|x| *x = f64::from(*x as f32 / sum));
}
