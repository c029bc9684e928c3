//! The artifact store, and the one place that touches `object_store`.
//!
//! Two kinds of things are kept. **Artifacts** are files named by the SHA-256 of
//! their bytes (`sha256/<2 hex>/<digest>`): they never change, and the same
//! bytes are stored once. **Objects** are small, have a name of their own
//! (`checkpoints/<training>`), and are replaced as a whole.
//!
//! The invariant of both: whoever reads a name finds nothing or the whole of
//! what was written.
//!
//! The store lies in a folder or in a bucket. In a folder, bytes arrive under
//! `staging/` and get their name by one atomic rename; what a killed process
//! leaves in `staging/` is swept when a store is opened. For a bucket, files wait
//! in a folder of this machine in the same way, and the request that completes
//! their upload names them; what is in memory anyway is sent from there.

mod bucket;
mod desk;
mod error;
mod object;
mod parts;
mod place;
mod refusal;
mod staging;
mod store;

pub use error::Error;
pub use object::Tagged;
pub use store::{Listed, Reader, Staged, Store, Stored, digest_of};
