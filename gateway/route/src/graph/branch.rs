//! Which branch of a switch tensors take. Owns what a condition on a value means; all rows of a call go one way, since
//! its answer is one.

use super::{Misfit, listed};
use tidegate_core::spec::graph::{CaseSpec, ValueIs};
use tidegate_core::{Datatype, Tensor};

/// The index of the first case that holds; as many as there are cases where none does.
///
/// # Errors
/// A tensor or value of a condition is not there, is no number, or rows of the call go different ways.
pub fn branch<'a>(cases: impl Iterator<Item = &'a CaseSpec> + Clone, given: &[Tensor]) -> Result<usize, Misfit> {
    let conditions: Vec<Condition<'_>> = cases.map(|case| Condition::of(case, given)).collect::<Result<_, _>>()?;
    let rows = conditions.iter().map(|condition| condition.rows).max().unwrap_or(0);
    let way = |row: usize| {
        let mut held = conditions.iter().enumerate().map(|(at, condition)| Ok((at, condition.holds(row)?)));
        let first = held.find(|one| one.as_ref().map_or(true, |(_, holds)| *holds));
        first.transpose().map(|first| first.map_or(conditions.len(), |(at, _)| at))
    };
    if rows == 0 {
        return Ok(conditions.len());
    }
    let first = way(0)?;
    for row in 1..rows {
        let other = way(row)?;
        if other != first {
            let says = format!(
                "the rows 0 and {row} of this call go different ways here: send rows that a switch tells apart as calls of \
                 their own"
            );
            return Err(Misfit(says));
        }
    }
    Ok(first)
}

/// A condition and the values that it looks at.
struct Condition<'a> {
    case: &'a CaseSpec,
    rows: usize,
    values: Values<'a>,
}

/// The values of a column.
enum Values<'a> {
    Numbers(Vec<f64>),
    Texts(Vec<&'a [u8]>),
}

impl<'a> Condition<'a> {
    fn of(case: &'a CaseSpec, given: &'a [Tensor]) -> Result<Self, Misfit> {
        let tensor = given.iter().find(|tensor| tensor.name() == case.tensor);
        let tensor = tensor.ok_or_else(|| {
            let has = listed(given.iter().map(Tensor::name));
            Misfit(format!("there is no tensor `{}` here; there are {has}", case.tensor))
        })?;
        // What has one dimension is a value for each row.
        let rows = tensor.rows();
        let width = tensor.elements().checked_div(rows).unwrap_or(0);
        if rows > 0 && case.at >= width {
            let says = format!("`{}` has {width} values a row, and the value {} is asked for", case.tensor, case.at);
            return Err(Misfit(says));
        }
        let column = |value: usize| width > 0 && value % width == case.at;
        let values = match tensor.texts() {
            Some(texts) => {
                Values::Texts(texts.enumerate().filter(|(at, _)| column(*at)).map(|(_, text)| text).collect())
            }
            None => {
                let numbers = tensor.numbers().into_iter().flatten().enumerate();
                Values::Numbers(numbers.filter(|(at, _)| column(*at)).map(|(_, number)| number).collect())
            }
        };
        if let (Values::Texts(_), ValueIs::Above(_) | ValueIs::AtLeast(_) | ValueIs::Below(_)) = (&values, &case.is) {
            let says = format!("`{}` is of {}, and its switch compares numbers", case.tensor, Datatype::Bytes);
            return Err(Misfit(says));
        }
        Ok(Self { case, rows, values })
    }

    fn holds(&self, row: usize) -> Result<bool, Misfit> {
        let gone = || Misfit(format!("`{}` has no row {row}, as other tensors have", self.case.tensor));
        match &self.values {
            Values::Texts(texts) => {
                let text = texts.get(row).ok_or_else(gone)?;
                Ok(matches!(&self.case.is, ValueIs::OneOf(all) if all.iter().any(|one| one.as_bytes() == *text)))
            }
            Values::Numbers(numbers) => Ok(is(*numbers.get(row).ok_or_else(gone)?, &self.case.is)),
        }
    }
}

/// Whether a number is what it must be; one that is not known is nothing.
fn is(number: f64, wanted: &ValueIs) -> bool {
    match wanted {
        ValueIs::Above(bound) => number > *bound,
        ValueIs::AtLeast(bound) => number >= *bound,
        ValueIs::Below(bound) => number < *bound,
        ValueIs::OneOf(all) => all.iter().any(|text| match &**text {
            "true" => number == 1.0,
            "false" => number == 0.0,
            text => text.parse::<f64>().is_ok_and(|one| one == number),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(tensor: &str, at: usize, is: ValueIs) -> CaseSpec {
        CaseSpec { tensor: tensor.to_owned(), at, is }
    }

    fn x(rows: u64, values: &[f32]) -> Vec<Tensor> {
        vec![Tensor::of_f32("x", vec![rows, values.len() as u64 / rows], values).unwrap()]
    }

    #[test]
    fn the_first_case_that_holds_is_gone() {
        let cases = [
            case("x", 1, ValueIs::Above(100.0)),
            case("x", 0, ValueIs::OneOf(vec!["3".to_owned(), "4.5".to_owned()])),
            case("x", 0, ValueIs::Below(0.0)),
        ];
        for (values, wanted) in
            [([1.0, 100.5], 0), ([1.0, 100.0], 3), ([4.5, 0.0], 1), ([-1.0, 0.0], 2), ([f32::NAN, f32::NAN], 3)]
        {
            assert_eq!(branch(cases.iter(), &x(1, &values)), Ok(wanted), "{values:?}");
        }
        assert_eq!(branch([case("x", 0, ValueIs::AtLeast(2.0))].iter(), &x(1, &[2.0])), Ok(0));
    }

    #[test]
    fn texts_and_truths_are_compared_as_such() {
        let texts = vec![Tensor::of_texts("c", vec![1], &["DE"]).unwrap()];
        let one_of = |texts: &[&str]| ValueIs::OneOf(texts.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(branch([case("c", 0, one_of(&["AT", "DE"]))].iter(), &texts), Ok(0));
        assert_eq!(branch([case("c", 0, one_of(&["de"]))].iter(), &texts), Ok(1));
        let truth = Tensor::new("t", Datatype::Bool, vec![1], bytes::Bytes::from_static(&[1])).unwrap();
        assert_eq!(branch([case("t", 0, one_of(&["true"]))].iter(), &[truth]), Ok(0));
    }

    #[test]
    fn what_cannot_be_decided_is_said() {
        let says = |case: CaseSpec, given: &[Tensor]| branch([case].iter(), given).unwrap_err().to_string();
        assert!(says(case("y", 0, ValueIs::Above(1.0)), &x(1, &[1.0])).contains("no tensor `y` here; there are `x`"));
        assert!(says(case("x", 2, ValueIs::Above(1.0)), &x(1, &[1.0, 2.0])).contains("2 values a row"));
        let apart = says(case("x", 0, ValueIs::Above(1.0)), &x(3, &[2.0, 2.0, 0.0]));
        assert!(apart.contains("the rows 0 and 2 of this call go different ways"), "{apart}");
        let texts = vec![Tensor::of_texts("c", vec![1], &["DE"]).unwrap()];
        assert!(says(case("c", 0, ValueIs::Above(1.0)), &texts).contains("compares numbers"));
        let short = [x(1, &[2.0]), vec![Tensor::of_f32("y", vec![2], &[1.0, 5.0]).unwrap()]].concat();
        let two = [case("y", 0, ValueIs::Above(9.0)), case("x", 0, ValueIs::Above(1.0))];
        assert!(branch(two.iter(), &short).unwrap_err().to_string().contains("`x` has no row 1"));
        assert_eq!(branch(two.iter(), &[x(1, &[2.0]), vec![Tensor::of_f32("y", vec![0], &[]).unwrap()]].concat()), {
            // Nothing of `y` can hold for the only row.
            Err(Misfit("`y` has no row 0, as other tensors have".to_owned()))
        });
        assert_eq!(
            branch([case("y", 0, ValueIs::Above(1.0))].iter(), &[Tensor::of_f32("y", vec![0], &[]).unwrap()]),
            Ok(1)
        );
    }
}
