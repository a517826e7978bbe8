//! What the tests share: a server in this process with a clock that moves on demand, a server as a
//! process of its own, an HTTP client, a browser without a screen, real providers.

pub mod browser;
pub mod clock;
pub mod http;
pub mod process;
pub mod providers;
pub mod server;
pub mod tools;
