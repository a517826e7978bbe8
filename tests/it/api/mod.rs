//! The API: requests in, answers out, through real HTTP.
