//! The layout of every page, and HTML escaping.

use std::fmt::{self, Write as _};

/// Text escaped for element content and quoted attributes.
pub(super) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A whole document; `main` is HTML.
pub(super) fn document(title: &str, main: &str) -> String {
    let title = Text(title);
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Sandbox</title>
<link rel="stylesheet" href="/sandbox.css">
</head>
<body>
<header><span class="mark" aria-hidden="true"></span>Sandbox</header>
<main>
{main}
</main>
<footer>Sandbox is a demo provider that runs beside your own server. Nothing in it is real.</footer>
</body>
</html>
"#
    )
}
