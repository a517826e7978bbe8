//! The program as a user meets it: command line, restarts, kills, browsers, SDKs.

mod at_rest;
mod audit_log;
mod call_crash;
mod canary;
mod chromium;
mod commands;
mod conformance;
mod damaged;
mod draft;
mod echo;
#[cfg(target_os = "linux")]
mod file_writes;
mod frameworks;
mod full_disk;
mod interrupted;
mod kill;
mod log;
mod many_accounts;
mod master_key;
mod memory;
mod needles;
mod pages;
mod quickstart;
mod reference;
mod reload;
mod remembered;
mod reseal;
mod schemathesis;
mod sdk;
mod settings;
mod stopped;
mod terminate;
mod tool_commands;
mod toolkit_test;
mod trial;
mod vendor_documents;
