//! A llama of a few thousand random numbers: the real kernels, caches and sums, in no time.

use crate::kernel::Isa;
use crate::model::{Compute, Decoder, ModelFiles, Precision};
use crate::sample::SplitMix;
use crate::threads::Threads;
use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;

const LAYERS: usize = 2;
const WIDTH: usize = 64;
const HIDDEN: usize = 96;

/// Its file, from which it is loaded anew for each test.
pub(super) struct Tiny(tempfile::NamedTempFile);

impl Tiny {
    pub(super) fn new() -> Self {
        let mut numbers = SplitMix(7);
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        let mut matrix = |name: String, rows: usize, cols: usize, spread: f32, kind| {
            let uniform = std::iter::repeat_with(|| (numbers.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0);
            let data: Vec<f32> = uniform.take(rows * cols).map(|v| v * spread).collect();
            let tensor = Tensor::from_vec(data, (rows, cols), &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&tensor, kind).unwrap()));
        };
        matrix("token_embd.weight".into(), 257, WIDTH, 1.0, GgmlDType::Q8_0);
        for i in 0..LAYERS {
            let mut part = |name: &str, rows, cols, kind| {
                matrix(format!("blk.{i}.{name}.weight"), rows, cols, 0.3, kind);
            };
            part("attn_q", 64, WIDTH, GgmlDType::Q4_0);
            part("attn_k", 32, WIDTH, GgmlDType::Q4_0);
            part("attn_v", 32, WIDTH, GgmlDType::Q4_1);
            part("attn_output", WIDTH, 64, GgmlDType::Q4_1);
            part("ffn_gate", HIDDEN, WIDTH, GgmlDType::Q4_1);
            part("ffn_up", HIDDEN, WIDTH, GgmlDType::Q8_0);
            part("ffn_down", WIDTH, HIDDEN, GgmlDType::F32);
        }
        let norms = (0..LAYERS).flat_map(|i| ["attn", "ffn"].map(|part| format!("blk.{i}.{part}_norm.weight")));
        for name in norms.chain(["output_norm.weight".to_owned()]) {
            let ones = Tensor::ones(WIDTH, candle_core::DType::F32, &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&ones, GgmlDType::F32).unwrap()));
        }
        let number = |v: usize| Value::U32(v as u32);
        let metadata = [
            ("general.architecture", Value::String("llama".into())),
            ("llama.embedding_length", number(WIDTH)),
            ("llama.attention.head_count", number(4)),
            ("llama.attention.head_count_kv", number(2)),
            ("llama.block_count", number(LAYERS)),
            ("llama.feed_forward_length", number(HIDDEN)),
            ("llama.context_length", number(4096)),
        ];
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(name, value)| (*name, value)).collect();
        let all: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write(file.as_file_mut(), &metadata, &all).unwrap();
        Self(file)
    }

    pub(super) fn load(&self) -> Decoder {
        let mut files = ModelFiles::open(self.0.path(), &BTreeMap::new(), Precision::default()).unwrap();
        let compute = Compute { isa: Isa::detect(), threads: Threads::new(1).unwrap() };
        Decoder::load(files.description().unwrap(), files.source(), compute, &mut |_, _| {}).unwrap()
    }
}
