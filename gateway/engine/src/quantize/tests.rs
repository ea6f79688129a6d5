//! Files that are quantised, read back, and run.

use super::*;
use crate::testing::weights::random;
use candle_core::Tensor;

fn source(folder: &Path, dtype: GgmlDType) -> PathBuf {
    let path = folder.join("source.gguf");
    let tensors: [(&str, &[usize], GgmlDType); 4] = [
        ("token_embd.weight", &[40, 256], dtype),
        ("blk.0.attn_q.weight", &[24, 256], dtype),
        ("blk.0.odd.weight", &[8, 20], GgmlDType::F32),
        ("blk.0.attn_norm.weight", &[256], GgmlDType::F32),
    ];
    let (name, list) = (Value::Text("llama".into()), Value::Texts(vec!["a".into(), "b".into()]));
    let old = Value::Unsigned(1);
    let entries = [("general.architecture", &name), ("tokens", &list), ("general.file_type", &old)];
    let coming: Vec<_> = tensors.iter().map(|(name, shape, dtype)| Coming { name, shape, dtype: *dtype }).collect();
    let mut writer = Writer::begin(Vec::new(), &entries, &coming).unwrap();
    for (name, shape, dtype) in tensors {
        let values = random(name, shape.iter().product());
        let tensor = Tensor::from_vec(values, shape.to_vec(), &Device::Cpu).unwrap();
        writer.tensor(&QTensor::quantize(&tensor, dtype).unwrap().data().unwrap()).unwrap();
    }
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    path
}

#[test]
fn every_type_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), GgmlDType::F32);
    let mut sizes = Vec::new();
    for to in Quantization::ALL {
        let target = folder.path().join(to.name());
        let mut seen = Vec::new();
        let made = quantize(&source, &target, to, &mut |done, total| seen.push((done, total))).unwrap();
        println!("{}: off by {:.4}", to.name(), made.off);
        assert!(made.off > 0.0 && made.off < to.most_off(), "{to:?} is off by {}", made.off);
        assert_eq!(seen.last().map(|(done, total)| done == total), Some(true));
        assert!(!made.twice_rounded);
        let file = GgufFile::open(&target).unwrap();
        let dtype = |name: &str| file.tensors().iter().find(|(n, _)| *n == name).unwrap().1.dtype;
        let head = if to == Quantization::F16 { GgmlDType::F16 } else { GgmlDType::Q8_0 };
        assert_eq!((dtype("token_embd.weight"), dtype("blk.0.attn_q.weight")), (head, to.dtype()));
        let odd = if to == Quantization::F16 { GgmlDType::F16 } else { GgmlDType::F32 };
        assert_eq!((dtype("blk.0.odd.weight"), dtype("blk.0.attn_norm.weight")), (odd, GgmlDType::F32));
        assert_eq!(file.number("general.file_type").unwrap() as u64, to.file_type());
        assert_eq!(file.texts("tokens").unwrap(), ["a", "b"]);
        sizes.push((made.after, to));
    }
    sizes.sort_unstable_by_key(|(size, _)| *size);
    assert!(sizes[0].1 != Quantization::Q8_0 && sizes.last().unwrap().1 == Quantization::F16);
    assert!(std::fs::read_dir(folder.path()).unwrap().all(|f| !f.unwrap().path().to_string_lossy().ends_with(".part")));
}

#[test]
fn what_is_rounded_twice_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), GgmlDType::Q8_0);
    let to = |to| quantize(&source, &folder.path().join("target"), to, &mut |_, _| {}).unwrap();
    assert!(to(Quantization::Q4_0).twice_rounded);
    let same = to(Quantization::Q8_0);
    assert!(!same.twice_rounded && same.off == 0.0, "what stays is the same to the bit");
}

#[test]
fn what_cannot_be_read_or_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), GgmlDType::F32);
    let whole = std::fs::read(&source).unwrap();
    std::fs::write(&source, &whole[..whole.len() - 40]).unwrap();
    let target = folder.path().join("target");
    let error = quantize(&source, &target, Quantization::Q8_0, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    std::fs::write(&source, &whole).unwrap();
    let nowhere = folder.path().join("none/target");
    let error = quantize(&source, &nowhere, Quantization::Q8_0, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, QuantizeError::Write { .. }), "{error}");
    assert!(!target.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 1);
}
