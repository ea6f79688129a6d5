//! The component: the world `fairness-plugin` around `difference`. Owns the settings of an instance and the way from the
//! contract's types to ours and back.

use self::exports::tidegate::plugin::{fairness, lifecycle};
use self::tidegate::plugin::types::{
    Column, ColumnData, Error, Measurement, Report, Severity, Table, Window,
};
use crate::{Config, Groups, difference};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "fairness-plugin" });

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

impl fairness::Guest for Plugin {
    fn evaluate(_window: Window, data: Table, roles: fairness::Roles) -> Result<Report, Error> {
        let threshold = CONFIG.with_borrow(|config| config.threshold);
        let column = |name: &str| {
            let found = data.columns.iter().find(|column| column.name == name);
            found
                .map(texts)
                .ok_or_else(|| Error::BadInput(format!("there is no column `{name}`")))
        };
        let predictions = column(&roles.prediction)?;
        let mut measurements = Vec::new();
        for protected in &roles.protected {
            let mut groups = Groups::new();
            for (prediction, group) in predictions.iter().zip(column(protected)?) {
                let (Some(prediction), Some(group)) = (prediction, group) else {
                    continue;
                };
                let (rows, good) = groups.entry(group).or_default();
                *rows += 1;
                *good += u32::from(*prediction == roles.positive);
            }
            let difference = difference(&groups, roles.min_group_size);
            let mut labels = vec![("protected".to_owned(), protected.clone())];
            if let Err(why) = difference {
                // A number that is none needs this label: the host refuses the whole report otherwise.
                labels.push(("undefined".to_owned(), why.to_owned()));
            }
            let breached = difference.is_ok_and(|difference| difference >= threshold);
            measurements.push(Measurement {
                name: format!("parity_difference:{protected}"),
                value: difference.unwrap_or(f64::NAN),
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
        Ok(Report {
            measurements,
            detail: None,
        })
    }
}

/// The values of a column as texts; none where one is missing.
fn texts(column: &Column) -> Vec<Option<String>> {
    let mut texts: Vec<Option<String>> = match &column.data {
        ColumnData::Numbers(values) => values.iter().map(|value| Some(value.to_string())).collect(),
        ColumnData::Integers(values) => {
            values.iter().map(|value| Some(value.to_string())).collect()
        }
        ColumnData::Booleans(values) => {
            values.iter().map(|value| Some(value.to_string())).collect()
        }
        ColumnData::Texts(values) => values.iter().cloned().map(Some).collect(),
        ColumnData::Categories(column) => column
            .codes
            .iter()
            .map(|code| column.levels.get(*code as usize).cloned())
            .collect(),
    };
    for row in &column.missing {
        if let Some(text) = texts.get_mut(*row as usize) {
            *text = None;
        }
    }
    texts
}
