//! The component: the world `drift-plugin` around [`crate::evaluate`]. Owns the settings of an instance and the way from
//! the contract's types to ours and back, and nothing that could be tested without WebAssembly.

use crate::table::{Column, Data};
use crate::{CONFIG_SCHEMA, Config, Fault, Measurement, Severity, Table};
use std::cell::RefCell;
use tidegate_plugin_sdk::drift::{self as world, ColumnData, Error};

struct Drift;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

impl world::LifecycleGuest for Drift {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "drift".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        let config = Config::read(&config_json).map_err(Error::BadConfig)?;
        CONFIG.set(Some(config));
        Ok(())
    }
}

impl world::Guest for Drift {
    fn evaluate(
        _window: world::Window,
        reference: world::Table,
        current: world::Table,
    ) -> Result<world::Report, Error> {
        let (reference, current) = (table(reference), table(current));
        let evaluated = CONFIG.with_borrow(|config| match config {
            Some(config) => crate::evaluate(config, &reference, &current),
            None => crate::evaluate(&Config::read("").map_err(Fault::Broken)?, &reference, &current),
        });
        let report = evaluated.map_err(|fault| Error::BadInput(fault.to_string()))?;
        let measurements = report.measurements.into_iter().map(measurement).collect();
        Ok(world::Report { measurements, detail: Some(report.detail.to_string()) })
    }
}

fn table(table: world::Table) -> Table {
    Table { columns: table.columns.into_iter().map(column).collect() }
}

fn column(column: world::Column) -> Column {
    let data = match column.data {
        ColumnData::Numbers(values) => Data::Numbers(values),
        #[expect(clippy::cast_precision_loss, reason = "as numbers, near enough: they are ranked and counted")]
        ColumnData::Integers(values) => Data::Numbers(values.into_iter().map(|value| value as f64).collect()),
        ColumnData::Categories(world::CategoryColumn { codes, levels }) => Data::Categories { codes, levels },
        ColumnData::Texts(texts) => Data::Texts(texts),
        ColumnData::Booleans(values) => Data::Categories {
            codes: values.into_iter().map(u32::from).collect(),
            levels: vec!["false".to_owned(), "true".to_owned()],
        },
    };
    Column { name: column.name, data, missing: column.missing }
}

fn measurement(measurement: Measurement) -> world::Measurement {
    let severity = match measurement.severity {
        Severity::Info => world::Severity::Info,
        Severity::Warn => world::Severity::Warn,
        Severity::Alert => world::Severity::Alert,
        Severity::Critical => world::Severity::Critical,
    };
    let Measurement { name, value, threshold, p, breached, labels, .. } = measurement;
    world::Measurement { name, value, threshold, p_value: p, breached, severity, labels }
}

world::export!(Drift with_types_in tidegate_plugin_sdk::drift::bindings);
