//! Listening: the kernel's accept queue, and the process's limit of open files.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Length of the accept queue: more than any system allows, so that the system's own limit applies
/// (`net.core.somaxconn` on Linux).
const BACKLOG: i32 = 65_535;
/// Files other than client connections: database, logs, threads, toolkit files.
const OTHER_FILES: u64 = 128;
/// Maximum connections, for any limit of open files.
const MAX_CONNECTIONS: u64 = 8_192;
/// Minimum connections, for any limit of open files.
const MIN_CONNECTIONS: u64 = 8;

/// Listens with the longest accept queue that the system allows.
///
/// # Errors
/// The address is in use, or does not belong to this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server need not wait until the old connections have timed out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Raises the limit of open files (`RLIMIT_NOFILE`) as far as allowed. Returns the limit.
pub(super) fn raise_open_file_limit() -> u64 {
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    raised.or_else(|_| rlimit::Resource::NOFILE.get_soft()).unwrap_or(1_024)
}

/// Maximum connections: each may need a second one, to a provider.
pub(super) fn max_connections(open_files: u64) -> usize {
    let places = (open_files.saturating_sub(OTHER_FILES) / 2).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    usize::try_from(places).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_from_the_limit_of_files() {
        for (files, expected) in
            [(0, 8), (64, 8), (256, 64), (1_024, 448), (20_000, 8_192), (1 << 20, 8_192), (u64::MAX, 8_192)]
        {
            assert_eq!(max_connections(files), expected, "{files}");
        }
    }

    #[tokio::test]
    async fn the_queue_is_as_long_as_the_system_allows() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let Ok(longest) = std::fs::read_to_string("/proc/sys/net/core/somaxconn") else { return };
        // Connects without an accept call.
        let wanted = longest.trim().parse::<usize>().unwrap().min(400);
        let mut connected = Vec::new();
        for _ in 0..wanted {
            let connecting = tokio::net::TcpStream::connect(address);
            connected
                .push(tokio::time::timeout(std::time::Duration::from_secs(10), connecting).await.unwrap().unwrap());
        }
        assert_eq!(connected.len(), wanted);
    }
}
