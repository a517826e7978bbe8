//! Imports of documents: small ones with one fault each, random ones, and those of real providers.

mod complaints;
mod documents;
mod later;
mod limits;
mod places;
mod profile;
mod support;
