//! The component: the world `validator-plugin` around the rules. Owns the settings of an instance and the way from the
//! contract's types to ours and back.

use self::exports::tidegate::plugin::{lifecycle, validator};
use self::tidegate::plugin::types::{Column, ColumnData, Error, Severity, Table};
use crate::{Config, Rule, Schema};
use std::cell::RefCell;
use std::collections::HashSet;

wit_bindgen::generate!({ path: "wit", world: "validator-plugin" });

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

impl validator::Guest for Plugin {
    fn validate(schema_json: String, data: Table) -> Result<Vec<validator::Finding>, Error> {
        let schema = Schema::read(&schema_json).map_err(Error::BadInput)?;
        let most = CONFIG.with_borrow(|config| config.sample_rows);
        let mut findings = Vec::new();
        for (name, rule) in &schema.columns {
            match data.columns.iter().find(|column| &column.name == name) {
                None => findings.push(finding(
                    "present",
                    name,
                    Vec::new(),
                    most,
                    "the column is not there",
                )),
                Some(column) => look(column, rule, most, &mut findings),
            }
        }
        Ok(findings)
    }
}

fn look(column: &Column, rule: &Rule, most: usize, findings: &mut Vec<validator::Finding>) {
    if !rule.gaps && !column.missing.is_empty() {
        findings.push(finding(
            "gaps",
            &column.name,
            column.missing.clone(),
            most,
            "values are missing",
        ));
    }
    let missing: HashSet<u32> = column.missing.iter().copied().collect();
    let values: Vec<f64> = match &column.data {
        ColumnData::Numbers(values) => values.clone(),
        ColumnData::Integers(values) => values.iter().map(|value| *value as f64).collect(),
        _ if rule.least.is_none() && rule.most.is_none() => return,
        _ => {
            return findings.push(finding(
                "number",
                &column.name,
                Vec::new(),
                most,
                "it has bounds and no numbers",
            ));
        }
    };
    let present = (0..).zip(values).filter(|(row, _)| !missing.contains(row));
    let rows = rule.out_of_bounds(present);
    if !rows.is_empty() {
        findings.push(finding(
            "bounds",
            &column.name,
            rows,
            most,
            "values are out of bounds",
        ));
    }
}

fn finding(
    rule: &str,
    column: &str,
    mut rows: Vec<u32>,
    most: usize,
    message: &str,
) -> validator::Finding {
    let failed = rows.len() as u32;
    rows.truncate(most.min(1000));
    validator::Finding {
        rule: rule.to_owned(),
        column: Some(column.to_owned()),
        failed,
        sample_rows: rows,
        severity: Severity::Alert,
        message: message.to_owned(),
    }
}
