//! A report that is a little off everywhere. Owns the error of the component that is wrong on purpose: a golden test that
//! passes it tests nothing.

use tidegate_window::Measurement;

/// By how much values are off.
const OFF: f64 = 1e-3;

/// The measurement, its value off by a thousandth.
pub(crate) fn spoiled(measurement: Measurement) -> Measurement {
    Measurement { value: measurement.value + OFF, ..measurement }
}
