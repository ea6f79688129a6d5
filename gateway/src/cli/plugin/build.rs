//! `tidegate plugin build`: cargo for wasm32-unknown-unknown, then the component step. Owns which compiler is taken and how
//! cargo is called; what a plugin's folder holds is its author's.

use super::allowed::Allowed;
use super::doing::{described, load, packed, weighed};
use crate::cli::{Wrong, print};
use anyhow::Context as _;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";

/// What to do where no compiler has the target.
const HOW: &str = "\
no compiler for wasm32-unknown-unknown is here. Either

  rustup target add wasm32-unknown-unknown

or, where rustup cannot add targets, on Debian (about 1 GB, nothing is installed):

  mkdir -p ~/.cache/tidegate/rust-web && cd ~/.cache/tidegate/rust-web
  apt-get download rustc-web libstd-rust-web-1.96 libstd-rust-web-dev rust-web-src libllvm22
  for package in *.deb; do dpkg -x \"$package\" tree; done
  printf '%s\\n' '#!/bin/sh' 'D=$(cd \"$(dirname \"$0\")\" && pwd)' \\
    'LD_LIBRARY_PATH=\"$D/tree/usr/lib/x86_64-linux-gnu\" exec \"$D/tree/usr/bin/rustc\" \"$@\"' > rustc-web
  chmod +x rustc-web

which is found there, or by --rustc PATH wherever it is";

/// A compiler that can make the target.
#[derive(Debug, PartialEq, Eq)]
enum Compiler {
    /// The one that cargo takes anyway has the target.
    Installed,
    /// This one has the target.
    Other(PathBuf),
    /// This one has the sources of its standard library, which are built along, in this folder.
    Sources(PathBuf, PathBuf),
}

pub(super) fn build(folder: &Path, rustc: Option<PathBuf>, output: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = folder.canonicalize().map_err(|error| Wrong(format!("{}: {error}", folder.display())))?;
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        let says = format!("{} has no Cargo.toml: `tidegate plugin new` makes a plugin's folder", folder.display());
        return Err(Wrong(says).into());
    }
    let compiler = Compiler::find(rustc)?;
    let (name, core) = compile(&folder, &manifest, &compiler)?;
    let component = output.unwrap_or_else(|| folder.join(format!("{name}.wasm")));
    let bytes = packed(&core, &component)?;
    let (plugin, _) = load(&component, Allowed::default())?;
    print(&format!("{}: {}\n{}", component.display(), weighed(&bytes), described(plugin.about())))
}

impl Compiler {
    /// The one that was named, else the one of this machine, else Debian's where its recipe puts it.
    fn find(named: Option<PathBuf>) -> anyhow::Result<Self> {
        if let Some(rustc) = named {
            let sysroot = sysroot(rustc.as_os_str().to_owned()).ok_or_else(|| {
                Wrong(format!("{} does not say where its sysroot is: it is no rustc", rustc.display()))
            })?;
            let shown = rustc.display().to_string();
            let none = || Wrong(format!("{shown} has neither {TARGET} nor the sources of its standard library"));
            return Ok(Self::of(rustc, &sysroot).ok_or_else(none)?);
        }
        let usual = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if sysroot(usual).is_some_and(|sysroot| has_target(&sysroot)) {
            return Ok(Self::Installed);
        }
        let debians = cache().map(|cache| cache.join("rust-web/rustc-web")).filter(|rustc| rustc.is_file());
        let found = debians.and_then(|rustc| {
            let sysroot = sysroot(rustc.as_os_str().to_owned())?;
            Self::of(rustc, &sysroot)
        });
        Ok(found.ok_or_else(|| Wrong(HOW.to_owned()))?)
    }

    fn of(rustc: PathBuf, sysroot: &Path) -> Option<Self> {
        let sources = sysroot.join("lib/rustlib/src/rust");
        if has_target(sysroot) {
            Some(Self::Other(rustc))
        } else if sources.join("library/std").is_dir() {
            Some(Self::Sources(rustc, sources))
        } else {
            None
        }
    }

    fn prepare(&self, cargo: &mut Command) {
        match self {
            Self::Installed => {}
            Self::Other(rustc) => {
                cargo.env("RUSTC", rustc);
            }
            Self::Sources(rustc, _) => {
                // Building the standard library is not stable, and means the same with the compiler that it belongs to.
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
            }
        }
        if let (Self::Other(_) | Self::Sources(..), Some(linker)) = (self, linker()) {
            cargo.arg("--config").arg(format!("target.{TARGET}.linker={}", quoted(&linker)));
        }
    }

    /// Where the sources of crates lie, and what they are called in messages.
    fn crates(&self) -> Vec<(PathBuf, &'static str)> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        let mut crates: Vec<_> = home.map(|home| (home.join("registry/src"), "/crates")).into_iter().collect();
        if let Self::Sources(_, sources) = self {
            crates.extend(sources.canonicalize().ok().map(|sources| (sources, "/rust")));
            crates.push((sources.clone(), "/rust"));
        }
        crates
    }
}

/// Has a path stand in messages as another.
fn remapped(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

/// Where Tidegate keeps what can be had again.
fn cache() -> Option<PathBuf> {
    let named = std::env::var_os("TIDEGATE_CACHE").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/tidegate")))
}

fn sysroot(rustc: OsString) -> Option<PathBuf> {
    let said = Command::new(rustc).args(["--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8(said.stdout).ok()?;
    (said.status.success() && !path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
}

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

/// rustup's linker, which other compilers lack; without one it is left to cargo.
fn linker() -> Option<PathBuf> {
    let folders = std::fs::read_dir(sysroot("rustc".into())?.join("lib/rustlib")).ok()?;
    let linkers = folders.filter_map(|folder| Some(folder.ok()?.path().join("bin/rust-lld")));
    linkers.into_iter().find(|linker| linker.is_file())
}

/// A path as TOML has it.
fn quoted(path: &Path) -> String {
    Value::String(path.to_string_lossy().into_owned()).to_string()
}

/// Has cargo compile the plugin, and gives its name and its core module back.
fn compile(folder: &Path, manifest: &Path, compiler: &Compiler) -> anyhow::Result<(String, PathBuf)> {
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(manifest).current_dir(folder);
    compiler.prepare(&mut cargo);
    // Paths get into messages of panics: the same ones wherever it is built. The folder's own is for its own crate alone, so
    // that what another plugin needs as well is not built again.
    let flags: Vec<Value> =
        compiler.crates().into_iter().map(|(from, to)| Value::String(remapped(&from, to))).collect();
    cargo.arg("--config").arg(format!("target.{TARGET}.rustflags={}", Value::Array(flags)));
    cargo.arg("--").arg(remapped(folder, "/plugin"));
    let mut running = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be started: https://rustup.rs installs it")?;
    let said = running.stdout.take().context("cargo has no output")?;
    let mut found = None;
    for line in BufReader::new(said).lines() {
        found = core_module(&line?, manifest).or(found);
    }
    anyhow::ensure!(running.wait()?.success(), "cargo could not build {}", folder.display());
    found.ok_or_else(|| {
        let says = format!("{} makes no library: write `crate-type = [\"cdylib\"]` below [lib]", manifest.display());
        Wrong(says).into()
    })
}

/// The name and the core module of a package, where a line of cargo's says that it made one.
fn core_module(line: &str, manifest: &Path) -> Option<(String, PathBuf)> {
    let said: Value = serde_json::from_str(line).ok()?;
    let is_ours = said["reason"] == "compiler-artifact" && said["manifest_path"] == *manifest.to_string_lossy();
    let module = said["filenames"].as_array()?.iter().filter_map(Value::as_str).find(|name| name.ends_with(".wasm"))?;
    let name = said["target"]["name"].as_str()?.replace('_', "-");
    is_ours.then(|| (name, PathBuf::from(module)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_compiler_has_the_target_or_the_sources() {
        let folder = tempfile::tempdir().unwrap();
        let rustc = folder.path().join("rustc");
        let found = || Compiler::of(rustc.clone(), folder.path());
        assert_eq!(found(), None);
        std::fs::create_dir_all(folder.path().join("lib/rustlib/src/rust/library/std")).unwrap();
        let sources = folder.path().join("lib/rustlib/src/rust");
        assert_eq!(found(), Some(Compiler::Sources(rustc.clone(), sources)));
        std::fs::create_dir_all(folder.path().join("lib/rustlib/wasm32-unknown-unknown/lib")).unwrap();
        assert_eq!(found(), Some(Compiler::Other(rustc.clone())));
        assert!(Compiler::find(Some(folder.path().join("none"))).unwrap_err().to_string().contains("no rustc"));
    }

    #[test]
    fn the_core_module_is_the_one_of_the_package() {
        let line = |reason: &str, manifest: &str, file: &str| {
            json!({"reason": reason, "manifest_path": manifest, "target": {"name": "my_plugin"}, "filenames": [file]})
                .to_string()
        };
        let found = |line: &str| core_module(line, Path::new("/a/Cargo.toml"));
        let good = line("compiler-artifact", "/a/Cargo.toml", "/t/my_plugin.wasm");
        assert_eq!(found(&good), Some(("my-plugin".to_owned(), "/t/my_plugin.wasm".into())));
        for other in [
            line("compiler-artifact", "/b/Cargo.toml", "/t/x.wasm"),
            line("build-script-executed", "/a/Cargo.toml", "/t/x.wasm"),
            line("compiler-artifact", "/a/Cargo.toml", "/t/x.rlib"),
            "no JSON".to_owned(),
        ] {
            assert_eq!(found(&other), None, "{other}");
        }
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_plugins() {
        let folder = tempfile::tempdir().unwrap();
        assert!(build(folder.path(), None, None).unwrap_err().to_string().contains("no Cargo.toml"));
        assert!(build(&folder.path().join("none"), None, None).is_err());
    }
}
