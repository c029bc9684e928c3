//! What the cluster has refused, which is not asked again each second.
//!
//! Invariant: another manifest is asked at once; the same one after a pause that doubles up to [`LONGEST`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// By the names of objects.
#[derive(Default)]
pub(super) struct Refused(HashMap<String, Refusal>);

struct Refusal {
    manifest: Value,
    message: String,
    pause: Duration,
    again: Instant,
}

impl Refused {
    /// Why this manifest need not be asked for now.
    pub(super) fn still(&self, name: &str, manifest: &Value, now: Instant) -> Option<&str> {
        let refusal = self.0.get(name)?;
        (refusal.manifest == *manifest && now < refusal.again).then_some(&refusal.message)
    }

    /// It was refused now.
    pub(super) fn note(&mut self, name: &str, manifest: &Value, message: &str, now: Instant) {
        let before = self.0.get(name);
        let pause = before
            .filter(|before| before.manifest == *manifest)
            .map_or(SHORTEST, |before| (before.pause * 2).min(LONGEST));
        let refusal = Refusal {
            manifest: manifest.clone(),
            message: message.to_owned(),
            pause,
            again: now + pause,
        };
        self.0.insert(name.to_owned(), refusal);
    }

    /// It stands, or is not wanted any more.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_is_asked_ever_more_rarely_and_another_at_once() {
        let (one, other) = (json!({"cpu": "2x"}), json!({"cpu": "2"}));
        let mut refused = Refused::default();
        let mut now = Instant::now();
        assert_eq!(refused.still("name", &one, now), None);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            refused.note("name", &one, "no quantity", now);
            let later = now + Duration::from_secs(pause);
            let before = later.checked_sub(Duration::from_millis(1));
            assert_eq!(
                before.and_then(|before| refused.still("name", &one, before)),
                Some("no quantity")
            );
            assert_eq!(refused.still("name", &one, later), None);
            assert_eq!(refused.still("name", &other, now), None);
            now = later;
        }
        refused.note("name", &other, "nor that", now);
        assert_eq!(
            refused.still("name", &other, now + Duration::from_secs(1)),
            None
        );
        refused.note("name", &one, "no quantity", now);
        refused.forget("name");
        assert_eq!(refused.still("name", &one, now), None);
    }
}
