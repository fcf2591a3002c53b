//! The pages of the documentation, run as their readers would: what stands in `console` and `sh` blocks is typed into one shell
//! a page, in order, beside a fresh daemon, and what a page shows of the answers is compared.
//!
//! How a page is to be written stands in CONTRIBUTING.md.

mod blocks;
mod session;
mod shown;
mod words;

pub use blocks::{Block, Command, blocks};

use crate::Daemon;
use session::Session;
use std::path::Path;
use std::time::Duration;
use words::Words;

/// How long a command may take, and what it shows may be awaited.
const WITHIN: Duration = Duration::from_secs(60);
/// What curl ends with where the answer was an error and it is told to mind that, as it is here. A page may show such an answer.
const REFUSED: i32 = 22;

/// Runs every block of the page that is not marked, and fails where a command does, or says something else than the page.
pub fn run(page: &Path) {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let blocks =
        blocks(&text).unwrap_or_else(|mistakes| panic!("{}:\n{}", page.display(), mistakes.join("\n")));
    if blocks.is_empty() {
        return;
    }
    // Dropped last: by then no container stands on what it removes.
    let _afterwards = Afterwards(blocks.iter().flat_map(|block| block.afterwards.clone()).collect());
    let daemon = Daemon::start(&[]);
    let mut session = Session::beside(&daemon);
    let mut words = Words::of(&daemon);
    for command in blocks.iter().flat_map(|block| &block.commands) {
        if let Err(mistake) = step(&mut session, &mut words, command) {
            panic!("{}:{}: {}\n{mistake}", page.display(), command.line, command.text);
        }
    }
}

fn step(session: &mut Session, words: &mut Words, command: &Command) -> Result<(), String> {
    let typed = words.fill(&command.text)?;
    let input = words.fill(&command.typed)?;
    let shown = words.shown(&command.shown);
    let enough = |output: &str| command.interrupted && shown.find(output).is_some();
    let ran = session.run(&typed, &input, WITHIN, enough)?;
    let said = |what: &str| format!("{what}\nit was run as: {typed}\nit said:\n{}", ran.output);
    let is_told = ran.status == REFUSED && command.shown.chars().any(char::is_alphanumeric);
    if !command.interrupted && ran.status != 0 && !is_told {
        return Err(said(&format!("it ended with {}", ran.status)));
    }
    let found = shown.find(&ran.output);
    words.learn(found.ok_or_else(|| said(&format!("the page shows:\n{}", command.shown)))?)
}

/// Shell lines that take away what a page made beside containers.
struct Afterwards(Vec<String>);

impl Drop for Afterwards {
    fn drop(&mut self) {
        for line in &self.0 {
            let done = std::process::Command::new("sh").args(["-c", line]).output();
            if !done.as_ref().is_ok_and(|output| output.status.success()) {
                eprintln!("afterwards, {line}: {done:?}");
            }
        }
    }
}
