//! Hostile and good filters as core modules of text, made components by the very step that authors use. Owns the core
//! signatures of the contract's filters and where their static data lies; each test says what the functions do. The tests of
//! the program have this file too.

use std::path::{Path, PathBuf};
use wit_parser::Resolve;

/// What a filter does, as text of WebAssembly, with a local `$i`; where nothing is said it passes everything.
#[derive(Clone, Copy)]
pub(crate) struct Guest {
    /// The interfaces that it exports.
    pub(crate) exports: &'static [&'static str],
    /// The interfaces of the contract that it may import, beside those of every plugin.
    pub(crate) wants: &'static [&'static str],
    /// Imports of the core module, which stand first.
    pub(crate) imports: &'static str,
    /// More functions, data, a start.
    pub(crate) more: &'static str,
    /// The memory.
    pub(crate) memory: &'static str,
    pub(crate) configure: &'static str,
    /// On a request: parameter 0 points to the context (72 bytes), the headers (72, 76) and the messages (80, 84).
    pub(crate) request: &'static str,
    /// On an answer: parameter 0 points to the context and the choices (72, 76).
    pub(crate) response: &'static str,
    /// At the begin of a stream.
    pub(crate) open: &'static str,
    /// On a delta: parameters are the stream, choice, kind, index, and the text.
    pub(crate) delta: &'static str,
    /// At the end of a choice: the stream, the choice, the reason.
    pub(crate) end: &'static str,
    /// When a stream is dropped.
    pub(crate) dtor: &'static str,
    /// On a text: parameter 0 points to the context, the stage (72) and the text (76, 80).
    pub(crate) check: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            exports: &["request-filter"],
            wants: &["kv"],
            imports: "",
            more: "",
            memory: "(memory (export \"memory\") 2)",
            configure: "(i32.const 96)",
            request: PASS,
            response: PASS,
            open: "(i32.const 320)",
            delta: "(i32.const 256)",
            end: "(i32.const 288)",
            dtor: "",
            check: "(i32.const 192)",
        }
    }
}

/// The `ok` of requests and answers, which passes.
pub(crate) const PASS: &str = "(i32.const 128)";

/// Does something where two messages are given, and passes else.
pub(crate) fn when_two(does: &str) -> &'static str {
    format!("(if (i32.eq (i32.load offset=84 (local.get 0)) (i32.const 2)) (then {does})) {PASS}").leak()
}

const EXPORTED: &str = "tidegate:plugin";

impl Guest {
    /// Of streams.
    pub(crate) fn stream() -> Self {
        Self { exports: &["stream-filter"], ..Self::default() }
    }

    /// A guardrail.
    pub(crate) fn guardrail() -> Self {
        Self { exports: &["guardrail"], ..Self::default() }
    }

    /// As a component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut world = String::from("package made:up; world made { include tidegate:plugin/base@0.1.0;");
        self.wants.iter().for_each(|name| world += &format!(" import {EXPORTED}/{name}@0.1.0;"));
        self.exports.iter().for_each(|name| world += &format!(" export {EXPORTED}/{name}@0.1.0;"));
        world += "}";
        let mut resolve = Resolve::default();
        resolve.push_dir(wit()).unwrap();
        let package = resolve.push_source("made.wit", &world).unwrap();
        let world = resolve.select_world(&[package], Some("made")).unwrap();
        let mut module = wat::parse_str(self.text()).unwrap();
        let utf8 = wit_component::StringEncoding::UTF8;
        wit_component::embed_component_metadata(&mut module, &resolve, world, utf8, false).unwrap();
        tidegate_host::pack(&module).unwrap()
    }

    /// As text of a core module. The static data, zeros where nothing is said: at 0 texts; at 64 what `describe` points to; at
    /// 96 what `configure` gives, at 128 requests and answers (36 bytes), at 192 checks (32), at 256 deltas (28), at 288
    /// ends (20), at 320 opened streams (20: `some` at 324, the handle at 328); at 400 `pii`, at 408 `Leave it out.`; from 512
    /// on what tests put there. What is handed in lies from 4096 on and is forgotten at each call.
    fn text(&self) -> String {
        let Self { imports, more, memory, configure, .. } = self;
        let word = |at: u32, length: u32| {
            let bytes = [at.to_le_bytes(), length.to_le_bytes()].concat();
            bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
        };
        let described = [word(0, 4), word(8, 5), word(16, 2)].concat();
        let has = |name: &str| self.exports.contains(&name);
        let mut functions = String::new();
        let mut function = |interface: &str, name: &str, params: &str, result: &str, body: &str| {
            functions += &format!(
                "(func (export \"{EXPORTED}/{interface}@0.1.0#{name}\") (param {params}) {result} (local $i i32)
                   (global.set $next (i32.const 4096)) {body})\n"
            );
        };
        let gives = "(result i32)";
        if has("request-filter") {
            function("request-filter", "on-request", "i32", gives, self.request);
        }
        if has("response-filter") {
            function("response-filter", "on-response", "i32", gives, self.response);
        }
        let mut resources = String::new();
        if has("stream-filter") {
            let context = "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32";
            function("stream-filter", "[static]answer-stream.open", context, gives, self.open);
            function("stream-filter", "[method]answer-stream.on-delta", "i32 i32 i32 i32 i32 i32", gives, self.delta);
            function("stream-filter", "[method]answer-stream.on-end", "i32 i32 i32 i32", gives, self.end);
            function("stream-filter", "[dtor]answer-stream", "i32", "", self.dtor);
            resources = format!(
                "(import \"[export]{EXPORTED}/stream-filter@0.1.0\" \"[resource-new]answer-stream\"
                   (func $new (param i32) (result i32)))"
            );
        }
        if has("guardrail") {
            function("guardrail", "check", "i32", gives, self.check);
        }
        format!(
            r#"(module
              {imports} {resources}
              {memory}
              (global $next (mut i32) (i32.const 4096))
              (data (i32.const 0) "made") (data (i32.const 8) "1.2.3") (data (i32.const 16) "{{}}")
              (data (i32.const 64) "{described}")
              (data (i32.const 400) "pii") (data (i32.const 408) "Leave it out.")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (block $fits
                  (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                  (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
                (local.get $at))
              {more}
              (func (export "{EXPORTED}/lifecycle@0.1.0#describe") (result i32) (i32.const 64))
              (func (export "{EXPORTED}/lifecycle@0.1.0#configure") (param i32 i32) (result i32) {configure})
              {functions})"#
        )
    }
}

/// The contract, above the package whose test this is.
fn wit() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join("wit")).find(|folder| folder.is_dir()).unwrap()
}
