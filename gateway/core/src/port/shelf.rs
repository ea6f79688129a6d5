//! The port to prompts as a registry lists them: names, numbered versions, labels and tags. Owns that view; rendering is
//! the port `Prompts`.

use crate::Fault;
use crate::once::Once;
use crate::port::prompts::PromptMessage;
use std::collections::BTreeMap;

/// The prompts as a registry lists them. What writes returns when it is durable. All of it may read from the disk: call
/// it where blocking is allowed.
pub trait PromptShelf: Send + Sync + std::fmt::Debug {
    /// Whether there is a prompt of this name; reads memory alone.
    fn has(&self, name: &str) -> bool;

    /// All prompts, by name.
    ///
    /// # Errors
    /// The store cannot be read; so of all the others.
    fn prompts(&self) -> Result<Vec<ShelvedPrompt>, Fault>;

    /// A prompt.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    fn prompt(&self, name: &str) -> Result<ShelvedPrompt, Fault>;

    /// The versions of a prompt, the newest first; deleted ones are not in it.
    ///
    /// # Errors
    /// `NotFound` where there is no such prompt.
    fn versions(&self, name: &str) -> Result<Vec<ShelvedVersion>, Fault>;

    /// A version.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    fn version(&self, name: &str, n: u32) -> Result<ShelvedVersion, Fault>;

    /// Makes a prompt without a version.
    ///
    /// # Errors
    /// `Conflict` where there is one of that name, `InvalidRequest` where the name is none.
    fn create(
        &self,
        name: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
        by: &Writer,
    ) -> Result<ShelvedPrompt, Fault>;

    /// Writes a version, of a prompt that is there.
    ///
    /// # Errors
    /// The templates are wrong, or the prompts are only read here.
    fn register(&self, name: &str, new: NewShelved, by: &Writer) -> Result<ShelvedVersion, Fault>;

    /// Sets a tag of a prompt or of a version, or takes it away.
    ///
    /// # Errors
    /// `NotFound` where there is none such.
    fn tag(&self, name: &str, n: Option<u32>, key: &str, value: Option<&str>, by: &Writer) -> Result<(), Fault>;

    /// Points a label to a version, or takes it away; one that is not there is gone already.
    ///
    /// # Errors
    /// `NotFound` where there is no such version, `InvalidRequest` where the label is none.
    fn point(&self, name: &str, label: &str, to: Option<u32>, by: &Writer) -> Result<(), Fault>;

    /// Describes a prompt or a version.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    fn describe(&self, name: &str, n: Option<u32>, text: Option<&str>, by: &Writer) -> Result<(), Fault>;

    /// Deletes a version, or the prompt with all of them.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    fn delete(&self, name: &str, n: Option<u32>, by: &Writer) -> Result<(), Fault>;

    /// Whether a request was done before that made, described, tagged or deleted something.
    ///
    /// # Errors
    /// `Conflict` where its key was sent with another content.
    fn was_done(&self, once: &Once) -> Result<bool, Fault>;
}

/// Who writes; what he did under the key of this request is not done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Who.
    pub principal: String,
    /// His key for this request, where he sent one.
    pub once: Option<Once>,
}

/// A prompt, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelvedPrompt {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Milliseconds since 1970 at which it was made.
    pub created: i64,
    /// Milliseconds since 1970 of its newest version.
    pub updated: i64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its labels and the numbers of their versions.
    pub labels: BTreeMap<String, u32>,
}

/// A version of a prompt, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelvedVersion {
    /// The prompt.
    pub name: String,
    /// Its number.
    pub n: u32,
    /// Milliseconds since 1970 of its commit.
    pub created: i64,
    /// What was said when it was written, or since.
    pub description: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The labels that point to it.
    pub labels: Vec<String>,
    /// Its templates.
    pub body: ShelvedBody,
}

/// A version that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewShelved {
    /// What is said of it: the commit's message.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its templates.
    pub body: ShelvedBody,
}

/// The templates of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShelvedBody {
    /// One text.
    Text(String),
    /// A conversation.
    Chat(Vec<PromptMessage>),
}
