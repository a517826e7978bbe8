//! The `switchboard` program: the library's command line under an allocator.

/// Allocator of the program. A request makes some hundred small allocations, which take a sixth of a
/// link's CPU with the system's allocator (`bench/README.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    switchboard::cli::main()
}
