//! The program as a user meets it: command line, restarts, kills, browsers, SDKs.
