//! What is known of a call when its arm is picked. Owns where each fact stands; what is made of them is pure and in the crate
//! `tidegate-route`.

use crate::path::arrive::Arrived;
use http::HeaderMap;
use std::borrow::Cow;
use std::cell::OnceCell;
use tidegate_core::Caller;
use tidegate_route::Facts;

/// How many bytes of a text are looked at to see in which language it is.
const BEGINNING: usize = 4096;

/// The facts of a call; texts are taken out of the body when they are asked for.
#[derive(Debug)]
pub(crate) struct CallFacts<'a> {
    caller: &'a Caller,
    arrived: &'a Arrived,
    headers: &'a HeaderMap,
    unix_ms: u64,
    prompt: OnceCell<Cow<'a, str>>,
    user: OnceCell<Option<Cow<'a, str>>>,
}

impl<'a> CallFacts<'a> {
    /// Those of a call that came with these headers at this moment.
    pub(crate) const fn new(caller: &'a Caller, arrived: &'a Arrived, headers: &'a HeaderMap, unix_ms: u64) -> Self {
        Self { caller, arrived, headers, unix_ms, prompt: OnceCell::new(), user: OnceCell::new() }
    }
}

impl Facts for CallFacts<'_> {
    fn prompt_bytes(&self) -> usize {
        self.arrived.scan.prompt_bytes
    }

    fn prompt(&self) -> &str {
        let arrived = self.arrived;
        let newest = || arrived.scan.newest.map(|text| text.beginning(&arrived.bytes, BEGINNING)).unwrap_or_default();
        self.prompt.get_or_init(newest)
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    fn key_tag(&self, tag: &str) -> Option<&str> {
        self.caller.0.tags.get(tag).map(String::as_str)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn tenant(&self) -> &str {
        self.caller.0.tenant.as_str()
    }

    fn principal(&self) -> &str {
        self.caller.0.principal.as_str()
    }

    fn user(&self) -> Option<&str> {
        let arrived = self.arrived;
        self.user.get_or_init(|| arrived.scan.user_name(&arrived.bytes)).as_deref()
    }

    fn is_stream(&self) -> bool {
        self.arrived.scan.stream
    }

    fn has_tools(&self) -> bool {
        self.arrived.scan.has_tools
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body;
    use bytes::Bytes;
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use tidegate_core::Api;
    use tidegate_core::caller::KeyRecord;
    use tidegate_core::digest::Digest;
    use tidegate_core::spec::feature::FeatureSpec;
    use tidegate_route::Features;

    fn caller() -> Caller {
        Caller(Arc::new(KeyRecord {
            id: "k".parse().unwrap(),
            digest: Digest::of(b"secret"),
            principal: "p".parse().unwrap(),
            tenant: "t".parse().unwrap(),
            roles: BTreeSet::new(),
            routes: None,
            expires: None,
            tags: BTreeMap::from([("tier".to_owned(), "paid".to_owned())]),
        }))
    }

    fn arrived(api: Api, body: &'static str) -> Arrived {
        Arrived {
            api,
            bytes: Bytes::from_static(body.as_bytes()),
            scan: body::scan(api, body.as_bytes()).unwrap(),
            predict: None,
            most: tidegate_core::spec::Priority::High,
        }
    }

    #[test]
    fn a_call_is_known_by_its_key_its_headers_and_what_it_says() {
        let (caller, mut headers) = (caller(), HeaderMap::new());
        headers.insert("x-task", "code".parse().unwrap());
        headers.insert("x-odd", http::HeaderValue::from_bytes(b"\xff").unwrap());
        let call = arrived(Api::ChatCompletions, r#"{"model":"m","messages":[{"role":"user","content":"ping\n"}]}"#);
        let facts = CallFacts::new(&caller, &call, &headers, 7);
        assert_eq!((facts.prompt_bytes(), facts.prompt(), facts.unix_ms()), (6, "ping\n", 7));
        assert_eq!((facts.key_tag("tier"), facts.key_tag("team")), (Some("paid"), None));
        assert_eq!((facts.header("x-task"), facts.header("x-odd"), facts.header("x-none")), (Some("code"), None, None));
    }

    #[test]
    fn ids_of_tokens_have_a_length_and_no_text() {
        let (caller, headers) = (caller(), HeaderMap::new());
        let call = arrived(Api::Embeddings, r#"{"model":"m","input":[1,2,3]}"#);
        let facts = CallFacts::new(&caller, &call, &headers, 0);
        assert_eq!((facts.prompt_bytes(), facts.prompt()), (12, ""));
    }

    #[test]
    fn features_are_made_of_what_a_call_really_brings() {
        let (caller, mut headers) = (caller(), HeaderMap::new());
        headers.insert("x-task", "code".parse().unwrap());
        let body = r#"{"model":"m","messages":[{"role":"system","content":"You are a helpful assistant and you answer in German."},
            {"role":"user","content":"Wie ist das Wetter und was soll ich heute mit der Familie machen? Ich wei\u00df es nicht."}]}"#;
        let call = arrived(Api::ChatCompletions, body);
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let features = Features::new(vec![
            FeatureSpec::Language,
            FeatureSpec::KeyTag { tag: "tier".to_owned(), values: values(&["free", "paid"]) },
            FeatureSpec::Header { name: "x-task".to_owned(), values: values(&["chat", "code"]) },
        ]);
        let vector = features.of(&CallFacts::new(&caller, &call, &headers, 0));
        assert_eq!(vector, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
