//! Ports for servers that a test starts.

use std::net::TcpListener;

use uuid::Uuid;

/// Where the system takes the ports of outgoing connections from, on Linux.
const FIRST_EPHEMERAL: u16 = 32768;
const FIRST: u16 = 12000;

/// A port of 127.0.0.1 on which nobody listens.
///
/// It lies below the range of outgoing connections: a client that keeps trying to reach a stopped server
/// would else be given that server's port one day, connect to itself, and keep the server from coming back.
pub fn free_port() -> u16 {
    loop {
        // The low 64 bits of a version 7 id are random, but for two bits at their top.
        let (_, random) = Uuid::now_v7().as_u64_pair();
        let offset = random % u64::from(FIRST_EPHEMERAL - FIRST);
        let port = FIRST + u16::try_from(offset).expect("below the difference of two ports");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
