//! A model that never returns from a record: its process is replaced, and the record costs itself
//! only.

use millrace_harness::Kafka;
use millrace_wire::function::Guarantee;

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, end};
use crate::models;

#[tokio::test]
async fn a_record_that_stops_the_model_is_found_and_the_others_are_answered() {
    let fixture = Fixture::new(Kafka::shared(), 2, 2).await;
    let version = fixture.version(1, models::endless(13.0)).await;
    for guarantee in [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce] {
        let mut spec = fixture.spec(0, &version);
        spec.guarantee = guarantee;
        spec.batching.run_deadline_ms = 800;
        // The record of number 13, in the middle of a batch.
        fixture.send(0..40);
        let mut process = fixture.start(0, &spec);
        let restarts = fixture.wait_until_done_with(&mut process, &spec);
        assert_eq!(restarts, 2, "one for the batch, one for the record");
        let message = fixture.wait_for_problem("run-overdue");
        assert!(message.contains("within 800 ms"), "{message}");
        end(process);
    }
    let dead = fixture.dead_letters().drain();
    assert_eq!(dead.len(), 2, "{dead:#?}");
    for letter in &dead {
        assert_eq!(letter.header("millrace-error"), Some("deadline"));
        assert_eq!(letter.header("millrace-attempt"), Some("1"));
        assert_eq!(letter.version(), 1);
        assert_eq!(letter.value.as_deref(), Some([13, 0, 0, 0].as_slice()));
    }
    let mut all = [fixture.outputs().drain(), dead].concat();
    // At least once may answer others of the batch again.
    all.sort_by_key(crate::answers::Answer::source);
    all.dedup_by(|one, other| one.source() == other.source() && one.source().1 >= 20);
    assert_each_once(&all, &fixture.ends());
}
