//! What the mock upstream answers by the Open Inference Protocol: JSON, or a raw tensor where the call came raw. Owns no
//! connection, and reads no tensor.

use bytes::Bytes;
use hyper::HeaderMap;

/// What the server says of itself: raw tensors are taken.
pub(crate) const SERVER: &str = r#"{"name":"mock","version":"1","extensions":["binary_tensor_data"]}"#;
/// Says how long the JSON before raw tensors is.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";

const JSON: &str = r#"{"model_name":"mock","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"data":[0.1,0.2,0.3,0.4]}]}"#;

/// Answers that are made once.
#[derive(Debug)]
pub(crate) struct Tensors {
    raw: Bytes,
    header: usize,
}

impl Tensors {
    /// Raw answers have a tensor of `bytes` bytes, whole numbers of FP32.
    pub(crate) fn new(bytes: usize) -> Self {
        let (values, bytes) = (bytes / 4, bytes / 4 * 4);
        let head = format!(
            r#"{{"model_name":"mock","model_version":"1","outputs":[{{"name":"y","datatype":"FP32","shape":[1,{values}],"parameters":{{"binary_data_size":{bytes}}}}}]}}"#
        );
        let header = head.len();
        let mut raw = head.into_bytes();
        raw.resize(header + bytes, 0);
        Self { raw: raw.into(), header }
    }

    /// The answer to a call with these headers, and the length of its JSON where a raw tensor follows.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> (Bytes, Option<usize>) {
        if headers.contains_key(HEADER_LENGTH) {
            (self.raw.clone(), Some(self.header))
        } else {
            (Bytes::from_static(JSON.as_bytes()), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_call_gets_a_raw_tensor() {
        let tensors = Tensors::new(10);
        let mut headers = HeaderMap::new();
        assert_eq!(tensors.answer(&headers), (Bytes::from_static(JSON.as_bytes()), None));
        headers.insert(HEADER_LENGTH, 5.into());
        let (body, header) = tensors.answer(&headers);
        let header = header.expect("a length");
        let json: serde_json::Value = serde_json::from_slice(&body[..header]).expect("JSON");
        assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 8);
        assert_eq!(body.len() - header, 8);
    }
}
