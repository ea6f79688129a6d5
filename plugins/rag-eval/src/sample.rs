//! An answer that was made of passages, as the contract has it. Owns the words only.

/// A passage that an answer was made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What the retriever gave it.
    pub score: Option<f64>,
}

/// An answer that was made of passages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The call.
    pub request_id: String,
    /// What was asked.
    pub question: String,
    /// What was found.
    pub passages: Vec<Passage>,
    /// What was answered.
    pub answer: String,
    /// What should have been answered.
    pub reference: Option<String>,
    /// What should have been found.
    pub relevant_ids: Vec<String>,
}
