//! Between the contract's types and ours. Each world has types of its own, alike in all but their paths, so that a macro has to
//! say it; it owns nothing else.

/// `contract::table` or `said::report` for a world of the SDK, such as `contract_types!(tables of tidegate_plugin_sdk::fairness)`
/// and `contract_types!(reports of tidegate_plugin_sdk::fairness)`.
#[macro_export]
macro_rules! contract_types {
    (tables of $($world:tt)+) => {
        mod contract {
            use $($world)+ as world;

            pub(super) fn table(table: world::Table) -> $crate::Table {
                $crate::Table { rows: table.rows, columns: table.columns.into_iter().map(column).collect() }
            }

            fn column(column: world::Column) -> $crate::Column {
                let data = match column.data {
                    world::ColumnData::Numbers(values) => $crate::Data::Numbers(values),
                    world::ColumnData::Integers(values) => $crate::Data::Integers(values),
                    world::ColumnData::Categories(world::CategoryColumn { codes, levels }) => {
                        $crate::Data::Categories { codes, levels }
                    }
                    world::ColumnData::Texts(values) => $crate::Data::Texts(values),
                    world::ColumnData::Booleans(values) => $crate::Data::Booleans(values),
                };
                $crate::Column { name: column.name, data, missing: column.missing }
            }
        }
    };
    (reports of $($world:tt)+) => {
        mod said {
            use $($world)+ as world;

            pub(super) fn report(report: $crate::Report) -> world::Report {
                let measurements = report.measurements.into_iter().map(measurement).collect();
                world::Report { measurements, detail: Some(report.detail.to_string()) }
            }

            fn measurement(measurement: $crate::Measurement) -> world::Measurement {
                let $crate::Measurement { name, value, threshold, breached, severity, labels } = measurement;
                let severity = match severity {
                    $crate::Severity::Info => world::Severity::Info,
                    $crate::Severity::Warn => world::Severity::Warn,
                    $crate::Severity::Alert => world::Severity::Alert,
                    $crate::Severity::Critical => world::Severity::Critical,
                };
                world::Measurement { name, value, threshold, p_value: None, breached, severity, labels }
            }
        }
    };
}
