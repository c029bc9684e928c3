//! What stands in an answer in place of a field that failed, as section 6.4.4 of GraphQL's specification has it: null
//! where the field may be null, else in the place of the nearest value around it that may be.
//!
//! async-graphql 7.2 leaves the failed field out, which no client expects that reads answers by their types.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextResolve, ResolveInfo,
};
use async_graphql::{Response, ServerError, ServerResult, Value};

/// Puts null where a field failed.
pub(super) struct Nulls;

impl ExtensionFactory for Nulls {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Failures::default())
    }
}

/// What failed in the operation, or in the event of a subscription, that is being answered.
#[derive(Default)]
struct Failures(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    errors: Vec<ServerError>,
    /// The paths of the values that are null because something within them is, that may not be.
    broken: HashSet<Vec<String>>,
}

#[async_trait::async_trait]
impl Extension for Failures {
    async fn resolve(
        &self,
        context: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let mut path = (*info.path_node).to_string_vec();
        let nullable = !info.return_type.ends_with('!');
        let result = next.run(context, info).await;
        let mut failures = self.failures();
        match result {
            Ok(value) if !failures.broken.remove(&path) => return Ok(value),
            Ok(_) => {}
            Err(error) => failures.errors.push(error),
        }
        if !nullable {
            path.pop();
            failures.broken.insert(path);
        }
        Ok(Some(Value::Null))
    }

    async fn execute(
        &self,
        context: &ExtensionContext<'_>,
        operation: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let mut response = next.run(context, operation).await;
        let failures = std::mem::take(&mut *self.failures());
        response.errors.extend(failures.errors);
        if failures.broken.contains(&Vec::new()) {
            response.data = Value::Null;
        }
        response
    }
}

impl Failures {
    fn failures(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
