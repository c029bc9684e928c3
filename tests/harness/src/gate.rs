//! A way to a server that tests open when they want: until then it is away.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A way to a server that is closed at first.
pub struct Gate {
    url: String,
    is_open: Arc<AtomicBool>,
}

impl Gate {
    /// A way to a port of this machine; `path` is the end of its address.
    pub(crate) fn before(behind: u16, path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let is_open = Arc::new(AtomicBool::new(false));
        let open = is_open.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that is turned away sees the end of its connection.
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) {
                    carry(&client, &server);
                }
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}{path}"),
            is_open,
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

/// Carries bytes both ways, until one side closes.
fn carry(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let clone = |stream: &TcpStream| stream.try_clone().expect("an open socket");
        let (mut from, mut to) = (clone(from), clone(to));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
