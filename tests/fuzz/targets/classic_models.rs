//! Files of classic models (ONNX, XGBoost, LightGBM): read or refused, and one that was read answers or refuses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_classic::Model;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = Model::read(bytes) {
        drop(model.predict(&[], &[]));
        let _ = (model.inputs().len(), model.outputs().len(), model.features().len());
    }
});
