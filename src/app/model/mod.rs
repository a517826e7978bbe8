//! Types that several folders share: the JSON columns of rows, parsed and validated.

pub mod access_list;
pub mod auth_config_settings;
pub mod expected_identity;
pub mod params;
