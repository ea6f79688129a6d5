//! Where components are compiled: in a child process with caps, so that one made to compile for ever ends itself and nobody
//! else, and what was compiled is kept. Owns the folder of that, and how this program is called for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tidegate_core::digest::Digest;
use tidegate_host::{Bounds, Cache, Caps, Compiler, Fault, Host, Plugin};

/// The command by which this program compiles.
const COMMAND: &str = "compile-plugin";

/// Compiles components.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// Whether it may call this program, which a test is not.
    calls_us: bool,
    /// Made when the first component comes.
    tools: OnceLock<Option<Tools>>,
}

#[derive(Debug)]
struct Tools {
    compiler: Compiler,
    cache: Cache,
    folder: PathBuf,
}

impl Tools {
    /// Those of this program; `None` where what is compiled could not be kept.
    fn make() -> Option<Self> {
        let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(folder) = folder(&env) else {
            tracing::warn!("there is no folder for compiled plugins: set `XDG_CACHE_HOME` or `HOME`");
            return None;
        };
        match program().and_then(|program| Ok((program, Cache::open(&folder)?))) {
            Ok((program, cache)) => {
                let compiler = Compiler::new(program, vec![COMMAND.into()], Caps::default());
                Some(Self { compiler, cache, folder })
            }
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "compiled plugins cannot be kept: they are compiled in this process");
                None
            }
        }
    }
}

impl Workshop {
    /// That of this program: `${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/plugins` keeps what it made. Where there is no such
    /// folder, components are compiled in this process.
    pub(crate) const fn of_this_program() -> Self {
        Self { calls_us: true, tools: OnceLock::new() }
    }

    fn tools(&self) -> Option<&Tools> {
        self.tools.get_or_init(|| self.calls_us.then(Tools::make).flatten()).as_ref()
    }

    /// Loads a component, with what was compiled of it before.
    pub(crate) fn load(&self, host: &Host, bytes: &[u8], sha256: Digest, bounds: Bounds) -> Result<Plugin, Fault> {
        match self.tools() {
            Some(tools) => host.load_cached(bytes, sha256, bounds, &tools.cache, Some(&tools.compiler)),
            None => host.load(bytes, bounds),
        }
    }

    /// Loads a component of which nothing shall be kept.
    pub(super) fn try_out(&self, host: &Host, bytes: &[u8], bounds: Bounds) -> Result<Plugin, Fault> {
        let Some(tools) = self.tools() else { return host.load(bytes, bounds) };
        let folder = tools.folder.join(format!("trial-{}", std::process::id()));
        let tried = match Cache::open(&folder) {
            Ok(cache) => host.load_cached(bytes, Digest::of(bytes), bounds, &cache, Some(&tools.compiler)),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "a trial compiles in this process");
                host.load(bytes, bounds)
            }
        };
        // There may be none.
        std::fs::remove_dir_all(&folder).unwrap_or_default();
        tried
    }
}

/// This program's own file; on Linux also where another one lies in its place by now.
fn program() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_owned()) } else { std::env::current_exe() }
}

fn folder(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let base = env("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(env("HOME")?).join(".cache")))?;
    Some(base.join("tidegate").join("plugins"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            folder(&move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value)))
        };
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(), PathBuf::from("/x/tidegate/plugins"));
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), PathBuf::from("/h/.cache/tidegate/plugins"));
        assert_eq!(with(&[]), None);
    }
}
