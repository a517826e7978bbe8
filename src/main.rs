//! The `switchboard` program. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    switchboard::cli::main()
}
