//! A server of git over HTTP in front of a repository: its smart protocol by the program `git` itself, for a token. Owns
//! just as much HTTP as a fetch needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Serves a repository on loopback to the end of the test.
pub(crate) struct GitServer {
    address: SocketAddr,
}

impl GitServer {
    /// Serves `repository` to who shows `login`, the encoded `USER:TOKEN` of basic authentication.
    pub(crate) fn start(repository: &Path, login: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let repository = repository.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let repository = repository.clone();
                std::thread::spawn(move || answer(stream, &repository, login));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/prompts.git", self.address)
    }
}

struct Asked {
    line: String,
    login: String,
    protocol: String,
    body: Vec<u8>,
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked { line: String::new(), login: String::new(), protocol: String::new(), body: Vec::new() };
    reader.read_line(&mut asked.line).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "authorization" => asked.login = value.trim_start_matches("Basic ").to_owned(),
            "git-protocol" => asked.protocol = value.to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

fn answer(mut stream: TcpStream, repository: &PathBuf, login: &str) {
    let Some(asked) = read(&stream) else { return };
    let (status, kind, body) = if asked.login != login {
        ("401 Unauthorized", "text/plain", b"who are you?".to_vec())
    } else if asked.line.starts_with("GET /prompts.git/info/refs?service=git-upload-pack ") {
        let refs = upload_pack(repository, &["--http-backend-info-refs"], &asked);
        ("200 OK", "application/x-git-upload-pack-advertisement", refs)
    } else if asked.line.starts_with("POST /prompts.git/git-upload-pack ") {
        ("200 OK", "application/x-git-upload-pack-result", upload_pack(repository, &[], &asked))
    } else {
        ("404 Not Found", "text/plain", Vec::new())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
}

fn upload_pack(repository: &PathBuf, options: &[&str], asked: &Asked) -> Vec<u8> {
    let mut ran = Command::new("git")
        .args(["upload-pack", "--stateless-rpc"])
        .args(options)
        .arg(repository)
        .env("GIT_PROTOCOL", &asked.protocol)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git runs");
    let written = ran.stdin.take().expect("a pipe").write_all(&asked.body);
    let out = ran.wait_with_output().expect("git ends").stdout;
    drop(written);
    out
}
