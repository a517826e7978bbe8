//! The `switchboard` program: the command line over the library, which has all that a server does.

mod cli;

/// Memory for all of the program. A request takes some hundred small pieces; with the system's allocator they
/// are a sixth of the CPU that a link takes (`bench/README.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
