//! Paged lists return the same rows in the same order as reading everything, with every filter, and the
//! stored counters equal the real counts. Debug builds refuse a full scan of a table, so that these tests
//! also check that each list has an index.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::collections::HashSet;

use switchboard_store::accounts::{
    self, AccountFilter, AccountOrder, AccountRow, AccountStatus, AccountType, AccountTypeFilter, Activation,
    NewAccount,
};
use switchboard_store::auth_configs::{self, AuthConfigFilter, AuthConfigRow};
use switchboard_store::projects::{self, Project};
use switchboard_store::{ListPage, PageQuery, PageStart, Position, Store, Unit};
use switchboard_types::{AccountParams, ProjectId, ReasonCode, Scheme, Timestamp};

const PROJECT: &str = "pr_1";
const CONFIGS: [(&str, &str); 3] = [("ac_1", "up"), ("ac_2", "up"), ("ac_3", "down")];
const ACCOUNTS: usize = 240;

fn config(id: &str, project: &str, toolkit: &str) -> AuthConfigRow {
    AuthConfigRow {
        id: id.into(),
        project_id: project.into(),
        toolkit: toolkit.to_owned(),
        name: format!("Name of {id} 100%"),
        scheme: Scheme::ApiKey,
        is_managed: id == "ac_1",
        is_enabled: true,
        is_enabled_for_tool_router: true,
        settings: "{}".to_owned(),
        credentials_sealed: None,
        shared_sealed: None,
        created_at: at(1),
        updated_at: at(1),
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn project(id: &str) -> Project {
    Project { id: id.into(), name: "Name".to_owned(), settings: "{}".to_owned(), created_at: at(1), updated_at: at(1) }
}

/// Accounts of every user, auth config, type and status, and a second project.
async fn world(folder: &std::path::Path) -> Store {
    let store = Store::open(&folder.join("test.db")).unwrap();
    for owner in [PROJECT, "pr_2"] {
        let mut unit = Unit::new().with(projects::insert(&project(owner)));
        for (id, toolkit) in CONFIGS {
            unit.extend(auth_configs::insert(&config(&own(id, owner), owner, toolkit)));
        }
        for number in 0..ACCOUNTS {
            unit.extend(account(number, &owner.into()));
        }
        store.apply(unit).await.unwrap();
    }
    // The API shows the accounts of one auth config as INACTIVE.
    let disabled = AuthConfigRow { is_enabled: false, updated_at: at(2), ..config("ac_2", PROJECT, "up") };
    store.apply(Unit::new().with(auth_configs::replace(&disabled, at(1)))).await.unwrap();
    store
}

fn rows(page: ListPage<AccountRow>, _: Vec<AuthConfigRow>) -> ListPage<AccountRow> {
    page
}

fn own(id: &str, project: &str) -> String {
    if project == PROJECT { id.to_owned() } else { format!("{id}_{project}") }
}

fn account(number: usize, project: &ProjectId) -> Unit {
    let (config, toolkit) = CONFIGS[number % 3];
    let (id, config) = (own(&format!("ca_{number:05}"), project), own(config, project));
    let user = format!("u{}", number % 5);
    let time = i64::try_from(number).unwrap();
    let account_type = if number.is_multiple_of(7) { AccountType::Shared } else { AccountType::Private };
    let mut unit = accounts::insert(&NewAccount {
        id: &id.as_str().into(),
        project_id: project,
        user_id: &user,
        toolkit,
        auth_config_id: &config.into(),
        scheme: Scheme::ApiKey,
        alias: None,
        word_id: "word",
        account_type,
        acl: None,
        params: &AccountParams::default(),
        link_id: None,
        now: at(time),
    });
    let later = at(10_000 - time);
    match number % 4 {
        0 => {
            let activation = Activation {
                credential: Some(b"sealed".to_vec()),
                params: AccountParams::default(),
                identity: None,
                expires_at: None,
                refresh_due_at: None,
                now: later,
            };
            unit.push(accounts::activate(project, &id.as_str().into(), activation));
        }
        1 => unit.push(accounts::end_connecting(
            project,
            &id.as_str().into(),
            AccountStatus::Expired,
            &ReasonCode::TokenExpired.into(),
            later,
        )),
        _ => {}
    }
    if number.is_multiple_of(20) {
        unit.push(accounts::disable(project, &id.as_str().into(), &ReasonCode::Disabled.into(), later));
    }
    unit
}

fn shown(row: &AccountRow) -> AccountStatus {
    let is_off = row.status == AccountStatus::Active && !row.has_enabled_auth_config;
    if is_off { AccountStatus::Inactive } else { row.status }
}

fn admits<T: PartialEq>(list: &[T], value: &T) -> bool {
    list.is_empty() || list.contains(value)
}

fn expected(all: &[AccountRow], filter: &AccountFilter) -> Vec<String> {
    let mut found: Vec<&AccountRow> = all
        .iter()
        .filter(|row| {
            admits(&filter.users, &row.user_id)
                && admits(&filter.toolkits, &row.toolkit)
                && admits(&filter.auth_configs, &row.auth_config_id.to_string())
                && admits(&filter.ids, &row.id.to_string())
                && admits(&filter.statuses, &shown(row))
                && match filter.account_type {
                    AccountTypeFilter::Private => row.account_type == AccountType::Private,
                    AccountTypeFilter::Shared => row.account_type == AccountType::Shared,
                    AccountTypeFilter::All => true,
                }
        })
        .collect();
    match filter.order {
        AccountOrder::CreatedAt => found.sort_by_key(|row| row.id.clone()),
        AccountOrder::UpdatedAt => found.sort_by_key(|row| (row.updated_at, row.id.clone())),
    }
    if !filter.ascending {
        found.reverse();
    }
    found.into_iter().map(|row| row.id.to_string()).collect()
}

/// Reads all pages, each after the end of the previous one, and once by offset.
async fn walk(store: &Store, filter: &AccountFilter, total: usize) -> Vec<String> {
    let (mut ids, mut start) = (Vec::new(), PageStart::Skip(0));
    loop {
        let page = PageQuery { start, limit: 7 };
        let found = store.accounts(&PROJECT.into(), filter.clone(), page, rows).await.unwrap();
        assert_eq!(found.total, i64::try_from(total).unwrap(), "{filter:?}");
        let skip = PageStart::Skip(i64::try_from(ids.len()).unwrap());
        let counted =
            store.accounts(&PROJECT.into(), filter.clone(), PageQuery { start: skip, limit: 7 }, rows).await.unwrap();
        let of = |rows: &[AccountRow]| rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>();
        assert_eq!(of(&found.rows), of(&counted.rows), "{filter:?}");
        ids.extend(of(&found.rows));
        let Some(next) = found.next else { return ids };
        start = PageStart::After(next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_and_order_returns_the_same_as_reading_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = world(folder.path()).await;
    let everything = AccountFilter { account_type: AccountTypeFilter::All, ..AccountFilter::default() };
    let all = PageQuery { start: PageStart::Skip(0), limit: 1_000 };
    let all = store.accounts(&PROJECT.into(), everything, all, rows).await.unwrap().rows;
    assert_eq!(all.len(), ACCOUNTS);
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let users = [vec![], strings(&["u1"]), strings(&["u0", "u4", "nobody"])];
    let toolkits = [vec![], strings(&["down"]), strings(&["up", "down"]), strings(&["none"])];
    let configs = [vec![], strings(&["ac_2"]), strings(&["ac_1", "ac_3"])];
    let statuses = [
        vec![],
        vec![AccountStatus::Active],
        vec![AccountStatus::Inactive],
        vec![AccountStatus::Active, AccountStatus::Inactive],
        vec![AccountStatus::Initializing, AccountStatus::Active, AccountStatus::Failed],
        vec![AccountStatus::Expired],
    ];
    let types = [AccountTypeFilter::Private, AccountTypeFilter::Shared, AccountTypeFilter::All];
    let mut tested = HashSet::new();
    for (number, account_type) in (0..).zip(types.into_iter().cycle().take(648)) {
        let pick = |of: usize, by: usize| (number / by) % of;
        let filter = AccountFilter {
            users: users[pick(3, 3)].clone(),
            toolkits: toolkits[pick(4, 9)].clone(),
            auth_configs: configs[pick(3, 36)].clone(),
            statuses: statuses[pick(6, 108)].clone(),
            ids: if number % 11 == 0 { strings(&["ca_00000", "ca_00012", "ca_00060", "ca_x"]) } else { vec![] },
            account_type,
            order: if number % 2 == 0 { AccountOrder::CreatedAt } else { AccountOrder::UpdatedAt },
            ascending: number % 5 == 0,
        };
        let wanted = expected(&all, &filter);
        assert_eq!(walk(&store, &filter, wanted.len()).await, wanted, "{filter:?}");
        tested.insert(format!("{filter:?}"));
    }
    assert_eq!(tested.len(), 648);
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_counters_equal_the_real_counts_after_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = world(folder.path()).await;
    let check = async |when: &str| {
        let database = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
        let differences: i64 = database
            .query_row(
                "SELECT COUNT(*) FROM (
                   SELECT * FROM (SELECT project_id, auth_config_id, account_type, toolkit, COUNT(*)
                                  FROM connected_accounts WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4
                                  EXCEPT SELECT * FROM account_counts)
                   UNION ALL
                   SELECT * FROM (SELECT * FROM account_counts
                                  EXCEPT SELECT project_id, auth_config_id, account_type, toolkit, COUNT(*)
                                  FROM connected_accounts WHERE deleted_at IS NULL GROUP BY 1, 2, 3, 4))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(differences, 0, "{when}");
        let number = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        for (what, sql) in [
            (
                "enabled_auth_configs",
                "SELECT COUNT(*) FROM auth_configs WHERE project_id = 'pr_1' AND deleted_at IS NULL AND status = 'ENABLED'",
            ),
            (
                "disabled_auth_configs",
                "SELECT COUNT(*) FROM auth_configs WHERE project_id = 'pr_1' AND deleted_at IS NULL AND status = 'DISABLED'",
            ),
        ] {
            let kept = number(&format!(
                "SELECT COALESCE(SUM(number), 0) FROM counts WHERE project_id = 'pr_1' AND what = '{what}'"
            ));
            assert_eq!(kept, number(sql), "{what} {when}");
        }
        let projects = number("SELECT number FROM counts WHERE project_id = '' AND what = 'projects'");
        assert_eq!(projects, number("SELECT COUNT(*) FROM projects WHERE deleted_at IS NULL"), "{when}");
    };
    check("at first").await;
    store.apply(Unit::new().with(accounts::delete(&PROJECT.into(), &"ca_00005".into(), at(9)))).await.unwrap();
    check("after a deletion").await;
    store.apply(Unit::new().with(accounts::delete(&PROJECT.into(), &"ca_00005".into(), at(9)))).await.unwrap_err();
    check("after a deletion that was refused").await;
    let again = AuthConfigRow { updated_at: at(3), ..config("ac_2", PROJECT, "up") };
    store.apply(Unit::new().with(auth_configs::replace(&again, at(2)))).await.unwrap();
    check("after an auth config was enabled").await;
    let unit = Unit::new()
        .with(accounts::delete_of_auth_config(&PROJECT.into(), &"ac_3".into(), at(9)))
        .with(auth_configs::delete(&PROJECT.into(), &"ac_3".into(), at(9)));
    store.apply(unit).await.unwrap();
    check("after an auth config was deleted").await;
    store.apply(Unit::new().with(projects::insert(&project("pr_3")))).await.unwrap();
    check("after a new project").await;
    let by_toolkit = store.accounts_per_toolkit(&PROJECT.into()).await.unwrap();
    assert_eq!(by_toolkit.iter().map(|(toolkit, _)| toolkit.as_str()).collect::<Vec<_>>(), ["up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_configs_are_found_by_a_literal_part_of_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = world(folder.path()).await;
    for (search, found) in [
        ("100%", vec!["ac_3", "ac_2", "ac_1"]),
        ("AC_2 ", vec!["ac_2"]),
        ("ac_3", vec!["ac_3"]),
        ("_", vec!["ac_3", "ac_2", "ac_1"]),
        ("1__%", vec![]),
        ("\\", vec![]),
    ] {
        let filter =
            AuthConfigFilter { search: Some(search.to_owned()), include_disabled: true, ..AuthConfigFilter::default() };
        let page = PageQuery { start: PageStart::Skip(0), limit: 10 };
        let listed = store.auth_configs(&PROJECT.into(), filter, page).await.unwrap();
        let ids: Vec<&str> = listed.rows.iter().map(|(row, _)| row.id.as_str()).collect();
        assert_eq!(ids, found, "{search}");
        assert_eq!(listed.total, i64::try_from(found.len()).unwrap());
    }
    let page = PageQuery { start: PageStart::After(Position { at: 0, id: "ac_3".to_owned() }), limit: 1 };
    let listed = store.auth_configs(&PROJECT.into(), AuthConfigFilter::default(), page).await.unwrap();
    assert_eq!((listed.rows[0].0.id.as_str(), listed.next, listed.total), ("ac_1", None, 2), "ac_2 is disabled");
}
