//! Tokens that expire: one refresh per rotation, whatever happens around it.

mod alive;
mod departures;
mod failures;
mod lenient;
mod neighbours;
mod outage;
mod paused;
mod provider_outage;
mod races;
mod refused;
mod slow_disk;
