//! Texts of documents as texts for models: one line, no markup, no hidden characters, limited.

/// A text on one line, without HTML, links, markup and characters that are not seen.
pub(crate) fn clean(text: &str) -> String {
    let text = without_tags(text);
    let text = without_links(&text);
    let text = text.replace("```", " ").replace("**", "").replace("__", "");
    let mut cleaned = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim().trim_start_matches('#').trim_start_matches("> ");
        // A line of a rule or of a table's head.
        if line.chars().all(|letter| "-=|*: ".contains(letter)) {
            continue;
        }
        for word in line.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
            let word: String = word.chars().filter(|letter| is_seen(*letter)).collect();
            if !word.is_empty() {
                if !cleaned.is_empty() {
                    cleaned.push(' ');
                }
                cleaned.push_str(&word);
            }
        }
    }
    cleaned
}

/// Whether a character is seen as it is: no zero width, no change of direction, no tags of Unicode.
fn is_seen(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter,
            '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
}

fn without_tags(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        kept.push_str(&rest[..open]);
        let tag = &rest[open + 1..];
        let is_tag = tag.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '!');
        if let Some(end) = tag.find('>').filter(|end| is_tag && *end < 400) {
            kept.push(' ');
            rest = &tag[end + 1..];
        } else {
            kept.push('<');
            rest = tag;
        }
    }
    kept.push_str(rest);
    for (entity, letter) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        if kept.contains(entity) {
            kept = kept.replace(entity, letter);
        }
    }
    kept
}

/// `[text](url)` as its text; pictures not at all.
fn without_links(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(middle) = rest.find("](") {
        let (before, after) = (&rest[..middle], &rest[middle + 2..]);
        let (Some(open), Some(end)) = (before.rfind('['), after.find(')')) else {
            kept.push_str(&rest[..middle + 2]);
            rest = after;
            continue;
        };
        if let Some(before) = before[..open].strip_suffix('!') {
            kept.push_str(before);
        } else {
            kept.push_str(&before[..open]);
            kept.push_str(&before[open + 1..]);
        }
        rest = &after[end + 1..];
    }
    kept.push_str(rest);
    kept
}

/// A text of at most `limit` characters, ended at a sentence or a word.
pub(crate) fn clip(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else { return text.to_owned() };
    let head = &text[..end];
    if let Some(sentence) = head.rfind(". ").filter(|at| *at > end / 2) {
        return head[..=sentence].to_owned();
    }
    let shorter = text.char_indices().nth(limit.saturating_sub(1)).map_or(head, |(at, _)| &text[..at]);
    let word = shorter.rfind(' ').filter(|at| *at > end / 2).unwrap_or(shorter.len());
    format!("{}…", shorter[..word].trim_end_matches([',', ' ', ';', ':']))
}

/// The first sentence of a text.
pub(crate) fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |at| &text[..=at])
}

/// A sentence: ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', '…', ':']) { text.to_owned() } else { format!("{text}.") }
}

/// With its first letter in upper case.
pub(crate) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The words of a name, in lower case: `listForRepo`, `list-for-repo` and `ListForREPO` are `list for repo`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (index, letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            continue;
        }
        let before = index.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(index + 1);
        let begins = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase));
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter.to_ascii_lowercase());
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A name as a description, for what has none.
pub(crate) fn described(name: &str) -> String {
    let words = words(name);
    if words.is_empty() { "A value.".to_owned() } else { sentence(&capitalized(&words.join(" "))) }
}
