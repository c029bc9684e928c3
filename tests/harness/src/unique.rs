//! Names that no other test has, now or in an earlier run on the same broker.

use uuid::Uuid;

/// `prefix-` and twelve random hexadecimal digits.
pub fn unique(prefix: &str) -> String {
    let random = Uuid::now_v7().simple().to_string();
    // The end of a version 7 id is its random part.
    format!("{prefix}-{}", &random[random.len() - 12..])
}
