//! TorchServe with its JSON envelope: `instances`, answered by `predictions` or by the list alone.

use crate::loose::is_object;
use crate::sheet::Sheet;
use crate::tf_serving::{json, read_answer as read_envelope, read_outputs, without_words, write_rows};
use crate::wrong::Wrong;
use bytes::Bytes;
use tidegate_core::{PredictAnswer, PredictRequest};

/// Writes what is asked.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    let mut out = b"{\"instances\":".to_vec();
    write_rows(&request.inputs, &mut out).map_err(|wrong| Wrong { field: "inputs".to_owned(), ..wrong })?;
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// Reads what was answered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let body = without_words(body)?;
    let json = json(&body)?;
    if is_object(json)
        && let Ok(answer) = read_envelope(&body)
    {
        return Ok(answer);
    }
    Ok(PredictAnswer { outputs: read_outputs(json, "output")?, ..PredictAnswer::default() })
}
