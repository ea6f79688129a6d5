//! Hostile and good evaluators as core modules of text, made components by the very step that authors use. Owns the core
//! signatures of the world drift; each test says what its functions do. The tests of the program have this file too.

use std::path::{Path, PathBuf};
use wit_parser::Resolve;

/// What a module of the world drift does, as text of WebAssembly. Where nothing is said it does well.
#[derive(Clone, Copy)]
pub(crate) struct Core {
    /// Imports, which stand first.
    pub(crate) imports: &'static str,
    /// More functions, data, a start.
    pub(crate) more: &'static str,
    /// The memory.
    pub(crate) memory: &'static str,
    /// The body of `describe`.
    pub(crate) describe: &'static str,
    /// The body of `configure`.
    pub(crate) configure: &'static str,
    /// The body of `evaluate`; its parameter 8 is the number of rows of the reference.
    pub(crate) evaluate: &'static str,
}

impl Default for Core {
    fn default() -> Self {
        Self {
            imports: "",
            more: "",
            memory: "(memory (export \"memory\") 2)",
            describe: "(i32.const 64)",
            configure: "(i32.const 96)",
            evaluate: GOOD,
        }
    }
}

/// One measurement `rows` that is the number of rows of the reference.
pub(crate) const GOOD: &str = "(f64.store (i32.const 264) (f64.convert_i32_u (local.get 8))) (i32.const 128)";

impl Core {
    /// As a component.
    pub(crate) fn component(self) -> Vec<u8> {
        component("drift-plugin", &self.text())
    }

    /// As text of a core module. The static data: at 0 texts, at 64 what `describe` points to (three texts), at 96 an `ok`
    /// of `configure`, at 128 an `ok` of `evaluate`, at 256 its measurement.
    pub(crate) fn text(self) -> String {
        let Self { imports, more, memory, describe, configure, evaluate } = self;
        let text_at = |at: u32, length: u32| {
            let bytes = [at.to_le_bytes(), length.to_le_bytes()].concat();
            bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>()
        };
        let described = [text_at(0, 4), text_at(8, 5), text_at(16, 2)].concat();
        let report = text_at(256, 1);
        let name = text_at(24, 4);
        format!(
            r#"(module
              {imports}
              {memory}
              (global $next (mut i32) (i32.const 1024))
              (data (i32.const 0) "made") (data (i32.const 8) "1.2.3") (data (i32.const 16) "{{}}") (data (i32.const 24) "rows")
              (data (i32.const 64) "{described}")
              (data (i32.const 132) "{report}")
              (data (i32.const 256) "{name}")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (block $fits
                  (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                  (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
                (local.get $at))
              {more}
              (func (export "tidegate:plugin/lifecycle@0.1.0#describe") (result i32) {describe})
              (func (export "tidegate:plugin/lifecycle@0.1.0#configure") (param i32 i32) (result i32) {configure})
              (func (export "tidegate:plugin/drift@0.1.0#evaluate")
                (param i32 i32 i32 i32 i32 i32 i64 i64 i32 i32 i32 i32 i32 i32) (result i32) {evaluate}))"#
        )
    }
}

/// A core module with the metadata of one of our worlds, as wit-bindgen leaves it.
pub(crate) fn module(world: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    with_metadata(&resolve, package, world, text)
}

/// A core module with the metadata of this world.
pub(crate) fn with_metadata(resolve: &Resolve, package: wit_parser::PackageId, world: &str, text: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    wit_component::embed_component_metadata(&mut module, resolve, world, wit_component::StringEncoding::UTF8, false)
        .unwrap();
    module
}

/// A component of one of our worlds.
pub(crate) fn component(world: &str, text: &str) -> Vec<u8> {
    tidegate_host::pack(&module(world, text)).unwrap()
}

/// The contract, above the package whose test this is.
fn wit() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join("wit")).find(|folder| folder.is_dir()).unwrap()
}
