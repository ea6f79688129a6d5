//! Tiny models of every family against what transformers computes for them (`tests/models/make.py`), from both formats,
//! whole and in pieces; and that each feature of a family is needed for it.

pub(crate) mod golden;

use super::description::{Activation, Description, RotaryScaling};
use super::{CausalModel, Compute, Decoder, Logits, ModelFiles, Precision, StepBatch};
use crate::kernel::{Isa, PAGE};
use crate::kv::KvPool;
use crate::testing::As;
use crate::threads::Threads;
use candle_core::quantized::GgmlDType;
use golden::Golden;
use proptest::prelude::*;
use std::collections::BTreeMap;

const FAMILIES: [&str; 7] = ["llama", "llama3", "mistral", "qwen2", "qwen3", "gemma3", "phi3"];
/// Scores are a few units wide; keys and values are kept with 11 bits.
const TOLERANCE: f32 = 0.02;

fn decoder(files: &mut ModelFiles, change: impl FnOnce(&mut Description)) -> Decoder {
    let mut shape = files.description().unwrap();
    change(&mut shape);
    let compute = Compute { isa: Isa::detect(), threads: Threads::new(1).unwrap() };
    Decoder::load(shape, files.source(), compute, &mut |_, _| {}).unwrap()
}

/// The scores at every position, the tokens computed in pieces of `piece`.
fn scores(model: &mut Decoder, tokens: &[u32], piece: usize) -> Vec<Vec<f32>> {
    let shape = model.kv_shape();
    let mut kv = KvPool::new(shape, shape.block_bytes() * tokens.len().div_ceil(PAGE));
    let blocks: Vec<_> = (0..kv.capacity()).filter_map(|_| kv.take()).collect();
    let (mut batch, mut out, mut all) = (StepBatch::default(), Logits::default(), Vec::new());
    for (i, tokens) in tokens.chunks(piece).enumerate() {
        batch.clear();
        batch.push(tokens, i * piece, &blocks, |_| true);
        model.step(&batch, &mut kv, &mut out).unwrap();
        all.extend(out.scores.chunks_exact(out.vocabulary).map(<[f32]>::to_vec));
    }
    all
}

/// How far off the golden at most, and at how many positions the likeliest token is another.
fn compare(golden: &Golden, scores: &[Vec<f32>]) -> (f32, usize) {
    let kept = golden.positions.iter().zip(&golden.scores);
    let off = kept.flat_map(|(p, golden)| scores[*p].iter().zip(golden).map(|(a, b)| (a - b).abs()));
    let differ = golden.top.iter().zip(scores).filter(|(top, scores)| Isa::detect().argmax(scores) != **top);
    (off.fold(0.0, f32::max), differ.count())
}

fn folder(golden: &Golden, kept: As, files: usize, precision: Precision) -> (tempfile::TempDir, ModelFiles) {
    let folder = tempfile::tempdir().unwrap();
    golden.write_folder(folder.path(), kept, files);
    let files = ModelFiles::open(folder.path(), &BTreeMap::new(), precision).unwrap();
    (folder, files)
}

fn gguf(golden: &Golden, matrices: GgmlDType) -> (tempfile::TempDir, ModelFiles) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    golden.write_gguf(&path, matrices);
    let files = ModelFiles::open(&path, &BTreeMap::new(), Precision::default()).unwrap();
    (folder, files)
}

#[test]
fn folders_agree_with_transformers() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let (_folder, mut files) = folder(&golden, As::F32, 1, Precision::Plain);
        let mut model = decoder(&mut files, |_| {});
        let whole = scores(&mut model, &golden.tokens, 80);
        let (off, differ) = compare(&golden, &whole);
        println!("{family}: off by {off:.5} at most, {differ} of 80 likeliest tokens differ");
        assert!(off < TOLERANCE && differ == 0, "{family}: off by {off}, {differ} differ");
        for piece in [1, 7, 33] {
            assert_eq!(scores(&mut model, &golden.tokens, piece), whole, "{family} in pieces of {piece}");
        }
    }
}

#[test]
fn gguf_files_agree_with_transformers() {
    let mut proven = 0;
    for family in FAMILIES {
        let golden = Golden::read(family);
        if golden.gguf.is_none() {
            continue;
        }
        let (_folder, mut files) = gguf(&golden, GgmlDType::F32);
        let (off, differ) = compare(&golden, &scores(&mut decoder(&mut files, |_| {}), &golden.tokens, 80));
        println!("{family}: off by {off:.5} at most, {differ} of 80 likeliest tokens differ");
        assert!(off < TOLERANCE && differ == 0, "{family}: off by {off}, {differ} differ");
        proven += 1;
    }
    assert_eq!(proven, 5);
}

#[test]
fn quantised_matrices_stay_close() {
    for family in FAMILIES {
        let golden = Golden::read(family);
        let (_folder, mut files) = folder(&golden, As::F32, 1, Precision::Q8_0);
        let (off, differ) = compare(&golden, &scores(&mut decoder(&mut files, |_| {}), &golden.tokens, 80));
        println!("{family}: off by {off:.3} at most, {differ} of 80 likeliest tokens differ");
        assert!(differ <= 8, "{family}: off by {off}, {differ} differ");
    }
}

/// A golden that no feature could miss would prove nothing.
#[test]
fn without_any_one_feature_the_scores_are_wrong() {
    type Change = fn(&mut Description);
    let no_window: Change = |d| d.local = None;
    let longer_window: Change = |d| d.local.iter_mut().for_each(|l| l.window += 1);
    let one_base: Change = |d| d.local.iter_mut().for_each(|l| l.rotary = None);
    let other_gate: Change = |d| d.activation = Activation::Silu;
    let cases: [(&str, &str, Change); 14] = [
        ("llama3", "scaled rotary positions", |d| d.rotary.scaling = RotaryScaling::None),
        ("llama", "pairs", |d| d.rotary.pairing = super::description::Pairing::Interleaved),
        ("mistral", "the window", no_window),
        ("mistral", "the window's border", longer_window),
        ("qwen2", "biases", |d| d.biases = false),
        ("qwen3", "norms of heads", |d| d.head_norms = false),
        ("gemma3", "post norms", |d| d.post_norms = false),
        ("gemma3", "norms of heads", |d| d.head_norms = false),
        ("gemma3", "the window", no_window),
        ("gemma3", "two bases", one_base),
        ("gemma3", "the gate", other_gate),
        ("gemma3", "scaled embeddings", |d| d.embedding_scale = 1.0),
        ("phi3", "the window's border", longer_window),
        ("phi3", "turning a part", |d| d.rotary.dims = d.dim),
    ];
    for (family, feature, change) in cases {
        let golden = Golden::read(family);
        let (_folder, mut files) = folder(&golden, As::F32, 1, Precision::Plain);
        let (off, _) = compare(&golden, &scores(&mut decoder(&mut files, change), &golden.tokens, 80));
        println!("{family} without {feature}: off by {off:.3}");
        assert!(off > 2.0 * TOLERANCE, "{family} without {feature} is off by {off} only");
    }
}

#[test]
fn numbers_of_16_bits_and_several_files_are_read() {
    let golden = Golden::read("qwen2");
    let of = |kept, files| {
        let (_folder, mut files) = folder(&golden, kept, files, Precision::Plain);
        scores(&mut decoder(&mut files, |_| {}), &golden.tokens[..40], 40)
    };
    assert_eq!(of(As::F32, 3), of(As::F32, 1));
    assert_eq!(of(As::Bf16, 2), of(As::RoundedToBf16, 1));
    let (half, whole) = (of(As::F16, 1), of(As::F32, 1));
    let off = half.iter().flatten().zip(whole.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off > 0.0 && off < 0.1, "half precision is off by {off}");
}

#[test]
fn fused_matrices_are_split_in_any_type() {
    let golden = Golden::read("phi3");
    for dtype in [GgmlDType::Q8_0, GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::F16] {
        let (_folder, mut files) = gguf(&golden, dtype);
        let (off, differ) = compare(&golden, &scores(&mut decoder(&mut files, |_| {}), &golden.tokens, 80));
        println!("{dtype:?}: off by {off:.3} at most, {differ} of 80 likeliest tokens differ");
        assert!(differ <= 60 && off < 4.0, "{dtype:?} is off by {off}, {differ} differ");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever stands in a damaged file, it is refused or run: nothing panics, and no more is taken than it has.
    #[test]
    fn damaged_files_are_refused_or_run(
        family in 0usize..5,
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..6),
        cut in prop::option::of(0.0f64..1.0),
    ) {
        let golden = Golden::read(["llama", "qwen2", "qwen3", "gemma3", "phi3"][family]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        golden.write_gguf(&path, GgmlDType::Q8_0);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, byte) in changes {
            // The head is the first few kilobytes, and where damage does most.
            let at = (at * 4000.0) as usize % bytes.len();
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        std::fs::write(&path, bytes).unwrap();
        let compute = Compute { isa: Isa::detect(), threads: Threads::new(1).unwrap() };
        let loaded = ModelFiles::open(&path, &BTreeMap::new(), Precision::Plain).and_then(|mut files| {
            let shape = files.description()?;
            Decoder::load(shape, files.source(), compute, &mut |_, _| {})
        });
        if let Ok(mut model) = loaded {
            let vocabulary = model.vocabulary() as u32;
            let tokens: Vec<u32> = golden.tokens[..40].iter().map(|t| t % vocabulary).collect();
            prop_assert_eq!(scores(&mut model, &tokens, 40).len(), 40);
        }
    }
}

#[test]
fn broken_folders_are_refused_with_a_reason() {
    let golden = Golden::read("qwen2");
    let broken = |change: fn(&std::path::Path)| {
        let folder = tempfile::tempdir().unwrap();
        golden.write_folder(folder.path(), As::F32, 2);
        change(folder.path());
        let compute = Compute { isa: Isa::detect(), threads: Threads::new(1).unwrap() };
        let loaded = ModelFiles::open(folder.path(), &BTreeMap::new(), Precision::Plain).and_then(|mut files| {
            let shape = files.description()?;
            Decoder::load(shape, files.source(), compute, &mut |_, _| {})
        });
        loaded.err().map(|e| e.to_string()).unwrap_or_default()
    };
    for (says, change) in [
        ("cannot read", (|f| std::fs::remove_file(f.join("model-1.safetensors")).unwrap()) as fn(&std::path::Path)),
        ("cannot read", |f| std::fs::remove_file(f.join("config.json")).unwrap()),
        ("no file beside it", |f| {
            std::fs::write(f.join("model.safetensors.index.json"), r#"{"weight_map":{"a":"../x.safetensors"}}"#)
                .unwrap();
        }),
        ("in another file", |f| {
            std::fs::copy(f.join("model-0.safetensors"), f.join("model-1.safetensors")).unwrap();
        }),
        ("does not fit the model's shape", |f| {
            let config = std::fs::read_to_string(f.join("config.json")).unwrap();
            let config = config.replace(r#""intermediate_size":96"#, r#""intermediate_size":128"#);
            std::fs::write(f.join("config.json"), config).unwrap();
        }),
        ("is missing", |f| {
            let config = std::fs::read_to_string(f.join("config.json")).unwrap();
            let config = config.replace(r#""model_type":"qwen2""#, r#""model_type":"qwen3""#);
            std::fs::write(f.join("config.json"), config).unwrap();
        }),
    ] {
        let error = broken(change);
        assert!(error.contains(says), "`{error}` for `{says}`");
    }
}
