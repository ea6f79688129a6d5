//! The inputs of a step, made of the tensors that it is given. Owns by which names they go on.

use super::{Misfit, listed};
use tidegate_core::Tensor;
use tidegate_core::spec::graph::StepSpec;

/// The tensors that a step is given, by the names that it has for them: those that `inputs` name; else all as they are
/// called, or, where the model knows none of these names and takes as many (`takes`, empty where that is not known), by
/// their places.
///
/// # Errors
/// A tensor that `inputs` name is not there.
pub fn feed(step: &StepSpec, given: &[Tensor], takes: &[&str]) -> Result<Vec<Tensor>, Misfit> {
    if step.inputs.is_empty() {
        let is_known = |tensor: &Tensor| takes.contains(&tensor.name());
        if takes.len() != given.len() || given.iter().any(is_known) {
            return Ok(given.to_vec());
        }
        return Ok(given.iter().zip(takes).map(|(tensor, name)| tensor.clone().named(*name)).collect());
    }
    let one = |(input, from): &(String, String)| {
        let found = given.iter().find(|tensor| tensor.name() == from);
        let found = found.map(|tensor| tensor.clone().named(input.as_str()));
        found.ok_or_else(|| {
            let has = listed(given.iter().map(Tensor::name));
            Misfit(format!("the input `{input}` is to be the tensor `{from}`, which is not there; there are {has}"))
        })
    };
    step.inputs.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::spec::graph::Target;

    #[test]
    fn tensors_go_on_by_name_or_by_place() {
        let t = |name: &str| Tensor::of_f32(name, vec![1], &[1.0]).unwrap();
        let target = Target::Model("m".parse().unwrap());
        let step = |inputs: &[(&str, &str)]| StepSpec {
            target: target.clone(),
            takes_request: false,
            inputs: inputs.iter().map(|&(input, from)| (input.to_owned(), from.to_owned())).collect(),
        };
        let given = [t("a"), t("b")];
        let names = |fed: Vec<Tensor>| fed.iter().map(|tensor| tensor.name().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(feed(&step(&[("x", "b")]), &given, &["y"]).unwrap()), ["x"]);
        assert_eq!(names(feed(&step(&[]), &given, &["x", "y"]).unwrap()), ["x", "y"]);
        assert_eq!(names(feed(&step(&[]), &given, &["b", "x"]).unwrap()), ["a", "b"], "one is known by its name");
        assert_eq!(names(feed(&step(&[]), &given, &[]).unwrap()), ["a", "b"]);
        let says = feed(&step(&[("x", "c")]), &given, &[]).unwrap_err().to_string();
        assert_eq!(says, "the input `x` is to be the tensor `c`, which is not there; there are `a`, `b`");
    }
}
