//! The component: the world `drift-plugin` around `shift`. Owns the settings of an instance and the way from the
//! contract's types to ours and back.

use self::exports::tidegate::plugin::{drift, lifecycle};
use self::tidegate::plugin::types::{
    Column, ColumnData, Error, Measurement, Report, Severity, Table, Window,
};
use crate::{Config, shift};
use std::cell::RefCell;
use std::collections::HashSet;

wit_bindgen::generate!({ path: "wit", world: "drift-plugin" });

struct Plugin;
export!(Plugin);

thread_local! {
    static CONFIG: RefCell<Config> = RefCell::default();
}

impl lifecycle::Guest for Plugin {
    fn describe() -> lifecycle::PluginInfo {
        lifecycle::PluginInfo {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: include_str!("../config.schema.json").to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Config::read(&config_json).map_err(Error::BadConfig)?);
        Ok(())
    }
}

impl drift::Guest for Plugin {
    fn evaluate(_window: Window, reference: Table, current: Table) -> Result<Report, Error> {
        let threshold = CONFIG.with_borrow(|config| config.threshold);
        let mut measurements = Vec::new();
        for column in &reference.columns {
            let Some(before) = numbers(column) else {
                continue;
            };
            let now = current
                .columns
                .iter()
                .find(|other| other.name == column.name)
                .and_then(numbers);
            let shift = shift(&before, &now.unwrap_or_default());
            let mut labels = vec![("column".to_owned(), column.name.clone())];
            if let Err(why) = shift {
                // A number that is none needs this label: the host refuses the whole report otherwise.
                labels.push(("undefined".to_owned(), why.to_owned()));
            }
            let breached = shift.is_ok_and(|shift| shift >= threshold);
            measurements.push(Measurement {
                name: format!("mean_shift:{}", column.name),
                value: shift.unwrap_or(f64::NAN),
                threshold: Some(threshold),
                p_value: None,
                breached,
                severity: if breached {
                    Severity::Alert
                } else {
                    Severity::Info
                },
                labels,
            });
        }
        if measurements.is_empty() {
            return Err(Error::BadInput(
                "the reference has no column of numbers".to_owned(),
            ));
        }
        Ok(Report {
            measurements,
            detail: None,
        })
    }
}

/// The values of a column of numbers without those that are missing.
fn numbers(column: &Column) -> Option<Vec<f64>> {
    let missing: HashSet<usize> = column.missing.iter().map(|row| *row as usize).collect();
    let present = |row: &usize| !missing.contains(row);
    match &column.data {
        ColumnData::Numbers(values) => Some(
            (0..values.len())
                .filter(present)
                .map(|row| values[row])
                .filter(|value| value.is_finite())
                .collect(),
        ),
        ColumnData::Integers(values) => Some(
            (0..values.len())
                .filter(present)
                .map(|row| values[row] as f64)
                .collect(),
        ),
        _ => None,
    }
}
