//! A database of one's own.

use millrace_harness::Postgres;

#[test]
fn each_test_gets_its_own_database() {
    let (one, other) = (Postgres::start(), Postgres::start());
    assert_ne!(one.url(), other.url());
}
