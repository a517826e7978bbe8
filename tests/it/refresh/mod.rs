//! Tokens that expire: one refresh per rotation, whatever happens around it.

mod alive;
mod departures;
mod failures;
mod outage;
mod races;
mod refused;
