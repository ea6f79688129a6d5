//! A weight of the base that is never trained: kept as its file has it, expanded for the moment of one product. Owns the
//! product as an operation of candle's graph, forward and backward; nothing ever holds a gradient for the weight.

use candle_core::backend::BackendStorage as _;
use candle_core::quantized::{QStorage, QTensor};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Storage, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

/// A matrix of the base: `rows` outputs, `cols` inputs.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    weight: Arc<QTensor>,
    rows: usize,
    cols: usize,
}

impl Frozen {
    /// Holds a tensor of two dimensions.
    pub(super) fn new(weight: QTensor) -> Result<Self> {
        let (rows, cols) = weight.shape().dims2()?;
        Ok(Self { weight: Arc::new(weight), rows, cols })
    }

    /// The same with its rows in another order: row `r` is what `from(r)` was. Rows are whole blocks, so nothing is rounded.
    pub(super) fn reordered(&self, from: impl Fn(usize) -> usize) -> Result<Self> {
        let (data, row) = self.bytes()?;
        let moved: Vec<u8> = (0..self.rows).flat_map(|r| &data[from(r) * row..][..row]).copied().collect();
        let storage = QStorage::from_data(Cow::Owned(moved), &Device::Cpu, self.weight.dtype())?;
        Self::new(QTensor::new(storage, (self.rows, self.cols))?)
    }

    /// Outputs.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// What it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.weight.storage_size_in_bytes()
    }

    /// Some rows as plain numbers.
    pub(super) fn some(&self, first: usize, count: usize) -> Result<Tensor> {
        let (data, row) = self.bytes()?;
        let bytes = Cow::Borrowed(&data[first * row..][..count * row]);
        let storage = QStorage::from_data(bytes, &Device::Cpu, self.weight.dtype())?;
        QTensor::new(storage, (count, self.cols))?.dequantize(&Device::Cpu)
    }

    /// `x Wᵀ`, with a way back to `x` and none to the weight.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1(self.clone())
    }

    fn bytes(&self) -> Result<(Cow<'_, [u8]>, usize)> {
        let data = self.weight.data()?;
        let row = data.len() / self.rows.max(1);
        Ok((data, row))
    }
}

impl CustomOp1 for Frozen {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    /// Candle's own product with quantised weights rounds the activations to 8 bits first, which is meant for answers: it
    /// is off by six in a thousand where gradients are held to one. So the weight is expanded, used and dropped.
    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, _) = layout.shape().dims2()?;
        let weight = self.weight.dequantize(&Device::Cpu)?.t()?;
        let (storage, turned) = weight.storage_and_layout();
        let Storage::Cpu(plain) = &*storage else { candle_core::bail!("a weight is not in the processor's memory") };
        let out = x.matmul(plain, (1, tokens, self.rows, self.cols), layout, turned)?;
        Ok((out, (tokens, self.rows).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.weight.dequantize(&Device::Cpu)?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::GgmlDType;
    use candle_core::{Module as _, Var};

    fn wave(rows: usize, cols: usize, f: f32) -> Tensor {
        let numbers = (0..rows * cols).map(|i| (i as f32 * f).sin()).collect();
        Tensor::from_vec(numbers, (rows, cols), &Device::Cpu).unwrap()
    }

    #[test]
    fn products_and_their_gradients_are_those_of_the_dequantised_weight() {
        for dtype in [GgmlDType::Q4_1, GgmlDType::Q4_0, GgmlDType::Q8_0, GgmlDType::F16, GgmlDType::F32] {
            let quantised = QTensor::quantize(&wave(48, 64, 0.37), dtype).unwrap();
            let plain = quantised.dequantize(&Device::Cpu).unwrap();
            let frozen = Frozen::new(quantised).unwrap();
            let x = Var::from_tensor(&wave(5, 64, 0.11)).unwrap();
            let way = wave(5, 48, 0.7);
            let through = |y: Tensor| {
                let grads = (&y * &way).unwrap().sum_all().unwrap().backward().unwrap();
                (y.to_vec2::<f32>().unwrap(), grads.get(&x).unwrap().to_vec2::<f32>().unwrap())
            };
            let ours = through(frozen.apply(&x).unwrap());
            let theirs = through(x.matmul(&plain.t().unwrap()).unwrap());
            assert_eq!(ours, theirs, "{dtype:?}");
        }
    }

    /// Why the weight is expanded.
    #[test]
    fn candles_own_product_is_off_by_more_than_gradients_may_be() {
        let quantised = Arc::new(QTensor::quantize(&wave(96, 64, 0.37), GgmlDType::Q4_1).unwrap());
        let x = wave(16, 64, 0.11);
        let exact = x.matmul(&quantised.dequantize(&Device::Cpu).unwrap().t().unwrap()).unwrap();
        let rounded = candle_core::quantized::QMatMul::from_arc(quantised).unwrap().forward(&x).unwrap();
        let length = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let off = length(&(rounded - &exact).unwrap()) / length(&exact);
        println!("figure: candle's product of a Q4_1 weight is off by {off:.1e}");
        assert!(off > 1e-3, "{off}");
    }

    #[test]
    fn rows_can_be_asked_for_and_put_in_another_order() {
        let frozen = Frozen::new(QTensor::quantize(&wave(8, 32, 0.37), GgmlDType::Q8_0).unwrap()).unwrap();
        let all = frozen.some(0, 8).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(frozen.some(3, 2).unwrap().to_vec2::<f32>().unwrap(), all[3..5]);
        let back = frozen.reordered(|r| 7 - r).unwrap().some(0, 8).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((&back[0], &back[7]), (&all[7], &all[0]));
    }
}
