//! The API: requests in, answers out, through real HTTP.

mod account_changes;
mod account_links;
mod accounts_list;
mod auth_configs;
mod authentication;
mod callback_urls;
mod deadline;
mod edge;
pub mod help;
mod idempotency;
mod isolation;
mod link_races;
mod link_rules;
mod links;
mod malformed;
mod masking;
mod proxy;
mod proxy_credentials;
mod proxy_endpoints;
mod proxy_failures;
mod session_rules;
mod sessions;
mod shared;
mod toolkits;
