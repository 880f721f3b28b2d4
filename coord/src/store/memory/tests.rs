use std::future::Future;

use futures_executor::block_on;

use super::{MemoryStore, WriteFault};
use crate::store::conformance::{
    Harness, Lost, Remote, conformance, create, create_ephemeral, data, delete, path, poll_once,
    remote_conformance, set,
};
use crate::store::{
    MetaOp, MetadataStore, MultiError, NodePath, OpResult, SessionStatus, StoreError, WatchEvent,
    WatchKind,
};

#[derive(Default)]
struct Memory(MemoryStore);

impl Harness for Memory {
    type Store = MemoryStore;

    fn block_on<F: Future<Output = ()>>(case: F) {
        block_on(case);
    }

    async fn open(&mut self) -> MemoryStore {
        self.0.clone()
    }

    async fn reopen(&mut self, store: MemoryStore) -> MemoryStore {
        store.new_session()
    }
}

impl Remote for Memory {
    async fn witness(&mut self) -> MemoryStore {
        self.0.another_session()
    }

    fn cut(&mut self, store: &MemoryStore) {
        store.disconnect();
    }

    fn restore(&mut self, store: &MemoryStore) {
        store.reconnect();
    }

    async fn expire(&mut self, store: &MemoryStore, _: &NodePath) {
        store.disconnect();
        store.expire();
    }

    async fn lose(
        &mut self,
        store: &MemoryStore,
        lost: Lost,
        ops: Vec<MetaOp>,
    ) -> Result<Vec<OpResult>, MultiError> {
        store.fail_write(match lost {
            Lost::Request => WriteFault::UnknownNotDone,
            Lost::Answer => WriteFault::UnknownDone,
        });
        store.multi(ops).await
    }
}

conformance!(Memory, Memory::default());
remote_conformance!(Memory, Memory::default());

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

#[test]
fn a_session_that_expired_learns_of_it_at_the_next_contact() {
    block_on(async {
        let store = MemoryStore::new();
        let other = store.another_session();
        store.multi(vec![create_ephemeral("/e", "")]).await.unwrap();
        let gone = other.watch(&path("/e"), WatchKind::Node).await.unwrap();
        store.expire();
        assert_eq!(gone.await, WatchEvent::Changed);
        assert_eq!(store.session().status, SessionStatus::Connected);
        let ended = store.multi(vec![create("/a", "")]).await;
        assert_eq!(ended, Err(MultiError::NotDone(StoreError::SessionEnded)));
        assert_eq!(store.session().status, SessionStatus::Ended);
        assert_eq!(data(&other, "/a").await, None);
    });
}

#[test]
fn a_session_that_lags_reads_the_past_until_it_writes() {
    block_on(async {
        let store = MemoryStore::new();
        let other = store.another_session();
        store
            .multi(vec![create("/a", "old"), create("/ids", "")])
            .await
            .unwrap();
        store.lag();
        let mut told = store.watch(&path("/a"), WatchKind::Node).await.unwrap();
        other
            .multi(vec![set("/a", "new", None), create("/ids/1", "")])
            .await
            .unwrap();
        let mut later = store
            .watch(&path("/ids"), WatchKind::Children)
            .await
            .unwrap();
        let mut never = store.watch(&path("/b"), WatchKind::Node).await.unwrap();
        assert_eq!(data(&store, "/a").await.as_deref(), Some("old"));
        assert_eq!(store.children(&path("/ids")).await, Ok(Some(vec![])));
        assert!(poll_once(&mut told).is_none() && poll_once(&mut later).is_none());
        // A write is decided by what is, not by what is seen; and then all is seen.
        assert!(store.multi(vec![set("/a", "x", Some(0))]).await.is_err());
        assert_eq!(data(&store, "/a").await.as_deref(), Some("new"));
        assert_eq!(poll_once(&mut told), Some(WatchEvent::Changed));
        // Set when the change had happened, and before its user could see it.
        assert_eq!(poll_once(&mut later), Some(WatchEvent::Changed));
        assert!(poll_once(&mut never).is_none());
    });
}

#[test]
fn a_late_write_is_done_when_it_arrives_if_it_still_can_be() {
    block_on(async {
        let store = MemoryStore::new();
        let other = store.another_session();
        store.multi(vec![create("/a", "0")]).await.unwrap();
        for late in [set("/a", "late", Some(0)), delete("/a", Some(0))] {
            store.fail_write(WriteFault::UnknownLate);
            let unknown = store.multi(vec![late]).await;
            assert!(matches!(unknown, Err(MultiError::Unknown { .. })));
        }
        assert_eq!(data(&other, "/a").await.as_deref(), Some("0"));
        store.deliver_late();
        assert_eq!(data(&other, "/a").await.as_deref(), Some("late"));
    });
}

#[test]
fn the_late_write_of_a_session_that_ended_never_arrives() {
    block_on(async {
        let store = MemoryStore::new();
        let other = store.another_session();
        store.fail_write(WriteFault::UnknownLate);
        assert!(store.multi(vec![create("/a", "")]).await.is_err());
        store.expire();
        store.deliver_late();
        assert_eq!(data(&other, "/a").await, None);
    });
}
