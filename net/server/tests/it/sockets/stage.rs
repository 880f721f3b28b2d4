//! Brokers to be asked: on the simulated driver, and on rings and loopback sockets.

use futures_util::future::LocalBoxFuture;
use ringlog_reactor::UringPlatform;

pub(crate) use super::real::Scene;
use super::real::play;
use crate::world::World;

/// Something that a client does, on either stage.
pub(crate) type Play = fn(Scene) -> LocalBoxFuture<'static, ()>;

/// Plays on simulated brokers of so many shards, with some seeds.
#[expect(clippy::print_stdout, reason = "a test that fails tells its seed")]
pub(crate) fn on_sim(shards: u16, play: Play) {
    for seed in 1..=3 {
        println!("seed {seed}");
        let world = World::new(seed, shards);
        let running = world.start();
        let broker = running.handle.clone();
        let address = World::address();
        world.client(move |reactor| {
            play(Scene {
                reactor,
                address,
                broker,
            })
        });
        let broker = running.handle.clone();
        if world.client(|_| async move { broker.health().await.is_ok() }) {
            world.stop(running);
        }
    }
}

/// Plays on a real broker of so many shards.
pub(crate) fn on_uring(shards: u16, scenes: Play) {
    play(&UringPlatform::new(), shards, scenes);
}

/// Plays on both.
pub(crate) fn on_all(shards: u16, play: Play) {
    on_sim(shards, play);
    on_uring(shards, play);
}
