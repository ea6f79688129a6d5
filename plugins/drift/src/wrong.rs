//! A report that is a little off everywhere. Owns the error of the component that is wrong on purpose: a golden test that
//! passes it tests nothing.

use crate::report::Measurement;

/// By how much values are off.
const OFF: f64 = 1e-3;

/// The measurement, its value and p-value off by about a thousandth.
pub(crate) fn spoiled(measurement: Measurement) -> Measurement {
    let p = measurement.p.map(|p| if p > 0.5 { p - OFF } else { p * (1.0 + OFF) + OFF });
    Measurement { value: measurement.value + OFF, p, ..measurement }
}
