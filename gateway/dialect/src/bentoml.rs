//! BentoML: an API of a service gets its arguments by name as JSON, and answers with whatever it returns.

use crate::sheet::Sheet;
use crate::tf_serving::{json, read_outputs, write_named};
use crate::wrong::Wrong;
use bytes::Bytes;
use tidegate_core::{PredictAnswer, PredictRequest};

/// Writes what is asked: an argument for each input.
///
/// # Errors
/// An input has no name, or JSON cannot have it.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    if request.inputs.iter().any(|tensor| tensor.name().is_empty()) {
        let says = "this provider (bentoml) gets its arguments by name: send `inputs` as an object, or call /v2/models/NAME/infer";
        return Err(Wrong::new("inputs", says));
    }
    let mut out = Vec::with_capacity(64);
    write_named(&request.inputs, &mut out)?;
    Ok(Sheet::json(out))
}

/// Reads what was answered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    Ok(PredictAnswer { outputs: read_outputs(json(body)?, "output")?, ..PredictAnswer::default() })
}
