//! What a function is started for, so that only another work makes it start anew.

use millrace_wire::function::{FunctionSpec, Role};

/// A specification without what its function learns by itself: where it listens, and which version its alias points at
/// by now.
pub(super) fn work(spec: &FunctionSpec) -> FunctionSpec {
    let mut work = spec.clone();
    work.listen = String::new();
    if let Role::Inference(inference) = &mut work.role
        && inference.alias.is_some()
    {
        inference.version = None;
    }
    work
}
