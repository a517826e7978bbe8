//! `switchboard toolkit lint`: mistakes, which every server rejects, and warnings about incomplete
//! information.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use switchboard_catalog::{BasicScheme, Catalog, FieldText, PlainHttp, Problem, Toolkit};

use super::advice;
use super::source::{FILE_NAME, PlainArgs};
use super::words::{count, today};
use crate::cli::output;

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// Toolkit file, folder of one toolkit, or folder with one sub-folder per toolkit.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Something that works but could be better.
struct Warning {
    slug: String,
    message: String,
}

/// The findings of all paths.
#[derive(Default)]
struct Findings {
    toolkits: usize,
    tools: usize,
    unverified: usize,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

pub(super) fn run(args: &LintArgs) -> Result<()> {
    let mut findings = Findings::default();
    let builtin = Catalog::builtin();
    for path in &args.paths {
        match read(path, args.plain.hosts()?) {
            Ok(catalog) => {
                // A toolkit of the path replaces the built-in one with its slug.
                let is_own = |toolkit: &&Toolkit| catalog.get(&toolkit.slug).is_some();
                let others = builtin.iter().map(AsRef::as_ref).filter(|toolkit| !is_own(toolkit));
                let others: Vec<&Toolkit> = others.chain(catalog.iter().map(AsRef::as_ref)).collect();
                for toolkit in catalog.iter() {
                    findings.add(toolkit, &others, &today());
                }
            }
            Err(problems) => findings.problems.extend(problems),
        }
    }
    if args.json {
        output::line(serde_json::to_string_pretty(&findings.to_json())?)?;
    } else {
        for warning in &findings.warnings {
            output::line(format_args!("warning: {}: {}", warning.slug, warning.message))?;
        }
    }
    if findings.problems.is_empty() {
        if !args.json {
            output::line(findings.summary())?;
        }
        return Ok(());
    }
    if args.json {
        bail!("{}", count(findings.problems.len(), "mistake"));
    }
    let lines: Vec<String> = findings.problems.iter().map(ToString::to_string).collect();
    Err(anyhow!("\n{}", lines.join("\n")))
}

/// The toolkits of one path.
fn read(path: &Path, plain: PlainHttp) -> Result<Catalog, Vec<Problem>> {
    let mut catalog = Catalog::default().allowing(plain);
    let file = path.join(FILE_NAME);
    let read = if !path.is_dir() {
        catalog.load_file(path).map(drop)
    } else if file.exists() {
        catalog.load_file(&file).map(drop)
    } else {
        catalog.load_dir(path).map(drop)
    };
    match read {
        Ok(()) => Ok(catalog),
        Err(error) => Err(error.problems().to_vec()),
    }
}

/// Questions about Basic authentication that a file leaves open.
fn questions(basic: &BasicScheme) -> Vec<String> {
    let says = |text: &Option<FieldText>, words: &[&str]| {
        text.as_ref().filter(|text| text.secret.is_none()).is_some_and(|text| {
            let words_of = format!("{} {}", text.display_name, text.description).to_ascii_lowercase();
            words.iter().any(|word| words_of.contains(word))
        })
    };
    let mut questions = Vec::new();
    if !basic.without_password && says(&basic.username, &["key", "token", "secret"]) {
        questions
            .push("`basic.username`: is the key entered here? Say `secret = true`, or `secret = false`".to_owned());
    }
    if says(&basic.password, &["any text", "anything", "enter x", "not your password", "leave it empty"]) {
        let question = "`basic.password`: is it the same for all users? Set `secret = false`, and say whether the user \
                        name is the key";
        questions.push(question.to_owned());
    }
    questions
}

impl Findings {
    fn add(&mut self, toolkit: &Toolkit, others: &[&Toolkit], today: &str) {
        self.toolkits += 1;
        self.tools += toolkit.tools().len();
        self.unverified += toolkit.unverified.len();
        let mut warn = |message: String| self.warnings.push(Warning { slug: toolkit.slug.clone(), message });
        if toolkit.sources.is_empty() {
            warn("no `sources`: list the pages that the file was checked against".to_owned());
        }
        let schemes = toolkit.schemes();
        if schemes.iter().all(|scheme| toolkit.identity_of(*scheme).is_none()) && toolkit.no_auth.is_none() {
            warn("no `identity`: accounts cannot be told apart".to_owned());
        }
        if let Some(basic) = &toolkit.basic {
            for question in questions(basic) {
                warn(question);
            }
        }
        advice::of(toolkit, others).into_iter().for_each(&mut warn);
        // Dates in this format sort as strings.
        for sunset in toolkit.sunset.iter().filter(|sunset| sunset.date.as_str() < today) {
            warn(format!("the sunset of {} has passed: {}", sunset.date, sunset.message));
        }
    }

    fn summary(&self) -> String {
        format!(
            "{}, {}, no mistakes, {}, {}",
            count(self.toolkits, "toolkit"),
            count(self.tools, "tool"),
            count(self.warnings.len(), "warning"),
            count(self.unverified, "unverified fact"),
        )
    }

    fn to_json(&self) -> serde_json::Value {
        let problem =
            |problem: &Problem| json!({ "file": problem.file, "line": problem.line, "message": problem.message });
        let warning = |warning: &Warning| json!({ "toolkit": warning.slug, "message": warning.message });
        json!({
            "toolkits": self.toolkits,
            "tools": self.tools,
            "unverified": self.unverified,
            "errors": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "warnings": self.warnings.iter().map(warning).collect::<Vec<_>>(),
        })
    }
}
