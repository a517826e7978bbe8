//! Authorization by the table of operations: which keys an operation accepts, in which project, and
//! with which permission (contract section 1.2, R61).

use axum::http::HeaderMap;
use switchboard_store::organization_keys::OrganizationKeyKind;
use switchboard_types::ProjectId;
use switchboard_vault::KeyKind;

use super::auth::{AuthenticatedKey, Caller, OrgCaller, Principal, header};
use crate::api::operations::{Keys, Operation, Permission};
use crate::app::project::permissions::{Access, Preset};
use crate::app::{App, project};
use crate::error::{Code, Error, Result};
use crate::text::capital;

/// The caller in a project; none for an operation outside of projects.
pub(in crate::api) async fn admit(
    app: &App,
    operation: &Operation,
    headers: &HeaderMap,
    key: &AuthenticatedKey,
) -> Result<Option<Caller>> {
    match (operation.keys, &key.principal) {
        (Keys::Project | Keys::ProjectOrUser | Keys::Any, Principal::Project(caller)) => {
            check_right(operation, key)?;
            Ok(Some(caller.clone()))
        }
        (Keys::ProjectOrUser, Principal::Organization(member)) if member.key.kind == OrganizationKeyKind::User => {
            let project_id = requested_project(app, headers).await?;
            Ok(Some(Caller {
                project_id,
                key_id: member.key.id.as_str().into(),
                request_id: member.request_id.clone(),
                caller_request_id: member.caller_request_id.clone(),
                makes_raw_calls: true,
            }))
        }
        (Keys::User, Principal::Organization(member)) if member.key.kind == OrganizationKeyKind::User => Ok(None),
        (Keys::Organization, Principal::Organization(owner)) if owner.key.kind == OrganizationKeyKind::Organization => {
            Ok(None)
        }
        (Keys::Any, Principal::Organization(_)) => Ok(None),
        (keys, principal) => {
            let message = format!(
                "{} cannot call this operation; it takes {}",
                capital(name(kind_of(principal))),
                accepted_keys(keys)
            );
            Err(Error::new(Code::Unauthorized, message).fix(key_hint(keys)))
        }
    }
}

/// Rejects a scoped key that has none of the permissions that the operation requires.
fn check_right(operation: &Operation, key: &AuthenticatedKey) -> Result<()> {
    let Some(given) = &key.scope.permissions else { return Ok(()) };
    let (lacks, fix) = match operation.permission {
        Permission::Nothing => return Ok(()),
        Permission::AnyOf(needed) if given.admit(needed) => return Ok(()),
        Permission::AnyOf(needed) => {
            let rights = needed.iter().map(|(preset, access)| right(*preset, *access)).collect::<Vec<_>>().join(" or ");
            (format!("the permission {rights}"), format!("Use a key with {rights}, or one without a scope."))
        }
        Permission::Unscoped => ("an unlimited scope".to_owned(), "Use a key without a scope.".to_owned()),
    };
    let reason = format!("This API key lacks {lacks}, which this operation needs");
    Err(Error::of(Code::Forbidden, &[("reason", &reason)]).fix(fix))
}

fn right(preset: Preset, access: Access) -> String {
    format!("{}:{}", preset.name(), access.name())
}

/// The project of a user key's request: the one that both scope headers name, or the only one that
/// exists.
async fn requested_project(app: &App, headers: &HeaderMap) -> Result<ProjectId> {
    let (organization, project) = (scope_header(headers, "x-org-id")?, scope_header(headers, "x-project-id")?);
    match (organization, project) {
        (Some(organization), Some(project)) => {
            if app.projects.organization().await?.id != organization {
                return Err(project::not_found(project));
            }
            Ok(app.projects.get(&project.into()).await?.id)
        }
        (None, None) => match app.projects.sole().await? {
            Some(project) => Ok(project.id),
            None => {
                Err(wrong_scope("x-project-id", "is required with x-org-id, since there is not exactly one project"))
            }
        },
        (Some(_), None) => Err(wrong_scope("x-project-id", "is required with x-org-id")),
        (None, Some(_)) => Err(wrong_scope("x-org-id", "is required with x-project-id")),
    }
}

fn scope_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong_scope(name, "is given more than once"));
    }
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > 80 {
        return Err(wrong_scope(name, "must be an id such as those of GET /org/project/list"));
    }
    if is_uuid(text) {
        return Err(wrong_scope(name, "must be an id such as those of GET /org/project/list, not a UUID"));
    }
    Ok(Some(text))
}

fn wrong_scope(header: &str, problem: &str) -> Error {
    Error::validation(vec![format!("Error in header {header}: {problem}")])
        .fix("Send x-org-id and x-project-id, both, with the ids that GET /org/project/list shows.")
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn kind_of(principal: &Principal) -> KeyKind {
    match principal {
        Principal::Project(_) => KeyKind::Project,
        Principal::Organization(OrgCaller { key, .. }) => match key.kind {
            OrganizationKeyKind::User => KeyKind::User,
            OrganizationKeyKind::Organization => KeyKind::Organization,
        },
    }
}

/// The display name of a kind of key.
pub(in crate::api) fn name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Project => "a project API key",
        KeyKind::User => "a user API key",
        KeyKind::Organization => "an organisation API key",
    }
}

fn kinds(keys: Keys) -> &'static [KeyKind] {
    match keys {
        Keys::Project => &[KeyKind::Project],
        Keys::ProjectOrUser => &[KeyKind::Project, KeyKind::User],
        Keys::User => &[KeyKind::User],
        Keys::Organization => &[KeyKind::Organization],
        Keys::Any => &KeyKind::ALL,
        Keys::Public => &[],
    }
}

/// `a project API key in x-api-key or a user API key in x-user-api-key`.
fn accepted_keys(keys: Keys) -> String {
    let each = kinds(keys).iter().map(|kind| format!("{} in the `{}` header", name(*kind), header(*kind)));
    each.collect::<Vec<_>>().join(" or ")
}

/// How to fix a request without an accepted key.
pub(in crate::api) fn key_hint(keys: Keys) -> String {
    format!("Send {}. `switchboard key create` makes one.", accepted_keys(keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_distinguished_from_ids() {
        assert!(is_uuid("123e4567-e89b-12d3-a456-426614174000"));
        for text in
            ["pr_0Uhd1rl2w3x4y5z6", "", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400g"]
        {
            assert!(!is_uuid(text), "{text}");
        }
    }

    #[test]
    fn advice_names_the_headers_that_an_operation_takes() {
        assert_eq!(
            key_hint(Keys::ProjectOrUser),
            "Send a project API key in the `x-api-key` header or a user API key in the `x-user-api-key` header. \
             `switchboard key create` makes one."
        );
    }
}
