//! Wrong settings are refused before anything starts, by name, wherever they come from.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::needles::files_under;
use crate::support::http::Http;
use crate::support::process::{PROGRAM, own_address, run};
use crate::support::wait::until;

const ENDED: Duration = Duration::from_secs(5);

/// Runs a command that should end by itself; one that goes on serving is a failure.
pub fn ends(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + ENDED;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("still running: {command:?}\n{}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// `serve` in a folder of its own, with no settings but those of the test.
pub fn serve(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("serve").current_dir(folder).env_remove("SWITCHBOARD_LOG");
    command
}

/// Fails unless the command failed with such a message; what it printed otherwise.
fn complaint(command: &mut Command, says: &str) -> Option<String> {
    let output = ends(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let is_good = !output.status.success() && output.status.code().is_some() && stderr.contains(says);
    (!is_good).then(|| {
        format!("{command:?}\n    should say {says:?}, ended with {:?} and said: {stderr}", output.status.code())
    })
}

/// Setting as it is in a file, as a flag's value, and what its name looks like in a message.
const WRONG: [(&str, &str, &str); 19] = [
    ("listen", "8787", "listen"),
    ("listen", "256.0.0.1:80", "listen"),
    ("public_url", "http://connect.example.com", "public_url"),
    ("public_url", "https://connect.example.com/path", "public_url"),
    ("public_url", "https://user:password@connect.example.com", "public_url"),
    ("public_url", "connect.example.com", "public_url"),
    ("data_dir", "/dev/null/data", "data_dir"),
    ("database_url", "mysql:x", "database_url"),
    ("database_url", "sqlite:", "database_url"),
    ("database_url", "postgres://localhost/x", "database_url"),
    ("master_key_file", "/nowhere/master.key", "master"),
    ("toolkits", "/nowhere/toolkits", "toolkits"),
    ("allow_egress", "10.0.0.0/99", "allow_egress"),
    ("allow_http", "http://gitlab.corp", "allow_http"),
    ("allow_http", "*.corp", "allow_http"),
    ("extra_ca_file", "/nowhere/ca.pem", "extra_ca_file"),
    ("extra_ca_file", "/etc/passwd", "extra_ca_file"),
    ("log", "a=b=c", "log"),
    ("log_format", "xml", "log_format"),
];

#[test]
fn a_wrong_value_is_refused_by_name_as_flag_variable_and_file() {
    let mut wrong = Vec::new();
    for (setting, value, says) in WRONG {
        let folder = tempfile::tempdir().unwrap();
        let flag = format!("--{}", setting.replace('_', "-"));
        wrong.extend(complaint(serve(folder.path()).args([&flag, value]), says));
        let variable = format!("SWITCHBOARD_{}", setting.to_ascii_uppercase());
        wrong.extend(complaint(serve(folder.path()).env(variable, value), says));
        let is_list = ["toolkits", "allow_egress", "allow_http"].contains(&setting);
        let line = if is_list { format!("{setting} = [{value:?}]\n") } else { format!("{setting} = {value:?}\n") };
        std::fs::write(folder.path().join("switchboard.toml"), line).unwrap();
        wrong.extend(complaint(&mut serve(folder.path()), says));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_number_is_refused_by_name() {
    let mut wrong = Vec::new();
    for (setting, value) in [
        ("link_ttl_seconds", "59"),
        ("link_ttl_seconds", "3601"),
        ("link_ttl_seconds", "-1"),
        ("link_ttl_seconds", "ten"),
        ("max_shared_accounts_per_toolkit", "0"),
        ("max_shared_accounts_per_toolkit", "11"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let dashes = setting.replace('_', "-");
        let parses = value.parse::<u64>().is_ok();
        let says = if parses { setting } else { &dashes };
        wrong.extend(complaint(serve(folder.path()).arg(format!("--{dashes}={value}")), says));
        wrong.extend(complaint(
            serve(folder.path()).env(format!("SWITCHBOARD_{}", setting.to_ascii_uppercase()), value),
            says,
        ));
        std::fs::write(folder.path().join("switchboard.toml"), format!("{setting} = {value}\n")).unwrap();
        wrong.extend(complaint(&mut serve(folder.path()), if parses { setting } else { "switchboard.toml:1" }));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_file_is_refused_with_its_line_and_without_its_secrets() {
    let secret = "c4nary-in-the-file";
    let mut wrong = Vec::new();
    for (text, says) in [
        ("log = \"info\"\n\nlisen = \"127.0.0.1:1\"\n", "switchboard.toml:3: unknown field `lisen`"),
        ("log = \"info\"\nlog = \"warn\"\n", "switchboard.toml:2"),
        ("log = info\n", "switchboard.toml:1"),
        ("# a comment\nlink_ttl_seconds = \"600\"\n", "switchboard.toml:2"),
        ("[managed.sandbox]\nclient_id = \"x\"\nprojects = [\"*\"]\n", "managed.sandbox"),
        ("[managed.nothing]\nclient_id = \"x\"\nprojects = [\"*\"]\n", "managed.nothing"),
        ("[managed.github]\nclient_id = \"x\"\nclient_secret = \"c4nary-in-the-file\"\n", "switchboard.toml:1"),
        (
            "[managed.github]\nclient_id = \"x\"\nclient_secret = \"c4nary-in-the-file\"\nclient_secret_file = \"y\"\nprojects = []\n",
            "managed.github",
        ),
        (
            "[managed.github]\nclient_id = \"x\"\nclient_secret = \"c4nary-in-the-file\\n\"\nprojects = []\n",
            "managed.github.client_secret",
        ),
        (
            "[managed.github]\nclient_id = \"\"\nclient_secret = \"c4nary-in-the-file\"\nprojects = []\n",
            "managed.github.client_id",
        ),
        (
            "[managed.github]\nclient_id = \"x\"\nclient_secret_file = \"/nowhere/secret\"\nprojects = []\n",
            "managed.github.client_secret_file",
        ),
        (
            "[managed.github]\nclient_id = 1\nclient_secret = \"c4nary-in-the-file\"\nprojects = []\n",
            "switchboard.toml:2",
        ),
        (
            "[managed.github]\nclient_id = \"x\"\nclient_secret = [\"c4nary-in-the-file\"]\nprojects = []\n",
            "switchboard.toml:3",
        ),
        (
            "[managed.github]\nclient_id = \"x\"\nclient_secret = \"c4nary-in-the-file\"\nprojects = \"c4nary-in-the-file\"\n",
            "switchboard.toml:4",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("switchboard.toml"), text).unwrap();
        wrong.extend(complaint(&mut serve(folder.path()), says));
        let output = ends(&mut serve(folder.path()));
        if String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains(secret) {
            wrong.push(format!("repeats a value of {text:?}"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    wrong.extend(complaint(serve(folder.path()).args(["--config", "nowhere.toml"]), "nowhere.toml"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_public_address_needs_a_public_url() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        assert_eq!(
            complaint(serve(folder.path()).args(["--listen", address]), "setting public_url: is required"),
            None
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(complaint(serve(folder.path()).args(["--listen", &address]), "setting listen: cannot listen"), None);
    assert_eq!(files_under(folder.path()), [], "a server that did not start leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_win_over_variables_and_variables_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (flag, variable, file) = (own_address(), own_address(), own_address());
    std::fs::write(folder.path().join("switchboard.toml"), format!("listen = \"{file}\"\n")).unwrap();
    for (arguments, environment, expected) in
        [(vec!["--listen", &flag], Some(&variable), &flag), (vec![], Some(&variable), &variable), (vec![], None, &file)]
    {
        let mut command = serve(folder.path());
        command.args(arguments).envs(environment.map(|address| ("SWITCHBOARD_LISTEN", address)));
        ready(&mut Server::start(&mut command), expected).await;
    }
}

/// Compose files and charts pass on variables that are not set, and lists with blanks in them.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_counts_as_unset_for_every_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (code, help, _) = run(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    let names: Vec<&str> = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next()).collect();
    assert!(names.len() > 20 && names.iter().all(|name| name.starts_with("SWITCHBOARD_")), "{names:?}");
    for empty in ["", " "] {
        let address = own_address();
        let mut command = serve(folder.path());
        command.envs(names.iter().map(|name| (name, empty))).args(["--listen", &address]);
        let mut server = Server::start(&mut command);
        ready(&mut server, &address).await;
        server.0.kill().unwrap();
        let log = crate::support::process::drain(server.0.stderr.take().unwrap());
        assert!(log.contains("serving"), "an empty log filter silences nothing: {log}");
    }
    let data: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(data, ["switchboard-data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_read_with_blanks_around_them_and_localhost_is_an_address() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = serve(folder.path());
    command.envs([
        ("SWITCHBOARD_LISTEN", format!(" localhost:{port}")),
        ("SWITCHBOARD_ALLOW_EGRESS", "127.0.0.1/32, 10.0.0.0/8,".to_owned()),
        ("SWITCHBOARD_ALLOWED_HOSTS", "connect.example.com , other.example.com".to_owned()),
        ("SWITCHBOARD_LINK_TTL_SECONDS", " 600 ".to_owned()),
        ("SWITCHBOARD_KEEP_ACCOUNTS_ALIVE", "true ".to_owned()),
        ("SWITCHBOARD_LOG_FORMAT", "json\n".to_owned()),
    ]);
    ready(&mut Server::start(&mut command), &format!("127.0.0.1:{port}")).await;
}

/// A server that ends with the test, however that ends.
pub struct Server(pub Child);

impl Server {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a server answers; fails when it ends instead.
pub async fn ready(Server(server): &mut Server, address: &str) {
    let url = format!("http://{address}/readyz");
    until(&format!("a ready server on {address}"), async || {
        if let Some(status) = server.try_wait().unwrap() {
            let stderr = server.stderr.take().map(crate::support::process::drain);
            panic!("the server on {address} ended with {status}: {stderr:?}");
        }
        Http::new().try_send("GET", &url, &[], "").await.is_ok_and(|reply| reply.status == 200)
    })
    .await;
}

#[test]
fn the_settings_manual_is_printed_and_is_a_settings_file_itself() {
    let (code, manual, _) = run(&["config", "print"]);
    assert_eq!(code, Some(0));
    let folder = tempfile::tempdir().unwrap();
    // Unchanged it starts what no file starts, up to the address that we take away from it.
    std::fs::write(folder.path().join("switchboard.toml"), &manual).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(complaint(serve(folder.path()).args(["--listen", &address]), "cannot listen"), None);
    for setting in ["listen = \"127.0.0.1:8787\"", "link_ttl_seconds = 600", "# public_url = "] {
        assert!(manual.contains(setting), "{setting}");
    }
}
