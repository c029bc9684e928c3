//! The few questions that functions, and the API for figures, ask of AWS itself, as whoever their process is there: signed requests in JSON, without a
//! client of each service, which would make a function several times as large.
//!
//! Invariant: credentials are looked for anew with each request, by AWS's own rules, and stand in no message.

mod error;
mod service;

pub use error::Error;
pub use service::Service;
