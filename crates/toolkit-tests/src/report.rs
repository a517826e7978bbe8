//! The result of a test, as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use switchboard_catalog::Scheme;

use super::provider::{SharedProvider, lock};

/// The result of a test. Generated values and secrets are replaced by their names.
#[derive(Debug)]
pub struct Report {
    toolkit: String,
    scheme: Scheme,
    steps: Vec<Step>,
    /// The steps that succeeded, as text.
    outcome: Vec<String>,
    /// The result of the tool, if one was called.
    result: Option<Value>,
    /// The first failure.
    failure: Option<String>,
    other_schemes: Vec<&'static str>,
}

/// One request and its response.
#[derive(Debug)]
struct Step {
    title: String,
    request: String,
    status: u16,
    response: String,
    notes: Vec<String>,
}

impl Report {
    pub(super) fn new(provider: &SharedProvider, outcome: Vec<String>, result: anyhow::Result<Option<Value>>) -> Self {
        let mut provider = lock(provider);
        let substitutions = provider.values.substitutions().clone();
        let steps = provider.exchanges.iter().map(|exchange| Step {
            title: exchange.title.clone(),
            request: exchange.request(&substitutions),
            status: exchange.status,
            response: exchange.response(&substitutions),
            notes: exchange.notes(&substitutions),
        });
        let scheme = provider.scheme;
        let (result, failure) = match result {
            Ok(result) => (result, None),
            Err(error) => (None, Some(substitutions.apply(&format!("{error:#}")))),
        };
        let other_schemes = provider.toolkit.schemes().into_iter().filter(|other| *other != scheme);
        Self {
            toolkit: provider.toolkit.slug.clone(),
            scheme,
            steps: steps.collect(),
            outcome,
            result,
            failure,
            other_schemes: other_schemes.map(Scheme::as_str).collect(),
        }
    }

    /// Whether all steps succeeded.
    pub fn is_success(&self) -> bool {
        self.failure.is_none()
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "title": step.title,
                "request": step.request,
                "status": step.status,
                "answer": step.response,
                "notes": step.notes,
            })
        });
        let steps: Vec<Value> = steps.collect();
        let mut report = json!({
            "toolkit": self.toolkit, "scheme": self.scheme, "ok": self.is_success(),
            "steps": steps, "outcome": self.outcome, "failure": self.failure,
        });
        if let Some(result) = &self.result {
            report["result"] = result.clone();
        }
        report
    }

    /// The report as text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (slug, scheme) = (&self.toolkit, self.scheme);
        writeln!(text, "{slug}, {scheme}: a provider that is played as the file says; all values are made up")?;
        for (number, step) in self.steps.iter().enumerate() {
            write!(text, "\n── {}. {} ──\n{}", number + 1, step.title, step.request)?;
            for note in &step.notes {
                writeln!(text, "({note})")?;
            }
            writeln!(text, "→ {}\n{}", step.status, step.response)?;
        }
        writeln!(text)?;
        for line in &self.outcome {
            writeln!(text, "{line}")?;
        }
        if let Some(result) = &self.result {
            writeln!(text, "returned {result:#}")?;
        }
        if let Some(failure) = &self.failure {
            writeln!(text, "failed: {failure}")?;
        }
        if !self.other_schemes.is_empty() {
            writeln!(text, "other schemes, with --scheme: {}", self.other_schemes.join(", "))?;
        }
        Ok(())
    }
}
