use std::collections::BTreeSet;

use super::*;

#[test]
fn no_producer_id_is_given_twice_however_often_the_broker_starts() {
    block_on(async {
        let store = fresh().await;
        let mut given = BTreeSet::new();
        for incarnation in 1..4 {
            let session = store.new_session();
            start(session.clone(), incarnation).await;
            for _ in 0..3 {
                for id in allocate_producer_ids(&session).await.unwrap() {
                    assert!(given.insert(id), "{id}");
                }
            }
        }
        assert_eq!(given.len() as u64, 9 * limits::PRODUCER_ID_BLOCK);
    });
}
