//! The compiler of one model: its tokens as a tree, made when first needed, and the grammars compiled last. Owns the
//! bounds on what compiling may cost, and the thread that makes masks beside the model's own steps.

use super::calls::CallStyle;
use super::form::Form;
use super::held::{Held, Maker};
use super::{Constraint, Refusal};
use crate::request::{ToolChoice, ToolUse};
use crate::vocabulary::Vocabulary;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Grammars kept compiled.
const KEPT: usize = 32;
/// Bytes of text of the grammars kept.
const KEPT_TEXT: usize = 1 << 20;
/// What a byte is marked with that is none of a text: the beginning of a control token's name.
const CONTROL: u8 = 0xFF;

/// The grammars of one model.
pub(crate) struct Grammars {
    vocabulary: Arc<Vocabulary>,
    ready: OnceLock<Result<Ready, String>>,
    kept: Mutex<VecDeque<(String, Held)>>,
    /// One compilation at a time: what a hostile form costs is paid by one core.
    turn: Mutex<()>,
}

struct Ready {
    factory: ParserFactory,
    maker: Maker,
}

impl Grammars {
    pub(crate) fn new(vocabulary: Arc<Vocabulary>) -> Self {
        Self { vocabulary, ready: OnceLock::new(), kept: Mutex::default(), turn: Mutex::default() }
    }

    /// What holds an answer to a form, with the first mask made; `None` where nothing does. Takes milliseconds, and more
    /// for the first of a model: not for an async thread.
    pub(crate) fn hold(
        &self,
        constraint: Option<&Constraint>,
        tools: Option<(&ToolUse, CallStyle)>,
    ) -> Result<Option<Held>, Refusal> {
        let Some(form) = Form::of(constraint, tools)? else { return Ok(None) };
        let refused = |problem: String| Refusal { of_tools: tools.is_some(), problem: first_line(&problem) };
        let key = form.key();
        if let Some(held) = self.kept(&key) {
            return Ok(Some(held));
        }
        let shield = tools.and_then(|(wanted, style)| match (&wanted.choice, style) {
            (ToolChoice::Required | ToolChoice::Named(_), _) => Some(""),
            (ToolChoice::Auto, CallStyle::Tagged) => Some(style.opening()),
            (ToolChoice::Auto, CallStyle::Bare) | (ToolChoice::None, _) => None,
        });
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = self.ready.get_or_init(|| Ready::new(&self.vocabulary)).as_ref();
        let ready = ready.map_err(|problem| refused(problem.clone()))?;
        let parser = ready.factory.create_parser(form.grammar()).map_err(|e| refused(e.to_string()))?;
        let held = Held::begin(Matcher::new(Ok(parser)), ready.maker.clone(), shield).map_err(refused)?;
        drop(turn);
        self.keep(key, &held);
        Ok(Some(held))
    }

    fn kept(&self, key: &str) -> Option<Held> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, _)| other == key)?;
        let found = kept.remove(at)?;
        let held = found.1.fork();
        kept.push_front(found);
        held
    }

    fn keep(&self, key: String, held: &Held) {
        let Some(held) = held.fork().filter(|_| key.len() <= KEPT_TEXT) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((key, held));
        while kept.len() > KEPT || kept.iter().map(|(key, _)| key.len()).sum::<usize>() > KEPT_TEXT {
            kept.pop_back();
        }
    }
}

impl Ready {
    fn new(vocabulary: &Arc<Vocabulary>) -> Result<Self, String> {
        let tokens: TokEnv = Arc::new(Tokens::new(Arc::clone(vocabulary)));
        let slices = SlicedBiasComputer::general_slices();
        let factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices);
        let mut factory = factory.map_err(|e| e.to_string())?;
        factory.quiet();
        let limits = factory.limits_mut();
        // The state of the parser is none of the caller's business, and long.
        limits.verbose_errors = false;
        // Half of the usual: a mask takes milliseconds at the very most.
        limits.step_lexer_fuel = 100_000;
        limits.step_max_items = 25_000;
        limits.max_lexer_states = 50_000;
        Ok(Self { factory, maker: Maker::start()? })
    }
}

/// The model's tokens as the compiler sees them.
struct Tokens {
    vocabulary: Arc<Vocabulary>,
    tree: TokTrie,
    canonical: bool,
}

impl Tokens {
    fn new(vocabulary: Arc<Vocabulary>) -> Self {
        let count = vocabulary.len() as u32;
        let spelled = (0..count).map(|token| match vocabulary.bytes(token) {
            // A control token is no text, and no form asks for one.
            [] => std::iter::once(CONTROL).chain(vocabulary.show(token).bytes()).collect(),
            bytes => bytes.to_vec(),
        });
        let words: Vec<Vec<u8>> = spelled.collect();
        let ends: Vec<TokenId> = (0..count).filter(|token| vocabulary.is_ending(*token)).collect();
        let info = TokRxInfo::new(count, ends.first().copied().unwrap_or(llguidance::toktrie::INVALID_TOKEN));
        let mut tree = TokTrie::from(&info, &words);
        if !ends.is_empty() {
            tree = tree.with_eos_tokens(&ends);
        }
        let canonical = spells_back(&vocabulary);
        Self { vocabulary, tree, canonical }
    }
}

/// Whether text comes back from its tokens byte for byte: only then can words that a form prescribes be put into tokens
/// as the model would have them.
fn spells_back(vocabulary: &Vocabulary) -> bool {
    ["{\"name\": \"", " a", "a", "\n{", "true,", "}\n</tool_call>"].iter().all(|text| {
        let tokens = vocabulary.encode_plain(text).unwrap_or_default();
        tokens.iter().flat_map(|token| vocabulary.bytes(*token)).eq(text.as_bytes())
    })
}

impl TokenizerEnv for Tokens {
    fn tok_trie(&self) -> &TokTrie {
        &self.tree
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.tree.tokenize_with_greedy_fallback(bytes, |text| {
            self.vocabulary.encode_plain(text).unwrap_or_else(|_| self.tree.greedy_tokenize(text.as_bytes()))
        })
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}

/// The compiler's own words, without the state that it adds, and without advice that callers cannot follow.
fn first_line(problem: &str) -> String {
    let line = problem.lines().find(|line| !line.trim().is_empty()).unwrap_or("it cannot be kept").trim();
    let line = line.split_once("failed to compile JSON schema: ").map_or(line, |(_, what)| what);
    let mut line = if let Some(keys) = line.strip_prefix("Unimplemented keys: ") {
        format!("an answer cannot be held to the keywords {keys}: leave them out")
    } else if line.starts_with("oneOf constraints") {
        "an answer can be held to oneOf only where no two of its branches can both apply: use anyOf".to_owned()
    } else {
        line.to_owned()
    };
    if line.len() > 300 {
        let end = (0..=300).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}
