//! A weight of the base that is never trained: kept as its file has it, expanded for the moment of one product. Owns the
//! product as an operation of candle's graph, forward and backward; nothing ever holds a gradient for the weight.

use crate::matrix::packed::Packed;
use candle_core::backend::BackendStorage as _;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Storage, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

/// A matrix of the base: `rows` outputs, `cols` inputs. Its bytes are mapped and not the allocator's, which would keep what
/// reading them needed for a moment.
#[derive(Clone)]
pub(super) struct Frozen {
    bytes: Arc<Packed>,
    dtype: GgmlDType,
    rows: usize,
    cols: usize,
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {} of {:?}", self.rows, self.cols, self.dtype)
    }
}

impl Frozen {
    /// Holds a tensor of two dimensions as it is.
    #[cfg(test)]
    pub(super) fn new(weight: &QTensor) -> Result<Self> {
        Ok(Self::of((weight.dtype(), weight.shape().dims2()?), &weight.data()?, |row| row))
    }

    /// Holds `rows` × `cols` numbers, row `r` of which is row `from(r)` of `data`. Rows are whole blocks, so nothing is
    /// rounded.
    pub(super) fn of(
        (dtype, (rows, cols)): (GgmlDType, (usize, usize)),
        data: &[u8],
        from: impl Fn(usize) -> usize,
    ) -> Self {
        let row = data.len() / rows.max(1);
        let bytes = Packed::new(rows * row, |to| {
            for (r, to) in to.chunks_exact_mut(row.max(1)).enumerate() {
                to.copy_from_slice(&data[from(r) * row..][..row]);
            }
        });
        Self { bytes: Arc::new(bytes), dtype, rows, cols }
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
        self.bytes.get().len()
    }

    /// Some rows as plain numbers.
    pub(super) fn some(&self, first: usize, count: usize) -> Result<Tensor> {
        let row = self.size() / self.rows.max(1);
        let bytes = Cow::Borrowed(&self.bytes.get()[first * row..][..count * row]);
        let storage = QStorage::from_data(bytes, &Device::Cpu, self.dtype)?;
        QTensor::new(storage, (count, self.cols))?.dequantize(&Device::Cpu)
    }

    /// All of them.
    fn plain(&self) -> Result<Tensor> {
        self.some(0, self.rows)
    }

    /// `x Wᵀ`, with a way back to `x` and none to the weight.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1(self.clone())
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
        let weight = self.plain()?.t()?;
        let (storage, turned) = weight.storage_and_layout();
        let Storage::Cpu(plain) = &*storage else { candle_core::bail!("a weight is not in the processor's memory") };
        let out = x.matmul(plain, (1, tokens, self.rows, self.cols), layout, turned)?;
        Ok((out, (tokens, self.rows).into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.plain()?).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let frozen = Frozen::new(&quantised).unwrap();
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
        let weight = QTensor::quantize(&wave(8, 32, 0.37), GgmlDType::Q8_0).unwrap();
        let frozen = Frozen::new(&weight).unwrap();
        let all = frozen.some(0, 8).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(frozen.some(3, 2).unwrap().to_vec2::<f32>().unwrap(), all[3..5]);
        let data = weight.data().unwrap();
        let back =
            Frozen::of((GgmlDType::Q8_0, (8, 32)), &data, |r| 7 - r).some(0, 8).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((&back[0], &back[7]), (&all[7], &all[0]));
    }
}
