use futures_executor::block_on;

use super::MemoryStore;
use crate::store::conformance::{Harness, conformance, create, create_ephemeral, path};
use crate::store::{MetadataStore, SessionStatus, StoreError};

#[derive(Default)]
struct Memory(MemoryStore);

impl Harness for Memory {
    type Store = MemoryStore;

    fn open(&mut self) -> MemoryStore {
        self.0.clone()
    }

    fn reopen(&mut self, store: MemoryStore) -> MemoryStore {
        store.new_session()
    }
}

conformance!(Memory::default());

#[test]
fn a_new_session_ends_the_old_one_for_all_its_handles() {
    block_on(async {
        let first = MemoryStore::new();
        let clone = first.clone();
        clone
            .multi(vec![create("/a", ""), create_ephemeral("/e", "")])
            .await
            .unwrap();
        let second = first.new_session();
        assert_eq!(clone.session().status, SessionStatus::Ended);
        assert_eq!(clone.read(&path("/a")).await, Err(StoreError::SessionEnded));
        assert!(second.read(&path("/a")).await.unwrap().is_some());
        assert_eq!(second.read(&path("/e")).await, Ok(None));
    });
}

#[test]
fn sessions_live_and_end_beside_each_other() {
    block_on(async {
        let one = MemoryStore::new();
        let two = one.another_session();
        one.multi(vec![create_ephemeral("/one", "")]).await.unwrap();
        two.multi(vec![create_ephemeral("/two", "")]).await.unwrap();
        one.end_session();
        assert_eq!(two.read(&path("/one")).await, Ok(None));
        assert!(two.read(&path("/two")).await.unwrap().is_some());
    });
}

#[test]
fn a_store_can_be_moved_to_another_thread() {
    fn is_send<T: Send + 'static>() {}
    is_send::<MemoryStore>();
    is_send::<crate::store::EmbeddedStore>();
}
