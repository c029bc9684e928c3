//! A proxy between clients and a broker, which can keep the coordinators of groups from chosen clients.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use millrace_harness::block_until;

use crate::fixture::LIMIT;

/// The protocol's number of `FindCoordinator`, whose requests of the versions 1 and 2 hold a key and its type,
/// and whose answers hold a throttle time and an error.
const FIND_COORDINATOR: u16 = 10;
const GROUP: u8 = 0;
const COORDINATOR_NOT_AVAILABLE: u16 = 15;

/// A running proxy.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    /// The `client.id` of those that may find no coordinator.
    client: &'static str,
    hides: AtomicBool,
    /// How many answers have been kept from them.
    hidden: AtomicUsize,
}

impl Proxy {
    /// Listens in front of the broker at a port; connections are turned away until it is there.
    pub fn before(broker: u16, client: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            client,
            hides: AtomicBool::new(false),
            hidden: AtomicUsize::new(0),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for connection in listener.incoming().flatten() {
                    if let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)) {
                        carry(&shared, connection, broker);
                    }
                }
            }
        });
        Self { port, shared }
    }

    /// The broker's property that sends clients here.
    pub fn advertised(&self) -> String {
        format!("CLIENT://127.0.0.1:{}", self.port)
    }

    /// Waits until so many answers have been kept from the chosen clients.
    pub fn wait_for_hidden(&self, count: usize) {
        block_until("coordinators are asked for", LIMIT, || {
            let hidden = self.shared.hidden.load(Ordering::SeqCst);
            if hidden >= count { Ok(()) } else { Err(hidden) }
        });
    }

    /// Tells the chosen clients that no coordinator of a group is available, or ends to.
    pub fn hide_coordinators(&self, hides: bool) {
        self.shared.hides.store(hides, Ordering::SeqCst);
    }
}

/// Carries frames both ways, until one side closes.
fn carry(shared: &Arc<Shared>, client: TcpStream, broker: TcpStream) {
    let hidden = Arc::new(Mutex::new(HashSet::new()));
    let (mut from_client, mut to_broker) =
        (client.try_clone().unwrap(), broker.try_clone().unwrap());
    thread::spawn({
        let (shared, hidden) = (Arc::clone(shared), Arc::clone(&hidden));
        move || {
            while let Some(frame) = frame(&mut from_client) {
                if shared.hides.load(Ordering::SeqCst) && asks_for_group(&frame, shared.client) {
                    hidden.lock().unwrap().insert(frame[8..12].to_vec());
                }
                if to_broker.write_all(&frame).is_err() {
                    break;
                }
            }
            let _ = to_broker.shutdown(Shutdown::Both);
        }
    });
    let (mut from_broker, mut to_client) = (broker, client);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        while let Some(mut frame) = frame(&mut from_broker) {
            if hidden.lock().unwrap().remove(&frame[4..8]) {
                shared.hidden.fetch_add(1, Ordering::SeqCst);
                frame[12..14].copy_from_slice(&COORDINATOR_NOT_AVAILABLE.to_be_bytes());
            }
            if to_client.write_all(&frame).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

/// One request or answer with its length in front; nothing at the end.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = length.to_vec();
    frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// Whether a request asks for a group's coordinator: behind the length stand the request's number, its version,
/// the number of its answer, and as strings the client and the key.
fn asks_for_group(frame: &[u8], client: &str) -> bool {
    let number = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    if number(4) != FIND_COORDINATOR {
        return false;
    }
    let key = 14 + usize::from(number(12));
    let kind = key + 2 + usize::from(number(key));
    &frame[14..key] == client.as_bytes() && frame[kind] == GROUP
}
