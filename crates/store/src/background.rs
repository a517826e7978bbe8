//! Which threads work in the background: their writes wait for those of requests, and they give way to other threads.

use std::cell::Cell;

/// Nice value added to such a thread (0 to 19).
#[cfg(target_os = "linux")]
pub(crate) const NICENESS: i32 = 10;

thread_local! {
    static IS_BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Makes the calling thread one that works in the background, for as long as it lives.
pub fn enter_background() {
    IS_BACKGROUND.set(true);
    give_way();
}

/// Lowers the priority of the calling thread.
pub(crate) fn give_way() {
    // Only Linux applies this to the calling thread; elsewhere it would affect the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Whether the calling thread works in the background.
pub(crate) fn is_background() -> bool {
    IS_BACKGROUND.get()
}
