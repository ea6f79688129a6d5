//! What tests of operations share: made-up numbers, and gradients held to slopes.

use candle_core::{Device, Result, Tensor, Var};

/// Made-up rows.
pub(crate) fn wave(rows: usize, cols: usize, f: f32) -> Tensor {
    let numbers = (0..rows * cols).map(|i| (i as f32 * f).sin() * (1.0 + (i % 3) as f32 * 0.3)).collect();
    Tensor::from_vec(numbers, (rows, cols), &Device::Cpu).unwrap()
}

/// Holds the gradient of each number of each argument to what the result changes by where it does.
pub(crate) fn slopes(args: &[Tensor], of: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars: Vec<Var> = args.iter().map(|arg| Var::from_tensor(arg).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let out = of(&tensors).unwrap();
    let (rows, cols) = out.dims2().unwrap();
    let way = wave(rows, cols, 0.71);
    let grads = (out * &way).unwrap().sum_all().unwrap().backward().unwrap();
    let value = |args: &[Tensor]| -> f64 {
        let out = of(args).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let way = way.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        out.iter().zip(way).map(|(a, b)| f64::from(*a) * f64::from(b)).sum()
    };
    for (nth, var) in vars.iter().enumerate() {
        let grad = grads.get(var).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let numbers = args[nth].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, grad) in grad.iter().enumerate() {
            let moved = |by: f32| {
                let mut numbers = numbers.clone();
                numbers[i] += by;
                let mut args = args.to_vec();
                args[nth] = Tensor::from_vec(numbers, args[nth].shape(), &Device::Cpu).unwrap();
                value(&args)
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            let off = (f64::from(*grad) - slope).abs();
            assert!(off < 2e-2 * (1.0 + slope.abs()), "argument {nth}, number {i}: {grad} for {slope}");
        }
    }
}
