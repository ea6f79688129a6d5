//! Measures a repository of many commits and prompts: `scale [folder] [commits] [prompts]`. A folder that holds a
//! repository already is measured as it is. Owns the figures of prompts; they are targets, not tests.

use gix::objs::tree::{Entry, EntryKind};
use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidegate_core::port::prompts::{Prompts, Reach};
use tidegate_core::{PromptLabel, PromptPick, PromptRef};
use tidegate_prompts::{Asked, Author, Body, Draft, Options, PromptStore};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn template(of: usize, turn: usize) -> String {
    let mut text = format!("You answer for team {of}, turn {turn}. Be {{{{ tone }}}} to {{{{ name }}}}.\n");
    while text.len() < 1900 {
        text.push_str("Say what you know, cite where you know it from, and never make an order number up.\n");
    }
    text.push_str("{% for item in items %}- {{ item }}\n{% endfor %}{{ question }}\n");
    text
}

const YAML: &str = "messages:\n- {role: system, file: system.md}\n- {role: user, content: '{{ question }}'}\nvariables:\n  \
    tone: {enum: [kind, terse], default: kind}\n  name: {type: string, maxLength: 200}\n  question: {type: string}\n  \
    items: {type: array, items: {type: string}, default: []}\nparameters: {temperature: 0.2, max_tokens: 300}\n";

fn build(folder: &Path, commits: usize, prompts: usize) -> Result<()> {
    let repository = gix::init_bare(folder)?;
    let yaml = repository.write_blob(YAML)?.detach();
    let mut folders: BTreeMap<String, gix::ObjectId> = BTreeMap::new();
    let mut parent = String::new();
    for turn in 0..commits {
        let of = turn % prompts;
        let blob = |name: &str, oid| Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid };
        let system = repository.write_blob(template(of, turn))?.detach();
        let tree = gix::objs::Tree { entries: vec![blob("prompt.yaml", yaml), blob("system.md", system)] };
        folders.insert(format!("prompt-{of:03}"), repository.write_object(&tree)?.detach());
        let below = |name: &str, oid| Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid };
        let all = gix::objs::Tree { entries: folders.iter().map(|(name, oid)| below(name, *oid)).collect() };
        let root = gix::objs::Tree { entries: vec![below("prompts", repository.write_object(&all)?.detach())] };
        let root = repository.write_object(&root)?.detach();
        let who = format!("Ann <ann@example.com> {} +0000", 1_700_000_000 + turn);
        let text = format!("tree {root}\n{parent}author {who}\ncommitter {who}\n\nturn {turn}\n");
        let commit = gix::objs::CommitRef::from_bytes(text.as_bytes(), gix::hash::Kind::Sha1)?;
        let commit = repository.write_object(gix::objs::Commit::try_from(commit)?)?.detach();
        parent = format!("parent {commit}\n");
        if turn + 1 == commits {
            let branch = repository.head_name()?.ok_or("HEAD names no branch")?;
            let any = gix::refs::transaction::PreviousValue::Any;
            repository.reference(branch.as_ref(), commit, any, "built")?;
        }
    }
    Ok(())
}

/// The middle of some runs, in microseconds.
fn middle(runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    Ok(took[runs / 2])
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("tidegate-scale"), PathBuf::from);
    let commits = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let prompts = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let mut out = std::io::stdout();
    if !folder.exists() {
        let start = Instant::now();
        build(&folder, commits, prompts)?;
        writeln!(out, "built {commits} commits of {prompts} prompts in {:.1} s", start.elapsed().as_secs_f64())?;
    }
    let start = Instant::now();
    let store = PromptStore::open(&folder, Options::default())?;
    writeln!(out, "open, journal as it was   {:>10.1} ms", start.elapsed().as_secs_f64() * 1e3)?;
    let start = Instant::now();
    let store = {
        drop(store);
        PromptStore::open(&folder, Options::default())?
    };
    writeln!(out, "open again                {:>10.1} ms", start.elapsed().as_secs_f64() * 1e3)?;

    let by = Author::new("Ann", "ann@example.com");
    let list = middle(21, || {
        let method = http::Method::GET;
        let asked = Asked { method: &method, segments: &[], query: &[], body: b"", reach: Reach::Afar, by: &by };
        black_box(serde_json::to_vec(&store.answer(&asked).map_err(|fault| fault.to_string())?.1)?);
        Ok(())
    })?;
    writeln!(out, "list                      {:>10.2} ms (must be <= 50)", list / 1e3)?;

    let book = store.book();
    let shas: Vec<PromptRef> = book
        .prompts()
        .flat_map(|entry| {
            entry.versions.iter().take(5).map(|version| format!("{}@{}", entry.name, version.sha).parse())
        })
        .collect::<std::result::Result<_, _>>()?;
    let mut next = shas.iter().cycle();
    let first = middle(shas.len().min(400), || {
        let reference = next.next().ok_or("there are no versions")?;
        black_box(store.ready(reference).map_err(|fault| fault.to_string())?);
        Ok(())
    })?;
    writeln!(out, "a version by sha, first   {:>10.2} ms (must be <= 5)", first / 1e3)?;

    let reference: PromptRef = "prompt-001".parse()?;
    let variables = serde_json::from_str(r#"{"name":"Bo","question":"Where is my order?","items":["a","b","c"]}"#)?;
    let rendered = store.render(&reference, &variables, Reach::Afar).map_err(|fault| fault.to_string())?;
    let bytes: usize = rendered.messages.iter().map(|message| message.content.len()).sum();
    let render = middle(20_001, || {
        black_box(store.render(&reference, &variables, Reach::Afar).map_err(|fault| fault.to_string())?);
        Ok(())
    })?;
    writeln!(out, "render of {bytes} bytes      {render:>10.2} us (must be <= 20)")?;

    let still = middle(101, || store.refresh().map(|_| ()).map_err(Into::into))?;
    writeln!(out, "refresh, nothing changed  {still:>10.2} us")?;
    let draft = Draft::of(Body::Text("Hi {{ name }}".into()));
    let name: tidegate_core::PromptName = "prompt-000".parse()?;
    let write = middle(21, || store.register(&name, &draft, &by, "measured").map(drop).map_err(Into::into))?;
    writeln!(out, "register                  {:>10.2} ms", write / 1e3)?;
    let label: PromptLabel = "production".parse()?;
    let label = middle(21, || {
        store.set_label(&name, &label, &PromptPick::Newest, (&by, "measured"), None).map(drop).map_err(Into::into)
    })?;
    writeln!(out, "set a label               {:>10.2} ms", label / 1e3)?;
    let other = PromptStore::open(&folder, Options::default())?;
    let seen = middle(11, || {
        other.register(&name, &draft, &by, "measured")?;
        store.refresh().map(|_| ()).map_err(Into::into)
    })?;
    writeln!(out, "register and be seen by another {:>4.1} ms", seen / 1e3)?;
    Ok(())
}
