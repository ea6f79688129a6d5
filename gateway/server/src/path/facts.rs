//! What is known of a call when its arm is picked. Owns where each fact stands; what is made of them is pure and in the crate
//! `tidegate-route`.

use crate::path::permit::Admitted;
use http::HeaderMap;
use std::borrow::Cow;
use std::cell::OnceCell;
use tidegate_route::Facts;

/// How many bytes of a text are looked at to see in which language it is.
const BEGINNING: usize = 4096;

/// The facts of a call; texts are taken out of the body when they are asked for.
#[derive(Debug)]
pub(crate) struct CallFacts<'a> {
    admitted: &'a Admitted,
    headers: &'a HeaderMap,
    unix_ms: u64,
    prompt: OnceCell<Cow<'a, str>>,
    user: OnceCell<Option<Cow<'a, str>>>,
}

impl<'a> CallFacts<'a> {
    /// Those of a call that came with these headers at this moment.
    pub(crate) const fn new(admitted: &'a Admitted, headers: &'a HeaderMap, unix_ms: u64) -> Self {
        Self { admitted, headers, unix_ms, prompt: OnceCell::new(), user: OnceCell::new() }
    }
}

impl Facts for CallFacts<'_> {
    fn prompt_bytes(&self) -> usize {
        self.admitted.arrived.scan.prompt_bytes
    }

    fn prompt(&self) -> &str {
        let arrived = &self.admitted.arrived;
        let newest = || arrived.scan.newest.map(|text| text.beginning(&arrived.bytes, BEGINNING)).unwrap_or_default();
        self.prompt.get_or_init(newest)
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    fn key_tag(&self, tag: &str) -> Option<&str> {
        self.admitted.caller.0.tags.get(tag).map(String::as_str)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn tenant(&self) -> &str {
        self.admitted.caller.0.tenant.as_str()
    }

    fn principal(&self) -> &str {
        self.admitted.caller.0.principal.as_str()
    }

    fn user(&self) -> Option<&str> {
        let arrived = &self.admitted.arrived;
        self.user.get_or_init(|| arrived.scan.user_name(&arrived.bytes)).as_deref()
    }

    fn is_stream(&self) -> bool {
        self.admitted.arrived.scan.stream
    }

    fn has_tools(&self) -> bool {
        self.admitted.arrived.scan.has_tools
    }
}
