//! What callers send us and get from us: one value from the reading of a call to the writing of its answer.

use crate::sheet::Sheet;
use crate::wrong::Wrong;
use crate::{explain, grpc, mlflow, open_inference, seldon, tf_serving};
use bytes::Bytes;
use serde_json::Value;
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{PredictAnswer, PredictRequest};

/// A wire that we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `/v2/models/…/infer`.
    OpenInference,
    /// `/v1/models/…:predict`.
    TfServing,
    /// `/v1/models/…:explain`, which is KServe's.
    Explain,
    /// `/invocations`.
    Mlflow,
    /// `/api/v1.0/predictions`.
    Seldon,
}

/// How an answer has to be written, known from how it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    OpenInference(open_inference::Wish),
    Message(grpc::Wish),
    TfServing(tf_serving::Form),
    Explain,
    Mlflow,
    Seldon(seldon::Form),
}

impl Served {
    /// The form of an answer to a message.
    pub(crate) const fn of_message(wish: grpc::Wish) -> Self {
        Self(Form::Message(wish))
    }

    /// Reads what is asked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(
        wire: Wire,
        body: &Bytes,
        header_length: Option<&[u8]>,
        is_csv: bool,
    ) -> Result<(PredictRequest, Self), Wrong> {
        match wire {
            Wire::OpenInference => open_inference::read_request(body, header_length)
                .map(|(request, wish)| (request, Form::OpenInference(wish))),
            Wire::TfServing => tf_serving::read_request(body).map(|(request, form)| (request, Form::TfServing(form))),
            Wire::Explain => explain::read_request(body).map(|request| (request, Form::Explain)),
            Wire::Mlflow => mlflow::read_request(body, is_csv).map(|request| (request, Form::Mlflow)),
            Wire::Seldon => seldon::read_request(body).map(|(request, form)| (request, Form::Seldon(form))),
        }
        .map(|(request, form)| (request, Self(form)))
    }

    /// Whether what was asked can go as it came to another server of this protocol: there is nothing in it but what was read, in a
    /// form that all of them read alike.
    #[must_use]
    pub const fn is_sent_on(&self) -> bool {
        matches!(&self.0, Form::OpenInference(wish) if wish.is_plain)
    }

    /// Writes the answer to `request`, as the route `model`'s; `call` is its id here.
    ///
    /// # Errors
    /// The wire cannot say it.
    pub fn write(
        &self,
        model: &str,
        call: &str,
        request: &PredictRequest,
        answer: &PredictAnswer,
    ) -> Result<Sheet, Wrong> {
        match &self.0 {
            Form::OpenInference(wish) => open_inference::write_answer(model, request.id.as_deref(), answer, wish),
            Form::Message(wish) => {
                let body = grpc::write_answer(model, call, request, answer, *wish);
                Ok(Sheet { body, header_length: None, behind: Vec::new() })
            }
            Form::TfServing(form) => tf_serving::write_answer(answer, *form),
            Form::Explain => explain::write_answer(answer),
            Form::Mlflow => mlflow::write_answer(answer),
            Form::Seldon(form) => seldon::write_answer(model, call, answer, *form),
        }
    }

    /// What is asked as plain JSON of the Open Inference Protocol: the form in which records and monitors have it.
    ///
    /// # Errors
    /// JSON cannot have it.
    pub fn asked(request: &PredictRequest) -> Result<Bytes, Wrong> {
        open_inference::write_request(request, false).map(|sheet| sheet.body)
    }

    /// The same of an answer.
    ///
    /// # Errors
    /// JSON cannot have it.
    pub fn answered(model: &str, request: &PredictRequest, answer: &PredictAnswer) -> Result<Bytes, Wrong> {
        let plain = open_inference::Wish::default();
        open_inference::write_answer(model, request.id.as_deref(), answer, &plain).map(|sheet| sheet.body)
    }

    /// What is said of a model to those who ask by the Open Inference Protocol.
    #[must_use]
    pub fn metadata(name: &str, meta: &ModelMeta) -> Value {
        open_inference::write_metadata(name, meta)
    }
}
