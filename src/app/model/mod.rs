//! Types that several folders share: what rows hold as JSON, read and checked.

pub mod access_list;
pub mod auth_config_settings;
pub mod expected_identity;
pub mod params;
