//! What the tests share: a server in this process with a clock that moves on demand, a server as a
//! process of its own, an HTTP client, a browser without a screen, real providers, accounts
//! that are connected at them, waiting with an end.

pub mod browser;
pub mod chance;
pub mod clock;
pub mod connected;
pub mod documents;
pub mod first_layout;
pub mod http;
pub mod process;
pub mod providers;
pub mod server;
pub mod tools;
pub mod wait;
