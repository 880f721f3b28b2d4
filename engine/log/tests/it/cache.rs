use ringlog_record::LeaderEpoch;

use crate::bench_world::{World, append_numbered, open};

#[test]
fn the_cache_counts_nothing_of_a_log_that_is_gone() {
    let world = World::new(1);
    world.run(|env| async move {
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 100, 9_000, 1).await;
        log.flush().await.unwrap();
        let held_bytes = env.cache.used_bytes();
        assert!(held_bytes > 0 && held_bytes <= env.reactor.pool().allocated_bytes());
        log.close().await.unwrap();
        let directory = log.directory().to_owned();
        drop(log);
        ringlog_log::delete_directory(&env.reactor, &directory)
            .await
            .unwrap();
        assert_eq!(env.cache.used_bytes(), 0);

        // What comes next is counted for itself alone.
        let (log, _) = open(&env).await;
        log.begin_epoch(LeaderEpoch::new(1)).await.unwrap();
        append_numbered(&env, &log, 10, 9_000, 1).await;
        log.flush().await.unwrap();
        assert!(env.cache.used_bytes() > 0 && env.cache.used_bytes() < held_bytes);
    });
}
