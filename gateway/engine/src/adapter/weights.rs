//! An adapter's numbers: read from safetensors, told apart by module, and held to the configuration and to the base.

use super::base::{BaseShape, PROJECTIONS};
use super::fault::AdapterFault;
use super::pair::Pair;
use super::peft::Config;
use crate::kernel::lora::Precision;
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::Path;

const FILE: &str = "adapter_model.safetensors";
/// What PEFT puts before the base's own paths.
const PREFIX: &str = "base_model.model.";

/// Whether there is a file of numbers, and not only one that would have to be run.
pub(super) fn is_no_pickle(numbers: &Path) -> Result<(), AdapterFault> {
    if !numbers.exists() && numbers.with_file_name("adapter_model.bin").exists() {
        return Err(AdapterFault::Unsupported {
            what: "`adapter_model.bin`, which is a program rather than numbers".into(),
            remedy: "save it as safetensors",
        });
    }
    Ok(())
}

/// A whole file of at most `most` bytes.
pub(super) fn bytes_of(path: &Path, most: u64) -> Result<Vec<u8>, AdapterFault> {
    let failed = |why: String| AdapterFault::Read { path: path.to_owned(), why };
    let file = std::fs::File::open(path).map_err(|e| failed(e.to_string()))?;
    let length = file.metadata().map_err(|e| failed(e.to_string()))?.len();
    if length > most {
        return Err(failed(format!("it has {length} bytes, and {most} are the most that are taken")));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // One byte more than allowed is enough to know that it grew meanwhile.
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(failed(format!("it has more than the {most} bytes that are taken")));
    }
    Ok(bytes)
}

/// Both factors of a module.
#[derive(Default)]
struct Factors {
    a: Option<Tensor>,
    b: Option<Tensor>,
}

/// The differences of all products, `layer * PROJECTIONS.len() + slot`.
pub(super) fn pairs(config: &Config, numbers: &[u8], base: &BaseShape) -> Result<Vec<Option<Pair>>, AdapterFault> {
    if base.layers.is_empty() {
        let what = "adapters on this kind of model".to_owned();
        return Err(AdapterFault::Unsupported { what, remedy: "use a language model as their base" });
    }
    let mut found = sorted(numbers)?;
    let modules: Vec<_> =
        (0..base.layers.len()).flat_map(|layer| base.modules(layer).into_iter().map(move |m| (layer, m))).collect();
    let paths: Vec<String> = modules.iter().map(|(_, (path, _))| path.clone()).collect();
    if let Some(first) = config.strangers(&paths).first() {
        let known = PROJECTIONS.join(", ");
        return Err(AdapterFault::Unfit(format!(
            "`target_modules` names `{first}`, which is no product of this base that can be adapted: those are {known}"
        )));
    }
    let mut pairs: Vec<Option<Pair>> = (0..base.layers.len() * PROJECTIONS.len()).map(|_| None).collect();
    for (layer, (path, slots)) in &modules {
        let factors = found.remove(path.as_str());
        match (config.means(path, *layer), factors) {
            (true, Some(factors)) => {
                for (slot, pair) in module(config, path, *layer, slots, &factors, base)? {
                    pairs[layer * PROJECTIONS.len() + slot] = Some(pair);
                }
            }
            (true, None) => {
                return Err(AdapterFault::Unfit(format!(
                    "{FILE} has nothing for `{path}`, which `target_modules` means"
                )));
            }
            (false, Some(_)) => {
                let says = format!("{FILE} has numbers for `{path}`, which `target_modules` does not mean");
                return Err(AdapterFault::Unfit(says));
            }
            (false, None) => {}
        }
    }
    if let Some(path) = found.keys().next() {
        let layers = base.layers.len();
        return Err(AdapterFault::Unfit(format!(
            "it adapts `{path}`, which this base of {layers} layers does not have or which cannot be adapted"
        )));
    }
    if pairs.iter().all(Option::is_none) {
        return Err(AdapterFault::Unfit("it adapts nothing of this base".into()));
    }
    Ok(pairs)
}

/// The tensors by module, each module's path without PEFT's and wrappers' beginnings.
fn sorted(numbers: &[u8]) -> Result<BTreeMap<String, Factors>, AdapterFault> {
    let damaged = |e: candle_core::Error| AdapterFault::Unfit(format!("{FILE} is damaged: {e}"));
    let tensors: HashMap<String, Tensor> =
        candle_core::safetensors::load_buffer(numbers, &Device::Cpu).map_err(damaged)?;
    let mut found: BTreeMap<String, Factors> = BTreeMap::new();
    for (name, tensor) in tensors {
        let strange = || {
            let says = format!("{FILE} has the tensor `{name}`, which is neither factor of a product's difference");
            AdapterFault::Unfit(says)
        };
        let path = name.strip_prefix(PREFIX).ok_or_else(strange)?;
        let (path, is_a) = ["lora_A", "lora_B"]
            .into_iter()
            .find_map(|factor| {
                let ends = [format!(".{factor}.weight"), format!(".{factor}.default.weight")];
                let path = ends.iter().find_map(|end| path.strip_suffix(end.as_str()))?;
                Some((path, factor == "lora_A"))
            })
            .ok_or_else(strange)?;
        // Models with other senses beside language keep it one step deeper.
        let inner = ["model.language_model.", "language_model.model.", "model."];
        let bare = inner.iter().find_map(|start| path.strip_prefix(start)).unwrap_or(path);
        let factors = found.entry(format!("model.{bare}")).or_default();
        let place = if is_a { &mut factors.a } else { &mut factors.b };
        if place.replace(tensor).is_some() {
            return Err(AdapterFault::Unfit(format!("{FILE} has `{bare}` twice")));
        }
    }
    Ok(found)
}

/// The differences of one module: of one product, or of those that are one in the adapter's eyes.
fn module(
    config: &Config,
    path: &str,
    layer: usize,
    slots: &[usize],
    factors: &Factors,
    base: &BaseShape,
) -> Result<Vec<(usize, Pair)>, AdapterFault> {
    let sizes: Vec<_> = slots.iter().map(|slot| base.layers[layer][*slot]).collect();
    let (cols, rows) = (sizes[0].cols, sizes.iter().map(|size| size.rows).sum::<usize>());
    let rank = config.rank(path);
    let a = plain(factors.a.as_ref(), path, "lora_A", (rank, cols))?;
    let b = plain(factors.b.as_ref(), path, "lora_B", (rows, rank))?;
    let scale = config.scale(path);
    let least = if base.is_coarse { Precision::Eight } else { Precision::Half };
    let mut first = 0;
    let mut pairs = Vec::with_capacity(slots.len());
    for (slot, size) in slots.iter().zip(sizes) {
        let mut own = vec![0.0; size.rows * rank];
        for (row, from) in b[first * rank..][..size.rows * rank].chunks_exact(rank).enumerate() {
            own[base.row(*slot, row) * rank..][..rank].copy_from_slice(from);
        }
        first += size.rows;
        pairs.push((*slot, Pair::new(rank, (&a, &own), scale, least)));
    }
    Ok(pairs)
}

/// A factor as plain numbers of the shape that it must have.
fn plain(
    tensor: Option<&Tensor>,
    path: &str,
    factor: &str,
    (rows, cols): (usize, usize),
) -> Result<Vec<f32>, AdapterFault> {
    let unfit = |detail: String| AdapterFault::Unfit(format!("{factor} of `{path}` {detail}"));
    let tensor = tensor.ok_or_else(|| unfit("is missing".into()))?;
    if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
        return Err(unfit(format!("is of the type {:?}: save it as F32, F16 or BF16", tensor.dtype())));
    }
    if tensor.dims() != [rows, cols] {
        return Err(unfit(format!(
            "is {:?}, and its rank and this base ask for [{rows}, {cols}]: it was made for another base or rank",
            tensor.dims()
        )));
    }
    let numbers = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>());
    let numbers = numbers.map_err(|e| unfit(format!("cannot be read: {e}")))?;
    if numbers.iter().any(|v| !v.is_finite()) {
        return Err(unfit("has what is no number".into()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::super::Adapter;
    use super::super::testing::{self, Made};
    use super::*;

    fn refusal(change: impl FnOnce(&mut Made)) -> String {
        let mut made = Made::on(&["q_proj", "v_proj"]);
        change(&mut made);
        Adapter::of(&made.config(), &made.numbers(), &testing::base()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_good_one_is_taken_whichever_way_its_tensors_are_called() {
        let made = Made::on(&["q_proj", "v_proj"]);
        let one = Adapter::of(&made.config(), &made.numbers(), &testing::base()).unwrap();
        assert!(one.difference(0, 0).is_some() && one.difference(1, 2).is_some() && one.difference(0, 1).is_none());
        assert_eq!((one.rank(), one.generation().len()), (4, 64));
        let again = Adapter::of(&made.config(), &made.numbers(), &testing::base()).unwrap();
        assert_eq!(one.generation(), again.generation());
        let mut other = Made::on(&["q_proj", "v_proj"]);
        other.rename(|name| name.replace(".weight", ".default.weight"));
        let other = Adapter::of(&other.config(), &other.numbers(), &testing::base()).unwrap();
        assert_ne!(one.generation(), other.generation(), "other bytes are another generation");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_says_where() {
        let q = "base_model.model.model.layers.0.self_attn.q_proj";
        for (says, got) in [
            ("which is no product", refusal(|m| m.targets.push("c_attn".into()))),
            ("has nothing for `model.layers.0.self_attn.k_proj`", refusal(|m| m.targets.push("k_proj".into()))),
            ("does not mean", refusal(|m| drop(m.targets.remove(0)))),
            ("is missing", refusal(|m| drop(m.tensors.remove(&format!("{q}.lora_B.weight"))))),
            ("made for another base or rank", refusal(|m| m.rank = 3)),
            ("lora_A of `model.layers.0.self_attn.q_proj` is [4, 31]", refusal(|m| m.set(q, "lora_A", (4, 31), 0.5))),
            ("has what is no number", refusal(|m| m.set(q, "lora_B", (32, 4), f32::NAN))),
            ("neither factor", refusal(|m| m.set("base_model.model.lm_head", "weight", (2, 2), 0.5))),
            (
                "adapts `model.embed_tokens`",
                refusal(|m| {
                    m.set("base_model.model.model.embed_tokens", "lora_A", (4, 9), 0.5);
                }),
            ),
            (
                "this base of 2 layers does not have",
                refusal(|m| m.set("base_model.model.model.layers.2.self_attn.q_proj", "lora_A", (4, 32), 0.5)),
            ),
        ] {
            assert!(got.contains(says), "{says}: {got}");
        }
        let made = Made::on(&["q_proj"]);
        let none = Adapter::of(&made.config(), &made.numbers(), &BaseShape::default()).map(|_| ()).unwrap_err();
        assert!(none.to_string().contains("language model"), "{none}");
    }

    #[test]
    fn damaged_files_are_refused_and_never_believed() {
        let made = Made::on(&["q_proj"]);
        let numbers = made.numbers();
        for cut in [0, 1, 7, 8, 9, numbers.len() / 2, numbers.len() - 1] {
            let got = Adapter::of(&made.config(), &numbers[..cut], &testing::base()).map(|_| ());
            assert!(matches!(got, Err(AdapterFault::Unfit(_))), "cut at {cut}");
        }
        let mut huge = numbers.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Adapter::of(&made.config(), &huge, &testing::base()).is_err());
    }

    #[test]
    fn a_file_over_the_bound_is_not_read_and_a_pickle_never() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("adapter_model.bin"), "x").unwrap();
        assert!(is_no_pickle(&folder.path().join(FILE)).unwrap_err().to_string().contains("safetensors"));
        let path = folder.path().join("some");
        std::fs::write(&path, "12345").unwrap();
        assert!(bytes_of(&path, 4).unwrap_err().to_string().contains("5 bytes"));
        assert_eq!(bytes_of(&path, 5).unwrap(), b"12345");
        assert!(matches!(bytes_of(&folder.path().join("none"), 5), Err(AdapterFault::Read { .. })));
    }
}
