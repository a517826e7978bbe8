//! Just enough of Rust's syntax to tell code, comments and string literals apart, and to leave out
//! inline test modules.

/// A line of product code.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// One-based.
    pub number: usize,
    /// Without comments; strings are empty.
    pub code: String,
    /// Contents of the string literals that end on this line.
    pub strings: Vec<String>,
}

/// The lines of a file up to its inline test module, which stands last.
pub fn code_lines(text: &str) -> Vec<Line> {
    let text = match text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => &text[..at],
        None => text,
    };
    let mut lexer = Lexer { rest: text, line: Line { number: 1, ..Line::default() }, done: Vec::new() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    lexer.end_line();
    lexer.done
}

struct Lexer<'a> {
    rest: &'a str,
    line: Line,
    done: Vec<Line>,
}

impl Lexer<'_> {
    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        } else if self.rest.starts_with("/*") {
            let end = self.rest.find("*/").map_or(self.rest.len(), |at| at + 2);
            self.skip(end);
        } else if next == '"' {
            let end = string_end(&self.rest[1..]);
            self.string(1, end, 1);
        } else if let Some(hashes) = raw_string(self.rest).filter(|_| !self.in_word()) {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = self.rest[hashes + 2..].find(&close).unwrap();
            self.string(hashes + 2, end, close.len());
        } else if let Some(length) = character(self.rest) {
            self.line.code.push_str("' '");
            self.skip(length);
        } else if next == '\n' {
            self.end_line();
            self.rest = &self.rest[1..];
        } else {
            self.line.code.push(next);
            self.rest = &self.rest[next.len_utf8()..];
        }
    }

    fn in_word(&self) -> bool {
        self.line.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    fn string(&mut self, open: usize, length: usize, close: usize) {
        let content = self.rest[open..open + length].to_owned();
        self.line.code.push_str("\"\"");
        self.skip(open + length + close);
        self.line.strings.push(content);
    }

    /// Leaves text out, but not its line ends.
    fn skip(&mut self, length: usize) {
        for _ in 0..self.rest[..length].matches('\n').count() {
            self.end_line();
        }
        self.rest = &self.rest[length..];
    }

    fn end_line(&mut self) {
        let next = Line { number: self.line.number + 1, ..Line::default() };
        self.done.push(std::mem::replace(&mut self.line, next));
    }
}

/// Where a string that was just opened ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The number of hashes of a raw string that starts here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal that starts here; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    if let Some(escaped) = rest.strip_prefix('\\') {
        return escaped[1..].find('\'').map(|at| at + 4);
    }
    let first = rest.chars().next()?;
    rest[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[test]
fn code_comments_and_strings_are_told_apart() {
    let text = "//! .unwrap()\nlet a = \"SELECT // \\\" x\"; // \"gone\"\nlet b = r#\"raw \"str\"\"#; let c = '\"'; /* x\ny */ d::<'a>();\nlet e = \"two\nlines\"; f('\\'', '\\\\')\n#[cfg(test)]\nmod tests {\n .unwrap() }\n";
    let lines = code_lines(text);
    let code: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
    assert_eq!(
        code,
        ["", "let a = \"\"; ", "let b = \"\"; let c = ' '; ", " d::<'a>();", "let e = \"\"", "; f(' ', ' ')", ""]
    );
    assert_eq!(lines[1].strings, ["SELECT // \\\" x"]);
    assert_eq!(lines[2].strings, ["raw \"str\""]);
    assert_eq!(lines[5].strings, ["two\nlines"]);
    assert_eq!(lines[5].number, 6);
}
