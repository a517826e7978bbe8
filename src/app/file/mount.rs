//! The files that a session keeps, by path (contract section 2.15). They live as long as the session.

use bytes::Bytes;
use switchboard_store::Unit;
use switchboard_store::files::{self, FileRow, MountPath};
use switchboard_types::{AuditAction, AuditOutcome, ProjectId, SessionId};

use super::signed_url::{FileMethod, SignedUrl};
use super::upload::NewFile;
use super::{Files, not_found};
use crate::app::Actor;
use crate::app::session::Session;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

/// The only mount.
pub const MOUNT_ID: &str = "files";
/// Where a sandbox would have it.
pub const MOUNT_PREFIX: &str = "/mnt/files";
/// Maximum length of a path in bytes.
const MAX_PATH: usize = 512;

/// A page of a session's files.
#[derive(Debug)]
pub struct MountPage {
    /// The files, by path.
    pub files: Vec<FileRow>,
    /// The last path; none on the last page.
    pub next: Option<String>,
}

impl Files {
    /// Files of a session whose path begins with a prefix, from after a path.
    ///
    /// # Errors
    /// There is no such session or mount.
    pub async fn mounted(
        &self,
        project: &ProjectId,
        session: &SessionId,
        mount_id: &str,
        (prefix, after): (&str, &str),
        limit: i64,
    ) -> Result<MountPage> {
        self.check_mount(project, session, mount_id).await?;
        let prefix = without_mount(prefix);
        let mut found =
            self.core.store.files_of_session(project, session, (prefix, after), self.core.now(), limit + 1).await?;
        let has_more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = found.last().and_then(|file| file.mount.as_ref()).map(|mount| mount.path.clone());
        Ok(MountPage { files: found, next: last.filter(|_| has_more) })
    }

    /// A URL to which the bytes of a path are sent. A file that is there is replaced when they have come.
    ///
    /// # Errors
    /// There is no such session or mount, or the path is not one.
    pub async fn mount_upload(
        &self,
        actor: &Actor,
        session: &SessionId,
        mount_id: &str,
        path: &str,
        mimetype: Option<String>,
    ) -> Result<(String, SignedUrl)> {
        self.check_mount(&actor.project_id, session, mount_id).await?;
        let path = mount_path(path).map_err(|problem| Error::field("mount_relative_path", problem))?;
        if mimetype.as_deref() == Some("") {
            return Err(Error::field("mimetype", "must be a media type such as image/png, or be left out"));
        }
        let mount = MountPath { session_id: session.clone(), path: path.clone() };
        let new = NewFile { name: path.clone(), mimetype: mimetype.unwrap_or_default(), ..NewFile::default() };
        let file = self.announced(&actor.project_id, new, Some(mount))?;
        self.announce(actor, &file).await?;
        Ok((path, self.sign(&file, FileMethod::Put)))
    }

    /// A URL at which the file at a path can be fetched.
    ///
    /// # Errors
    /// There is no such session, mount or file.
    pub async fn mount_download(
        &self,
        project: &ProjectId,
        session: &SessionId,
        mount_id: &str,
        path: &str,
    ) -> Result<(String, SignedUrl)> {
        self.check_mount(project, session, mount_id).await?;
        let path = mount_path(path).map_err(|problem| Error::field("mount_relative_path", problem))?;
        let file = self.at_path(project, session, &path).await?;
        Ok((path, self.sign(&file, FileMethod::Get)))
    }

    /// Deletes the file at a path, or all below it.
    ///
    /// # Errors
    /// There is no such session or mount, or nothing at the path.
    pub async fn mount_delete(&self, actor: &Actor, session: &SessionId, mount_id: &str, path: &str) -> Result<String> {
        self.check_mount(&actor.project_id, session, mount_id).await?;
        let path = mount_path(path).map_err(|problem| Error::field("mount_relative_path", problem))?;
        let mount = MountPath { session_id: session.clone(), path };
        let audit = self.core.audit(actor, AuditAction::FileDelete, session, AuditOutcome::Ok, None);
        let unit = Unit::new().with(files::delete_at(&mount, &actor.project_id, self.core.now())).with(audit);
        let changed = self.core.store.apply(unit).await?;
        if changed.first().is_none_or(|deleted| *deleted == 0) {
            return Err(nothing_at(&mount.path));
        }
        Ok(mount.path)
    }

    /// Keeps a result of a tool as a file of a session, for as long as other results.
    ///
    /// # Errors
    /// The project's files are as large as they may be, among others.
    pub async fn save_result(
        &self,
        session: &Session,
        tool: &str,
        path: &str,
        bytes: Bytes,
    ) -> Result<(FileRow, SignedUrl)> {
        let mount = MountPath { session_id: session.id.clone(), path: path.to_owned() };
        let new = NewFile {
            name: path.to_owned(),
            mimetype: "application/json".to_owned(),
            tool: tool.to_owned(),
            ..NewFile::default()
        };
        let file = self.announced(&session.project_id, new, Some(mount))?;
        let file = self.save_announced(file, bytes).await?;
        let signed = self.download_url(&file);
        Ok((file, signed))
    }

    /// The file of a session at a path.
    pub(super) async fn at_path(&self, project: &ProjectId, session: &SessionId, path: &str) -> Result<FileRow> {
        let mount = MountPath { session_id: session.clone(), path: path.to_owned() };
        self.core.store.file_at(project, &mount, self.core.now()).await?.ok_or_else(|| nothing_at(path))
    }

    async fn check_mount(&self, project: &ProjectId, session: &SessionId, mount_id: &str) -> Result<()> {
        self.sessions.get(project, session).await?;
        if mount_id == MOUNT_ID {
            return Ok(());
        }
        let message = format!("A session has no mount \"{}\"", truncate(mount_id));
        Err(Error::new(Code::NotFound, message).fix(format!("The only mount is {MOUNT_ID}.")))
    }
}

fn nothing_at(path: &str) -> Error {
    not_found(&format!("The session has no file at \"{}\"", truncate(path)))
        .fix("List the files of the session's mount.")
}

/// A path without the place of the mount in a sandbox, or without the slash that SDKs document for the mount's root.
fn without_mount(path: &str) -> &str {
    let is_end = |rest: &&str| rest.is_empty() || rest.starts_with('/');
    let below = path.strip_prefix(MOUNT_PREFIX).filter(is_end).unwrap_or(path);
    below.strip_prefix('/').unwrap_or(below)
}

/// A path below the mount. It is the name of a file in the database, never a path of a file system.
///
/// # Errors
/// What is wrong with it. Nothing is normalised: a path that another program might read otherwise is refused (R55).
pub(super) fn mount_path(given: &str) -> std::result::Result<String, &'static str> {
    let path = without_mount(given);
    if path.is_empty() || path.len() > MAX_PATH {
        return Err("must be a path of 1 to 512 bytes");
    }
    if path.starts_with('/') {
        return Err("must be a path of the mount, such as output/report.pdf");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("must not have backslashes or control characters");
    }
    let lower = path.to_ascii_lowercase();
    if ["%2e", "%2f", "%5c", "%00"].iter().any(|encoded| lower.contains(encoded)) {
        return Err("must not have percent-encoded dots or slashes");
    }
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Err("must not have `.`, `..` or nothing between slashes");
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_mount() {
        for (given, path) in
            [("a.txt", "a.txt"), ("/a/b c/ü.pdf", "a/b c/ü.pdf"), ("/mnt/files/a/b", "a/b"), ("/..a", "..a")]
        {
            assert_eq!(mount_path(given).as_deref(), Ok(path));
        }
        let long = "a".repeat(MAX_PATH + 1);
        for given in [
            "",
            "/",
            "//etc/passwd",
            "/../x",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "/mnt/files",
            "/mnt/files/",
            "/mnt/files/../x",
            "a\\..\\b",
            "%2e%2e/x",
            "a%2Fb",
            "a%00",
            "a\0b",
            "a\nb",
            long.as_str(),
        ] {
            assert!(mount_path(given).is_err(), "{given:?}");
        }
    }
}
