//! The prompts that lie in this repository as examples are good ones: each compiles, and renders with the variables of
//! each of its cases.

use std::path::Path;
use tidegate_prompts::{Folder, Prompt};

#[test]
fn each_example_compiles_and_renders() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../prompts");
    let mut seen = 0;
    for entry in std::fs::read_dir(root).unwrap() {
        let folder = entry.unwrap().path();
        let files = std::fs::read_dir(&folder).unwrap().map(|file| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap())
        });
        let prompt = Prompt::compile(&Folder::of(files)).unwrap();
        assert!(!prompt.source().tests.is_empty(), "{} has no cases", folder.display());
        for case in &prompt.source().tests {
            let rendered = prompt.render(&case.variables).unwrap();
            assert!(!rendered.messages.is_empty());
        }
        seen += 1;
    }
    assert!(seen > 0);
}
