//! `tidegate chat`: a conversation in the terminal, streamed from a route of a running gateway. Owns the reading of lines
//! and the look; the conversation is in `session`, the stream's form in `stream`.

pub(super) mod gateway;
mod session;
mod stream;

use crate::pull::web::Web;
use crate::terminal::{Style, harmless};
use clap::Args;
use gateway::{Answer, Gateway};
use session::{Input, Session};
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::Arc;
use tidegate_core::Secret;
use tokio::sync::mpsc;

/// The arguments of `chat`.
#[derive(Debug, Args)]
#[command(after_help = "\
In the chat: /system TEXT sets the system prompt, /reset forgets the conversation, /quit or the end of input leaves.
Ctrl-C stops an answer; at the prompt it leaves. Standard input may be a pipe: then each line is a message.

Examples:
  tidegate chat
  tidegate chat support --url https://gateway.example
  echo 'Why is the sky blue?' | tidegate chat smollm2")]
pub(super) struct ChatArguments {
    /// The route; the gateway's first where none is given
    route: Option<String>,
    /// Where the gateway listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The key to call with; better given by TIDEGATE_API_KEY, as others can see a program's arguments
    #[arg(long, value_parser = secret)]
    key: Option<Secret>,
    /// The system prompt
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The most tokens of an answer
    #[arg(long, value_name = "COUNT")]
    max_tokens: Option<u32>,
}

/// What there is to know of the terminal.
#[derive(Debug, Clone, Copy)]
struct Look {
    style: Style,
    /// Somebody types: prompts and figures are shown.
    interactive: bool,
    /// What is printed is seen by a terminal, which control characters could drive.
    screen: bool,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

impl ChatArguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let from_environment = || {
            std::env::var_os("TIDEGATE_API_KEY").and_then(|key| key.into_string().ok()).filter(|key| !key.is_empty())
        };
        let key = self.key.or_else(|| from_environment().map(Secret::new));
        let gateway = Gateway::new(&self.url, key, Arc::new(Web::from_environment())).map_err(super::Wrong)?;
        let route = match self.route {
            Some(route) => route,
            None => gateway.first_route().await?,
        };
        let screen = io::stdout().is_terminal();
        let look = Look { style: Style::stdout(), interactive: screen && io::stdin().is_terminal(), screen };
        let session = Session::new(route, self.system, self.max_tokens);
        let (tell, lines) = mpsc::channel(1);
        // A thread of its own: reading a terminal cannot be cut short, and must not keep the program from ending.
        std::thread::spawn(move || read_lines(&tell));
        talk(&gateway, session, lines, &mut io::stdout(), look).await
    }
}

fn read_lines(tell: &mpsc::Sender<io::Result<String>>) {
    for line in io::stdin().lock().lines() {
        if tell.blocking_send(line).is_err() {
            return;
        }
    }
}

/// The conversation, to its end.
async fn talk(
    gateway: &Gateway,
    mut session: Session,
    mut lines: mpsc::Receiver<io::Result<String>>,
    out: &mut dyn Write,
    look: Look,
) -> anyhow::Result<()> {
    if look.interactive {
        writeln!(out, "{}", look.style.dim(&format!("talking to {}; /help says what else there is", session.route())))?;
    }
    let mut failed = false;
    loop {
        if look.interactive {
            write!(out, "{} ", look.style.bold("you>"))?;
            out.flush()?;
        }
        let line = tokio::select! {
            line = lines.recv() => line.transpose()?,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else {
            if look.interactive {
                writeln!(out)?;
            }
            break;
        };
        match session.take(&line) {
            Input::Nothing => {}
            Input::Quit => break,
            Input::Said(text) => writeln!(out, "{}", look.style.dim(&text))?,
            Input::Ask => failed |= !answer(gateway, &mut session, out, look).await?,
        }
    }
    // A pipe's reader sees the failure by the code; a person has seen it.
    anyhow::ensure!(look.interactive || !failed, "not every message was answered");
    Ok(())
}

/// Streams one answer; whether it came to its end.
async fn answer(gateway: &Gateway, session: &mut Session, out: &mut dyn Write, look: Look) -> anyhow::Result<bool> {
    let mut said = String::new();
    let mut show = |part: &str| {
        said.push_str(part);
        let part = if look.screen { harmless(part) } else { part.into() };
        out.write_all(part.as_bytes()).and_then(|()| out.flush())
    };
    let body = session.body();
    let answer = tokio::select! {
        answer = gateway.ask(&body, &mut show) => answer?,
        _ = tokio::signal::ctrl_c() => Answer::Stopped,
    };
    let broke_a_line = !said.is_empty();
    if broke_a_line {
        writeln!(out)?;
    }
    match answer {
        Answer::Done { tokens, seconds } => {
            session.answered(said);
            if let (true, Some(tokens)) = (look.interactive, tokens) {
                #[expect(clippy::cast_precision_loss, reason = "a count of tokens of one answer")]
                let rate = tokens as f64 / seconds.max(1e-3);
                writeln!(out, "{}", look.style.dim(&format!("{tokens} tokens, {seconds:.1} s, {rate:.0} a second")))?;
            }
            Ok(true)
        }
        Answer::Stopped => {
            session.answered(said);
            writeln!(out, "{}", look.style.warn("stopped"))?;
            Ok(true)
        }
        Answer::Failed(why) => {
            session.unanswered();
            let why = harmless(&why).into_owned();
            // What failed is no part of an answer: a pipe's reader does not see it there.
            if look.interactive {
                writeln!(out, "{} {why}", look.style.bad("failed:"))?;
            } else {
                writeln!(io::stderr(), "failed: {why}")?;
            }
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests;
