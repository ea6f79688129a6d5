//! A remote repository, fetched into a bare one of our own: the branch that is followed and the tags that are labels,
//! nothing else. Owns the fetching; reading it is the store's, as of any other repository. `ssh` is run for ssh, https
//! goes by `https`, and nothing is ever pushed.

use crate::disk::{inside, lock};
use crate::fault::PromptFault;
use crate::https::{Carrier, Web};
use crate::labels::TAGS;
use crate::refs::{OURS, Reason, shift};
use crate::repository::Repository;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http;
use gix::remote::Connection;
use gix::remote::Direction;
use gix::remote::fetch::{Outcome, Tags};
use gix::url::Scheme;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tidegate_core::Clock;

/// Never asks a question, and gives a host that is gone up soon.
const SSH: &str = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10";

/// A mirror of a remote repository.
#[derive(Debug)]
pub struct Mirror {
    folder: PathBuf,
    url: gix::Url,
    branch: Option<String>,
    ssh: String,
    web: Option<Web>,
    clock: Arc<dyn Clock>,
}

impl Mirror {
    /// The branch of a mirror that holds what the remote's branch, or its `HEAD`, was: its store is opened with it.
    pub const BRANCH: &str = "followed";

    /// A mirror in `folder`, made where it is missing, of the repository at `url`; `identity` is the file of the key to
    /// use with ssh, `web` the way of https. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the address is not one that can be fetched, or the folder cannot be made.
    pub fn open(
        folder: &Path,
        url: &str,
        branch: Option<&str>,
        identity: Option<&Path>,
        web: Option<Web>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PromptFault> {
        let wrong = |why: &str| PromptFault::invalid("repository", why);
        let url = gix::url::parse(url).map_err(|e| wrong(&format!("is no address of a repository: {e}")))?;
        match url.scheme {
            Scheme::Ssh | Scheme::File => {}
            Scheme::Https | Scheme::Http if web.is_some() => {}
            _ => return Err(wrong("is neither an https nor an ssh address")),
        }
        if let Some(branch) = branch {
            tidegate_core::name::check(branch).map_err(|why| PromptFault::invalid("branch", why))?;
        }
        let mut ssh = SSH.to_owned();
        if let Some(identity) = identity {
            let shown =
                identity.to_str().filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)));
            let shown =
                shown.ok_or_else(|| PromptFault::invalid("identity", "is a path of letters, digits and / . _ -"))?;
            ssh.push_str(&format!(" -o IdentitiesOnly=yes -i {shown}"));
        }
        if !folder.join("objects").exists() {
            gix::init_bare(folder).map_err(PromptFault::git("make the mirror"))?;
        }
        Ok(Self { folder: folder.to_owned(), url, branch: branch.map(str::to_owned), ssh, web, clock })
    }

    /// Whether anything was fetched, now or by an earlier run.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        let of = format!("refs/heads/{}", Self::BRANCH);
        Repository::open(&self.folder, "", None)
            .is_ok_and(|it| it.view().target(&of).is_ok_and(|target| target.is_some()))
    }

    /// Fetches, and takes tags away that the remote has no more. Blocks on the network; `stop` ends it.
    ///
    /// # Errors
    /// When the remote cannot be reached or refuses; what was fetched before stays.
    pub fn fetch(&self, stop: &AtomicBool) -> Result<(), PromptFault> {
        let _held = lock(&inside(&self.folder, &format!("{OURS}/fetch.lock"))?)?;
        free(&self.folder);
        let options =
            gix::open::Options::isolated().open_path_as_is(true).with(gix::sec::Trust::Full).config_overrides([
                format!("core.sshCommand={}", self.ssh),
                "core.useReplaceRefs=false".to_owned(),
                "user.name=tidegate".to_owned(),
                "user.email=tidegate@localhost".to_owned(),
                "protocol.ssh.allow=always".to_owned(),
                "protocol.file.allow=always".to_owned(),
            ]);
        let repository = gix::open_opts(&self.folder, options).map_err(PromptFault::git("open the mirror"))?;
        let from = self.branch.as_ref().map_or_else(|| "HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let specs = [format!("+{from}:refs/heads/{}", Self::BRANCH), format!("+{TAGS}*:{TAGS}*")];
        let remote = repository
            .remote_at_without_url_rewrite(self.url.clone())
            .and_then(|remote| {
                remote.with_fetch_tags(Tags::None).with_refspecs(specs.iter().map(String::as_str), Direction::Fetch)
            })
            .map_err(PromptFault::git("name the remote"))?;
        let outcome = match &self.web {
            Some(web) if matches!(self.url.scheme, Scheme::Https | Scheme::Http) => {
                let transport = http::Transport::new_http(Carrier(web.clone()), self.url.clone(), Protocol::V2, false);
                receive(remote.to_connection_with_transport(transport), stop)
            }
            _ => remote.connect(Direction::Fetch).and_then(|connection| receive(connection, stop)),
        }
        .map_err(|e| {
            let why: Vec<String> = e.iter_errors().map(ToString::to_string).collect();
            PromptFault::Git { doing: "fetch the prompts", why: why.join(": ") }
        })?;
        let named =
            outcome.ref_map.mappings.iter().filter_map(|mapping| mapping.local.as_ref().map(ToString::to_string));
        self.prune(&named.collect())
    }

    /// Takes the tags away that are not among `named`.
    fn prune(&self, named: &BTreeSet<String>) -> Result<(), PromptFault> {
        let repository = Repository::open(&self.folder, "", None)?;
        let view = repository.view();
        let mut gone = Vec::new();
        let references = view.git.references().map_err(PromptFault::git("list the tags"))?;
        for reference in references.prefixed(TAGS).map_err(PromptFault::git("list the tags"))?.flatten() {
            let name = reference.name().as_bstr().to_string();
            if !named.contains(&name) {
                gone.push((name, reference.try_id().map(gix::Id::detach)));
            }
        }
        let unix_s = self.clock.unix_ms() / 1000;
        for (name, from) in gone {
            let reason = Reason { who: "tidegate <tidegate@localhost>".into(), unix_s, why: "fetch: gone".into() };
            shift(&view, repository.common(), &name, (from, None), &reason, None)?;
        }
        Ok(())
    }
}

fn receive<T: Transport>(connection: Connection<'_, '_, '_, T>, stop: &AtomicBool) -> gix::Result<Outcome> {
    connection
        // Nobody is asked who we are, no helper of git's is run: we said it, or are nobody.
        .with_credentials(|_| Ok(None))
        .prepare_fetch(gix::progress::Discard, gix::remote::ref_map::Options::default())?
        .receive(gix::progress::Discard, stop)
}

/// Takes the locks away that a killed fetch left: nobody else writes here, and the lock of fetches is held.
fn free(folder: &Path) {
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((at, depth)) = folders.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && depth < 6 && (depth > 0 || name == "refs") {
                folders.push((path, depth + 1));
            } else if !is_folder && path.extension().is_some_and(|end| end == "lock") {
                drop(fs::remove_file(path));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bare, options};
    use crate::{Options, PromptStore};
    use std::process::Command;

    fn open(folder: &Path, url: &str) -> Result<Mirror, PromptFault> {
        Mirror::open(folder, url, None, None, None, options().clock)
    }

    #[test]
    fn addresses_that_would_run_something_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bad in ["ext::sh -c id", "https://example.com/x.git", "git://example.com/x", "--upload-pack=id:x", ""] {
            let opened = open(folder.path(), bad);
            let fetched = opened.and_then(|mirror| mirror.fetch(&AtomicBool::new(false)));
            assert!(fetched.is_err(), "{bad}");
        }
        let evil = Path::new("/key; touch x");
        assert!(Mirror::open(folder.path(), "ssh://h/x", None, Some(evil), None, options().clock).is_err());
    }

    #[test]
    fn a_remote_is_followed_with_its_tags() {
        // A folder is fetched by running git there, so this needs one.
        if Command::new("git").arg("--version").output().is_err() {
            return;
        }
        let (bare, folder) = (Bare::new(), tempfile::tempdir().unwrap());
        let first = bare.push("a", "one");
        bare.point("refs/tags/prompts/a/production", first);
        bare.point("refs/heads/elsewhere", first);
        let mirror = open(folder.path(), &format!("file://{}", bare.path().display())).unwrap();
        let stop = AtomicBool::new(false);
        mirror.fetch(&stop).unwrap();
        let of = Options { branch: Some(Mirror::BRANCH.to_owned()), is_writable: false, ..options() };
        let store = PromptStore::open(folder.path(), of).unwrap();
        let n = |reference: &str| store.book().find(&reference.parse().unwrap()).map(|version| version.n);
        assert_eq!(n("a@production").unwrap(), 1);
        // A forced move of the branch and of the tag, beside a lock that a killed fetch left.
        let other = bare.commit_on(None, &[("prompts/a/prompt.yaml", Some("text: {content: other}\n"))], &[]);
        bare.point(&bare.branch(), other);
        bare.point("refs/tags/prompts/a/production", other);
        fs::write(folder.path().join("refs/heads/followed.lock"), "").unwrap();
        mirror.fetch(&stop).unwrap();
        store.refresh().unwrap();
        assert_eq!((n("a").unwrap(), n("a@production").unwrap(), n("a/1").unwrap()), (2, 2, 1));
        fs::remove_file(bare.path().join("refs/tags/prompts/a/production")).unwrap();
        mirror.fetch(&stop).unwrap();
        store.refresh().unwrap();
        assert!(n("a@production").is_err());
        assert!(!folder.path().join("refs/heads/elsewhere").exists());
    }
}
