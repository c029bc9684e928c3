//! The platforms that work through Kubernetes, against its real API server, under the very rights that
//! `infra/kubernetes` ships. No controller runs there, so each test says what they would say.
//! `make test-kubernetes` brings the server and runs these.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cluster;
mod end;
mod keda;
mod knative;
mod pods;
mod stateful_set;
