//! Which blocks of a page are to be run, and the commands in them. Knows Markdown, and runs nothing.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A block to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// What is typed, in order. What a comment `first:` says comes before the rest.
    pub commands: Vec<Command>,
    /// Shell lines for when the page is through.
    pub afterwards: Vec<String>,
}

/// A command, and what the page shows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Its line in the page.
    pub line: usize,
    /// What is typed at the shell's prompt; several lines where it has several.
    pub text: String,
    /// What is typed at its own prompts.
    pub typed: String,
    /// What the page shows of its output; empty where it shows nothing.
    pub shown: String,
    /// It goes on until Ctrl-C, pressed once what is shown was said.
    pub interrupted: bool,
}

/// What shells are called on fences.
const SHELLS: [&str; 5] = ["console", "sh", "bash", "shell", "shell-session"];

/// The blocks that are to be run, or each mistake, with its line.
pub fn blocks(page: &str) -> Result<Vec<Block>, Vec<String>> {
    let mut reader = Reader { page, ..Reader::default() };
    for (event, place) in Parser::new(page).into_offset_iter() {
        reader.read(event, place.start);
    }
    if reader.mistakes.is_empty() { Ok(reader.blocks) } else { Err(reader.mistakes) }
}

#[derive(Default)]
struct Reader<'a> {
    page: &'a str,
    /// Those directly before what comes next.
    comments: String,
    /// The line of the fence and what it says, while in a block.
    code: Option<(usize, String)>,
    text: String,
    blocks: Vec<Block>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    fn read(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Html(html) => self.comments.push_str(&html),
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let line = self.page.get(..at).unwrap_or_default().matches('\n').count() + 1;
                self.code = Some((line, language));
                self.text.clear();
            }
            Event::Text(text) if self.code.is_some() => self.text.push_str(&text),
            Event::End(TagEnd::CodeBlock) => self.end_of_block(),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            _ => self.comments.clear(),
        }
    }

    fn end_of_block(&mut self) {
        let (line, language) = self.code.take().unwrap_or_default();
        let comments = std::mem::take(&mut self.comments);
        let comments = Comments::of(&comments);
        let mut mistake = |what: &str| self.mistakes.push(format!("line {line}: {what}"));
        let is_shell = SHELLS.contains(&language.as_str());
        if !is_shell {
            let prompts: &[&str] = if language.is_empty() { &["$ ", "# "] } else { &["$ "] };
            if self.text.lines().any(|text| prompts.iter().any(|prompt| text.starts_with(prompt))) {
                mistake("a block with `$ ` or `# ` that is not called `console`");
            }
        } else if comments.not_run == Some("") {
            mistake("`not run:` without a reason");
        } else if comments.not_run.is_none() {
            let commands = match language.as_str() {
                "console" | "shell-session" => session(&self.text, line + 1),
                _ => vec![Command { line: line + 1, text: self.text.clone(), ..Command::default() }],
            };
            if commands.is_empty() {
                mistake("a `console` block whose first line does not begin with `$ ` or `# `");
            }
            self.blocks.push(comments.around(line, commands));
        }
    }
}

/// What the comments directly before a block say of it.
#[derive(Default)]
struct Comments<'a> {
    not_run: Option<&'a str>,
    first: Vec<&'a str>,
    afterwards: Vec<&'a str>,
}

impl<'a> Comments<'a> {
    fn of(html: &'a str) -> Self {
        let mut comments = Self::default();
        for comment in html.split("<!--").filter_map(|rest| Some(rest.split_once("-->")?.0.trim())) {
            match comment.split_once(':') {
                Some(("not run", why)) => comments.not_run = Some(why.trim()),
                Some(("first", lines)) => comments.first.push(lines.trim()),
                Some(("afterwards", lines)) => comments.afterwards.push(lines.trim()),
                _ => {}
            }
        }
        comments
    }

    fn around(&self, line: usize, commands: Vec<Command>) -> Block {
        let first = self.first.iter();
        let first = first.map(|text| Command { line, text: (*text).to_owned(), ..Command::default() });
        Block {
            commands: first.chain(commands).collect(),
            afterwards: self.afterwards.iter().map(|lines| (*lines).to_owned()).collect(),
        }
    }
}

/// What a terminal shows, taken apart. Empty where it does not begin with a prompt, `$ ` or, as root, `# `.
fn session(text: &str, first_line: usize) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut goes_on = false;
    let prompt = if text.starts_with("# ") { "# " } else { "$ " };
    for (number, line) in text.lines().enumerate() {
        if let Some(text) = line.strip_prefix(prompt) {
            let text = text.to_owned();
            goes_on = text.ends_with('\\');
            commands.push(Command { line: first_line + number, text, ..Command::default() });
            continue;
        }
        let Some(command) = commands.last_mut() else { return Vec::new() };
        let quoted = line.strip_prefix("> ").filter(|_| command.shown.is_empty());
        if goes_on || quoted.is_some() {
            let more = quoted.unwrap_or(line);
            command.text = format!("{}\n{more}", command.text);
            goes_on = more.ends_with('\\');
        } else {
            command.show(line);
        }
    }
    commands
}

impl Command {
    fn show(&mut self, line: &str) {
        if line == "^C" {
            self.interrupted = true;
        } else if let Some(typed) = self.prompted(line) {
            self.typed = format!("{}{typed}\n", self.typed);
        } else {
            self.shown = format!("{}{line}\n", self.shown);
        }
    }

    /// What stands behind a prompt of psql, or of a root's shell over ssh.
    fn prompted<'a>(&self, line: &'a str) -> Option<&'a str> {
        let prompt = if self.text.starts_with("ssh ") { "#" } else { "postgres=#" };
        Some(line.strip_prefix(prompt)?.trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_run_or_says_why_not() {
        let page = "<!-- not run: needs a second machine -->\n```console\n$ ssh other\n```\n\ntext\n\n```console\n$ true\n```\n";
        let found = blocks(page).expect("no mistake");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].commands[0], Command { line: 9, text: "true".into(), ..Command::default() });
    }

    #[test]
    fn a_mark_belongs_to_the_block_directly_after_it() {
        let page = "<!-- not run: no -->\n\ntext\n\n```sh\necho\n```\n";
        assert_eq!(blocks(page).expect("no mistake").len(), 1);
    }

    #[test]
    fn neither_run_nor_marked_is_a_mistake() {
        for (page, line, what) in [
            ("a\n\n```\n$ true\n```\n", 3, "not called `console`"),
            ("```text\n$ true\n```\n", 1, "not called `console`"),
            ("    $ true\n", 1, "not called `console`"),
            ("```console\ntrue\n```\n", 1, "does not begin with `$ `"),
            ("<!-- not run: -->\n```sh\ntrue\n```\n", 2, "without a reason"),
        ] {
            let mistakes = blocks(page).expect_err(page);
            assert_eq!(mistakes.len(), 1, "{page}: {mistakes:?}");
            assert!(mistakes[0].starts_with(&format!("line {line}: ")), "{page}: {mistakes:?}");
            assert!(mistakes[0].contains(what), "{page}: {mistakes:?}");
        }
    }

    #[test]
    fn root_has_another_prompt() {
        let found = blocks("```console\n# id\n0\n# who\n```\n").expect("no mistake");
        let texts: Vec<_> = found[0].commands.iter().map(|command| command.text.as_str()).collect();
        assert_eq!(texts, ["id", "who"]);
    }

    #[test]
    fn a_session_is_taken_apart() {
        let page = "<!-- first: alias a=b -->\n<!-- afterwards: rm x -->\n```console\n$ cat \\\n    x\ny\n$ psql\npostgres=# select 1;\n 1\n$ tail -f x\n…\n^C\n$ cat <<'EOF'\n> a\n> EOF\na\n```\n";
        let found = blocks(page).expect("no mistake").remove(0);
        let texts: Vec<_> = found.commands.iter().map(|command| command.text.as_str()).collect();
        assert_eq!(texts, ["alias a=b", "cat \\\n    x", "psql", "tail -f x", "cat <<'EOF'\na\nEOF"]);
        assert_eq!(found.commands[1].shown, "y\n");
        assert_eq!(
            (found.commands[2].typed.as_str(), found.commands[2].shown.as_str()),
            ("select 1;\n", " 1\n")
        );
        assert!(found.commands[3].interrupted);
        assert_eq!(found.afterwards, ["rm x"]);
    }
}
