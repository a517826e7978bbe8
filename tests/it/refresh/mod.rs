//! Tokens that expire: one refresh per rotation, whatever happens around it.
