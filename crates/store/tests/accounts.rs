//! From which states an account takes each change of its state, and the state that it has afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use switchboard_store::accounts::{self, AccountRow, AccountStatus, AccountType, Activation, NewAccount};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::projects::{self, Project};
use switchboard_store::{Refusal, Statement, Store, Unit, WriteError};
use switchboard_types::{AccountId, AccountParams, AuthConfigId, Fence, ProjectId, ReasonCode, Scheme, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(10);
const LATER: Timestamp = Timestamp::from_millis(20);

struct World {
    store: Store,
    file: rusqlite::Connection,
    project: ProjectId,
    account: AccountId,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = Store::open(&path).unwrap();
        let (project, account) = (ProjectId::from("pr_1"), AccountId::from("ca_1"));
        let config = AuthConfigId::from("ac_1");
        let row = Project {
            id: project.clone(),
            name: "Name".to_owned(),
            settings: "{}".to_owned(),
            created_at: NOW,
            updated_at: NOW,
        };
        store.apply(Unit::new().with(projects::insert(&row))).await.unwrap();
        let row = AuthConfigRow {
            id: config.clone(),
            project_id: project.clone(),
            toolkit: "up".to_owned(),
            name: "n".to_owned(),
            scheme: Scheme::OAuth2,
            is_managed: false,
            is_enabled: true,
            is_enabled_for_tool_router: true,
            settings: "{}".to_owned(),
            credentials_sealed: None,
            shared_sealed: None,
            created_at: NOW,
            updated_at: NOW,
        };
        store.apply(auth_configs::insert(&row)).await.unwrap();
        let new = NewAccount {
            id: &account,
            project_id: &project,
            user_id: "u",
            toolkit: "up",
            auth_config_id: &config,
            scheme: Scheme::OAuth2,
            alias: None,
            word_id: "word",
            account_type: AccountType::Private,
            acl: None,
            params: &AccountParams::default(),
            link_id: None,
            now: NOW,
        };
        store.apply(accounts::insert(&new)).await.unwrap();
        let file = rusqlite::Connection::open(path).unwrap();
        Self { store, file, project, account, _folder: folder }
    }

    async fn row(&self) -> AccountRow {
        self.store.account(&self.project, &self.account).await.unwrap().unwrap()
    }

    /// The account in a state, as it is read.
    async fn in_state(&self, status: AccountStatus) -> AccountRow {
        let sql = "UPDATE connected_accounts SET status = ?1, refresh_lease_until = NULL";
        self.file.execute(sql, [status.as_str()]).unwrap();
        self.row().await
    }

    /// The state after a statement; none if it was refused.
    async fn after(&self, statement: Statement) -> Option<AccountStatus> {
        match self.store.apply(Unit::new().with(statement)).await {
            Ok(_) => Some(self.row().await.status),
            Err(WriteError::Refused(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

fn activation() -> Activation {
    Activation {
        credential: Some(b"sealed".to_vec()),
        params: AccountParams::default(),
        identity: None,
        expires_at: None,
        refresh_due_at: None,
        now: LATER,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_state_is_refused_in_other_states_than_those_it_begins_from() {
    use AccountStatus::{Active, Expired, Failed, Inactive, Initializing, Initiated, Revoked};
    let world = World::new().await;
    let (project, id) = (&world.project, &world.account);
    let reason = ReasonCode::TokenExpired.into();
    for status in AccountStatus::ALL {
        let (is_connecting, may_reconnect) = (status.is_connecting(), status.is_reconnectable());
        assert_eq!(is_connecting, [Initializing, Initiated].contains(&status));
        assert_eq!(may_reconnect, [Active, Inactive, Expired].contains(&status));

        let read = async || world.in_state(status).await;
        read().await;
        let found = world.after(accounts::initiate(project, id, &AccountParams::default(), LATER)).await;
        assert_eq!(found, is_connecting.then_some(Initiated), "initiate {status:?}");
        read().await;
        let found = world.after(accounts::activate(project, id, activation())).await;
        assert_eq!(found, is_connecting.then_some(Active), "activate {status:?}");
        read().await;
        let found = world.after(accounts::end_connecting(project, id, Failed, &reason, LATER)).await;
        assert_eq!(found, is_connecting.then_some(Failed), "end connecting {status:?}");
        read().await;
        let found = world.after(accounts::reconnect(project, id, activation())).await;
        let renewed = if status == Inactive { Inactive } else { Active };
        assert_eq!(found, may_reconnect.then_some(renewed), "reconnect {status:?}");
        read().await;
        let found = world.after(accounts::disable(project, id, &reason, LATER)).await;
        assert_eq!(found, (status == Active).then_some(Inactive), "disable {status:?}");
        read().await;
        let found = world.after(accounts::enable(project, id, LATER)).await;
        assert_eq!(found, (status == Inactive).then_some(Active), "enable {status:?}");
        let row = read().await;
        let found = world.after(row.expire(row.refresh_fence, &reason, LATER)).await;
        assert_eq!(found, (status == Active).then_some(Expired), "expire {status:?}");
        let row = read().await;
        let found = world.after(row.revoke(&reason, LATER)).await;
        assert_eq!(found, (status != Revoked).then_some(Revoked), "revoke {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_new_link_has_the_returned_status() {
    let world = World::new().await;
    for status in AccountStatus::ALL {
        let row = world.in_state(status).await;
        let relink = row.relink(&"lt_1".into(), LATER);
        let expected = (status != AccountStatus::Inactive).then_some(relink.status);
        assert_eq!(world.after(relink.statement).await, expected, "{status:?}");
    }
    assert_eq!(world.row().await.link_id, Some("lt_1".into()));
    // It was read as ACTIVE, and is not connected any more.
    let row = world.in_state(AccountStatus::Active).await;
    world.in_state(AccountStatus::Revoked).await;
    assert_eq!(world.after(row.relink(&"lt_2".into(), LATER).statement).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_the_returned_fence_and_refuses_one_of_a_row_that_was_read_before() {
    let world = World::new().await;
    let row = world.in_state(AccountStatus::Active).await;
    let (lease, fence) = row.lease(NOW, LATER);
    assert_eq!(world.after(lease).await, Some(AccountStatus::Active));
    assert_eq!((fence, world.row().await.refresh_fence), (Fence(1), Fence(1)));
    for (statement, refusal) in [
        (row.lease(LATER, Timestamp::MAX).0, Refusal::RefreshLeased),
        (row.lease_for_revocation(LATER, Timestamp::MAX).0, Refusal::AccountChanged),
    ] {
        let refused = world.store.apply(Unit::new().with(statement)).await;
        assert!(matches!(refused, Err(WriteError::Refused(found)) if found == refusal), "{refused:?}");
    }
    let row = world.row().await;
    let (lease, fence) = row.lease_for_revocation(LATER, Timestamp::MAX);
    assert_eq!(world.after(lease).await, Some(AccountStatus::Active));
    assert_eq!((fence, world.row().await.refresh_fence), (Fence(2), Fence(2)));
    world.after(row.release_revocation_lease(fence)).await;
    assert_eq!(world.row().await.refresh_lease_until, None);
}
