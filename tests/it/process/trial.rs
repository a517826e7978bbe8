//! `switchboard toolkit try`: a file with a real provider, as its author sees it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::browser::Browser;
use crate::support::process::{PROGRAM, run};
use crate::support::providers::Provider;

/// A running `toolkit try`, on a free port.
struct Trial {
    child: Child,
    lines: BufReader<ChildStdout>,
    printed: String,
}

impl Trial {
    fn start(command: &mut Command, file: &Path, provider: &Provider) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--client-id", provider.text("client_id"), "--get", "/api/me"]);
        let command = command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, printed: String::new() }
    }

    /// Reads on until a line begins so; the rest of it.
    fn until(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended: {}", self.printed);
            self.printed.push_str(&line);
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Reads to the end; the exit code.
    fn end(&mut self) -> Option<i32> {
        while self.lines.read_line(&mut self.printed).unwrap() > 0 {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["toolkit", "try"]).env_remove("SWITCHBOARD_TRY_CLIENT_SECRET");
    command
}

fn file_of(provider: &Provider, folder: &Path) -> (std::path::PathBuf, String) {
    let urls = ["revocation", "introspection"]
        .map(|name| format!("{name}_url = \"{}\"\n", provider.text(&format!("{name}_endpoint"))));
    let identity = "[identity]\nrequest = { url = \"/api/me\" }\nid = \"/sub\"\n";
    let text = format!("{}\n{}{identity}", provider.issuer_toolkit("helpdesk"), urls.concat());
    let path = folder.join("draft.toml");
    fs::write(&path, &text).unwrap();
    (path, text)
}

/// Nothing that was secret is in what was printed.
async fn expect_no_secret(provider: &Provider, printed: &str) {
    assert!(!printed.contains(provider.text("client_secret")), "{printed}");
    let requests = [provider.token_requests().await, provider.seen("/token/revocation").await].concat();
    let mut hidden = 0;
    for request in &requests {
        for (name, value) in form_urlencoded::parse(request["body"].as_str().unwrap_or_default().as_bytes()) {
            if ["code", "code_verifier", "refresh_token", "token", "client_secret"].contains(&&*name) {
                assert!(!printed.contains(&*value), "{name}: {printed}");
                hidden += 1;
            }
        }
        let credentials = request["headers"]["authorization"].as_str().unwrap_or("Basic nothing");
        assert!(!printed.contains(credentials.split_once(' ').unwrap().1), "{printed}");
    }
    assert!(hidden >= 4, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_tried_with_its_real_provider() {
    let provider = Provider::oidc(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = file_of(&provider, folder.path());
    let mut trial = Trial::start(
        command().arg("--once").env("SWITCHBOARD_TRY_CLIENT_SECRET", provider.text("client_secret")),
        &file,
        &provider,
    );
    let uri = trial.until("Redirect URI");
    assert!(uri.starts_with("http://127.0.0.1:") && uri.ends_with("/toolkits/auth/callback/helpdesk"), "{uri}");
    provider.admit(&uri).await;
    let page = trial.until("Open");
    let landing = Browser::new("alice").follow(&page, |_| false).await;
    assert!(landing.reply.unwrap().text().contains("data-result=\"success\""));
    assert_eq!(trial.end(), Some(0), "{}", trial.printed);
    let printed = &trial.printed;
    for seen in [
        &format!("POST {} ──", provider.text("token_endpoint")),
        "Authorization: Basic <credentials>",
        "grant_type=authorization_code&code=<code>&redirect_uri=http://127.0.0.1:",
        "\"access_token\": \"<access_token>\"",
        "grant_type=refresh_token",
        "\"sub\": \"alice\"",
        "Connected, OAUTH2",
        "\"id\":\"alice\"",
        "Refreshing     works",
        "GET /api/me   answers 200",
        "At the provider  revoked 1, failed 0, not supported 0",
    ] {
        assert!(printed.contains(seen), "{seen}: {printed}");
    }
    expect_no_secret(&provider, printed).await;
}

/// Edit, reload, try: a mistake is said, and its correction begins another round.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_the_file_begins_another_round() {
    let provider = Provider::oidc(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (file, right) = file_of(&provider, folder.path());
    let token = provider.text("token_endpoint");
    fs::write(&file, right.replace(&format!("token_url = \"{token}\""), &format!("token_url = \"{token}/nowhere\"")))
        .unwrap();
    let mut trial = Trial::start(&mut command(), &file, &provider);
    let mut stdin = trial.child.stdin.take().unwrap();
    writeln!(stdin, "{}", provider.text("client_secret")).unwrap();
    let uri = trial.until("Redirect URI");
    provider.admit(&uri).await;
    let page = trial.until("Open");
    Browser::new("alice").follow(&page, |_| false).await;
    trial.until("Not connected");
    trial.until("Edit the file");
    assert!(trial.printed.contains("/nowhere ──") && trial.printed.contains("→ 404"), "{}", trial.printed);

    fs::write(&file, &right).unwrap();
    let page = trial.until("Open");
    Browser::new("alice").follow(&page, |_| false).await;
    trial.until("Connected, OAUTH2");
    trial.until("Edit the file");
    let pid = trial.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(trial.end(), Some(0), "{}", trial.printed);
    expect_no_secret(&provider, &trial.printed).await;
}

#[test]
fn a_trial_that_is_not_possible_is_refused_with_the_reason() {
    for (arguments, says) in [
        (&["toolkit", "try", "github", "--listen", "0.0.0.0:0"][..], "--listen"),
        (&["toolkit", "try", "github", "--scheme", "SAML"], "github has no SAML"),
        (
            &[
                "toolkit",
                "try",
                "github",
                "--listen",
                "127.0.0.1:0",
                "--client-id",
                "x",
                "--client-secret-file",
                "/nowhere",
            ],
            "/nowhere",
        ),
        (&["toolkit", "try", "github", "--client-secret", "x"], "--client-secret"),
    ] {
        let (code, _, said) = run(arguments);
        assert!(code.is_some_and(|code| code != 0) && said.contains(says), "{arguments:?}: {said}");
    }
}
