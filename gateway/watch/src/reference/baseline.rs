//! A reference of a baseline that the registry keeps. Owns the reading of that form (`{"baseline": 1, …}`), column by column
//! as the fields want them.
//!
//! Of a bin the baseline says where it ends, how many numbers it has and their sum, not how many of them equal its end.
//! Fewer than `n / 256` do not; of the sum follows about how many (`2 (c t − s) / w` for `c` numbers of the sum `s` in a
//! bin of the width `w` that ends at `t`), and exactly that it is none where the sum is that of the ends. Both stay within
//! what the bound of the [distribution](crate::distribution) allows for.

use super::{Profile, Profiled, Reference};
use crate::distribution::{Distribution, MOST_BINS};
use crate::knots::Knots;
use crate::reservoir::Kept;
use crate::shape::Shape;
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use tidegate_core::InferenceId;
use tidegate_core::spec::FieldKind;

/// The version of the form that is read.
const FORM: u64 = 1;

/// Why a baseline is no reference for these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread(String);

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unread {}

#[derive(Deserialize)]
struct Baseline {
    baseline: u64,
    rows: u64,
    columns: Vec<Column>,
    #[serde(default)]
    sample: Vec<Vec<Value<'static>>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    count: u64,
    numeric: Option<Numeric>,
    categorical: Option<Categorical>,
}

#[derive(Deserialize)]
struct Numeric {
    min: f64,
    bins: Vec<Bin>,
}

#[derive(Deserialize)]
struct Bin {
    to: f64,
    count: u64,
    sum: f64,
}

#[derive(Deserialize)]
struct Categorical {
    categories: Vec<Category>,
    other: u64,
}

#[derive(Deserialize)]
struct Category {
    value: String,
    count: u64,
}

impl Reference {
    /// Of a baseline as JSON, for these columns; a column that it does not have is one of which nothing is known
    /// ([`Self::lacks`]).
    ///
    /// # Errors
    /// It is of another form, does not hold together, or has categories where a field wants numbers, or the other way
    /// round.
    pub fn from_baseline(shape: &Shape, baseline: &serde_json::Value) -> Result<Self, Unread> {
        let read = Baseline::deserialize(baseline).map_err(|error| Unread(format!("the baseline: {error}")))?;
        if read.baseline != FORM {
            let says = format!("the baseline's form is {}, and this program knows {FORM}: make it anew", read.baseline);
            return Err(Unread(says));
        }
        let mut columns = Vec::with_capacity(shape.len());
        for field in shape.fields() {
            let found = read.columns.iter().find(|column| column.name == field.name);
            let of = |column: &Column| column.profile(field.kind, read.rows);
            let (missing, profile) = found
                .map_or(Ok((read.rows, Profile::Rows)), of)
                .map_err(|why| Unread(format!("the baseline's column `{}` {why}", field.name)))?;
            columns.push(Profiled { name: field.name.clone(), missing, profile });
        }
        let places: Vec<Option<usize>> = shape
            .fields()
            .iter()
            .map(|field| read.columns.iter().position(|column| column.name == field.name))
            .collect();
        let kept = (0u128..).zip(&read.sample).map(|(number, sampled)| {
            let value = |(at, place): (usize, &Option<usize>)| {
                let kind = shape.kind(at).or_else(|| columns.get(at).and_then(|column| column.profile.kind()));
                place.and_then(|place| sampled.get(place)).unwrap_or(&Value::Missing).to_kept(kind)
            };
            let row = places.iter().enumerate().map(value).collect();
            Kept { call: InferenceId::from_u128(number), unix_ms: 0, row }
        });
        let kept = kept.collect();
        Ok(Self::new(read.rows, columns, kept))
    }
}

impl Column {
    /// What it is to a field that holds this, and how many rows have nothing.
    fn profile(&self, wanted: Option<FieldKind>, rows: u64) -> Result<(u64, Profile), String> {
        let missing = rows.saturating_sub(self.count);
        match (wanted, &self.numeric, &self.categorical) {
            (Some(FieldKind::Text | FieldKind::Vector), ..) => Ok((missing, Profile::Rows)),
            (Some(FieldKind::Category), Some(_), _) => {
                Err("has numbers, and the field says `category`: say `number`, or make the baseline of texts"
                    .to_owned())
            }
            (_, Some(numeric), _) => {
                let distribution = numeric.distribution().ok_or("has bins that do not hold together: make it anew")?;
                Ok((rows.saturating_sub(distribution.n()), Profile::Numbers(distribution)))
            }
            // A few whole numbers are categories to a baseline.
            (Some(FieldKind::Number), None, Some(categorical)) => {
                let distribution = categorical.distribution()?;
                let n = distribution.as_ref().map_or(0, Distribution::n);
                Ok((rows.saturating_sub(n), distribution.map_or(Profile::Rows, Profile::Numbers)))
            }
            (_, None, Some(categorical)) => {
                let counts = categorical.categories.iter().map(|category| (category.value.clone(), category.count));
                Ok((missing, Profile::Categories(Vocabulary::of(counts, categorical.other))))
            }
            (_, None, None) => Err("is neither numeric nor categorical".to_owned()),
        }
    }
}

impl Categorical {
    fn distribution(&self) -> Result<Option<Distribution>, String> {
        let mut points = BTreeMap::<u64, (f64, u64)>::new();
        for category in &self.categories {
            let x = Value::Text(Cow::Borrowed(&category.value)).as_number().ok_or_else(|| {
                "has texts, and the field says `number`: say `category`, or leave out what the values are".to_owned()
            })?;
            points.entry(x.to_bits()).or_insert((x, 0)).1 += category.count;
        }
        let mut points: Vec<(f64, u64)> = points.into_values().collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Ok(knots) = Knots::try_from(points.iter().map(|(x, _)| *x).collect::<Vec<_>>()) else { return Ok(None) };
        let counts = points.iter().flat_map(|(_, count)| [0, *count]).chain([0]).collect();
        let sums = vec![0.0; points.len().saturating_sub(1)];
        Ok(Some(Distribution::with(knots, counts, &sums)))
    }
}

impl Numeric {
    fn distribution(&self) -> Option<Distribution> {
        let n = self.bins.iter().fold(0u64, |n, bin| n.saturating_add(bin.count));
        let bins = n.min(MOST_BINS as u64);
        // Strictly below the end of a bin there are at most so many.
        let most = n.div_ceil(bins.max(1)).saturating_sub(1);
        let mut knots = vec![self.min];
        let (mut counts, mut sums) = (vec![0, 0], Vec::new());
        for (at, bin) in self.bins.iter().enumerate() {
            let low = *knots.last()?;
            if at == 0 && bin.to <= low {
                *counts.last_mut()? = bin.count;
                continue;
            }
            // The first bin has the least number, too.
            let ends = u64::from(at == 0);
            let bin = Bin { count: bin.count.saturating_sub(ends), sum: bin.sum - low * float(ends), ..*bin };
            *counts.last_mut()? += ends;
            let (inside, sum) = bin.inside(low, most);
            knots.push(bin.to);
            counts.extend([inside, bin.count - inside]);
            sums.push(sum);
        }
        counts.push(0);
        let distribution = Distribution::with(Knots::try_from(knots).ok()?, counts, &sums);
        distribution.is_whole().then_some(distribution)
    }
}

impl Bin {
    /// About how many numbers lie strictly within it, and their sum reckoned from its begin.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the count of the bin")]
    fn inside(&self, low: f64, most: u64) -> (u64, f64) {
        let (c, width) = (float(self.count), self.to - low);
        let short = c * self.to - self.sum;
        // What rounding makes of sums of equal numbers.
        let is_rounding = short <= 1e-10 * c * self.to.abs().max(self.sum.abs() / c.max(1.0));
        if is_rounding || most == 0 || width <= 0.0 {
            return (0, 0.0);
        }
        let about = (2.0 * short / width).round() as u64;
        let inside = about.clamp(1, self.count.saturating_sub(1).min(most).max(1)).min(self.count);
        let sum = (float(inside) * width - short).clamp(0.0, float(inside) * width);
        (inside, sum)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
const fn float(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Data;
    use serde_json::json;
    use tidegate_core::spec::{FieldFrom, FieldSpec};

    fn shape(fields: &[(&str, Option<FieldKind>)]) -> Shape {
        let field = |(name, kind): &(&str, Option<FieldKind>)| FieldSpec {
            name: (*name).to_owned(),
            from: FieldFrom::Request("/x".to_owned()),
            kind: *kind,
        };
        Shape::of(&fields.iter().map(field).collect::<Vec<_>>())
    }

    fn baseline() -> serde_json::Value {
        json!({
            "baseline": 1, "rows": 6,
            "columns": [
                {"name": "amount", "count": 5, "missing": 1, "numeric": {"min": 1.0, "max": 9.0, "mean": 4.2, "m2": 1.0,
                    "bins": [{"to": 1.0, "count": 2, "sum": 2.0}, {"to": 5.0, "count": 2, "sum": 10.0}, {"to": 9.0, "count": 1, "sum": 9.0}]}},
                {"name": "country", "count": 6, "missing": 0, "categorical": {"categories": [{"value": "fr", "count": 3}, {"value": "de", "count": 2}], "other": 1}},
                {"name": "stars", "count": 6, "missing": 0, "categorical": {"categories": [{"value": "3", "count": 4}, {"value": "10", "count": 2}], "other": 0}},
            ],
            "sample": [[1.0, "fr", "3"], [null, "de", "10"]],
        })
    }

    #[test]
    fn its_columns_are_those_of_the_fields() {
        let shape = shape(&[("stars", Some(FieldKind::Number)), ("country", None), ("new", None), ("amount", None)]);
        let reference = Reference::from_baseline(&shape, &baseline()).unwrap();
        assert_eq!((reference.rows(), reference.lacks().collect::<Vec<_>>()), (6, vec!["new"]));
        let table = reference.table(&shape, 100);
        assert_eq!(table.column("stars").unwrap().data, Data::Numbers(vec![3.0, 3.0, 3.0, 3.0, 10.0, 10.0]));
        let levels = ["de", "fr", "__other__"].map(str::to_owned).to_vec();
        assert_eq!(table.column("country").unwrap().data, Data::Categories { codes: vec![0, 0, 1, 1, 1, 2], levels });
        let amount = table.column("amount").unwrap();
        assert_eq!((&amount.data, &amount.missing[..]), (&Data::Numbers(vec![1.0, 1.0, 5.0, 5.0, 9.0, 0.0]), &[5][..]));
        let joint = reference.joint(&shape);
        assert_eq!(joint.column("stars").unwrap().data, Data::Numbers(vec![3.0, 10.0]));
        assert_eq!(joint.column("amount").unwrap().missing, [1]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let of = |kind, baseline: &serde_json::Value, name| {
            Reference::from_baseline(&shape(&[(name, kind)]), baseline).unwrap_err().to_string()
        };
        let whole = baseline();
        assert!(of(Some(FieldKind::Number), &whole, "country").contains("`country` has texts"));
        assert!(of(Some(FieldKind::Category), &whole, "amount").contains("`amount` has numbers"));
        let mut broken = whole.clone();
        broken["columns"][0]["numeric"]["bins"][1]["to"] = json!(0.5);
        assert!(of(None, &broken, "amount").contains("do not hold together"));
        let mut newer = whole;
        newer["baseline"] = json!(2);
        assert!(of(None, &newer, "amount").contains("form is 2"));
        assert!(of(None, &json!([]), "amount").starts_with("the baseline:"));
    }
}
