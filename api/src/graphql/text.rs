//! What texts a request may hold, whatever field they are for: in one place, so that no field is forgotten.
//!
//! A NUL character is refused because neither PostgreSQL nor Kafka's client takes one: the one fails, and the other takes the
//! text to end there. The bound is far beyond what anybody writes by hand, and keeps rows, topics and logs from growing.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery};
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{ServerError, ServerResult, Value, Variables};

/// Bytes of one text.
const LONGEST: usize = 64 << 10;

/// Looks at every text of a request before anything is done.
pub(super) struct Texts;

impl ExtensionFactory for Texts {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Texts {
    async fn parse_query(
        &self,
        context: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(context, query, variables).await?;
        for (name, value) in variables.iter() {
            check(&format!("${name}"), value).map_err(refused)?;
        }
        let operations = document.operations.iter();
        for (_, operation) in operations {
            check_selections(&operation.node.selection_set.node)?;
        }
        for fragment in document.fragments.values() {
            check_selections(&fragment.node.selection_set.node)?;
        }
        Ok(document)
    }
}

fn check_selections(selections: &SelectionSet) -> ServerResult<()> {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => check_field(&field.node)?,
            Selection::InlineFragment(fragment) => {
                check_selections(&fragment.node.selection_set.node)?;
            }
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn check_field(field: &Field) -> ServerResult<()> {
    for (name, value) in &field.arguments {
        // Variables are looked at by themselves.
        let literal = value.node.clone();
        let literal = literal.into_const_with(|_| Ok::<_, ServerError>(Value::Null))?;
        check(&name.node, &literal).map_err(refused)?;
    }
    check_selections(&field.selection_set.node)
}

/// Looks at all texts of a value that stands at `path`.
fn check(path: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => check_text(path, text),
        Value::List(values) => {
            let mut values = values.iter().enumerate();
            values.try_for_each(|(at, value)| check(&format!("{path}[{at}]"), value))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            check_text(&format!("the name of a member of {path}"), name)?;
            check(&format!("{path}.{name}"), value)
        }),
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => {
            Ok(())
        }
    }
}

fn check_text(path: &str, text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        let length = text.len();
        return Err(format!(
            "{path} has {length} bytes, and a text has at most {LONGEST}: shorten it"
        ));
    }
    if text.contains('\0') {
        return Err(format!(
            "{path} has a NUL character (\\u0000), which no text may have: remove it"
        ));
    }
    Ok(())
}

fn refused(reason: String) -> ServerError {
    ServerError::new(reason, None)
}
