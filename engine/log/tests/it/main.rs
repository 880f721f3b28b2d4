//! Tests of the log on simulated disks, and on this machine's.
#![cfg(test)]

mod append;
mod bench_world;
mod cache;
mod cold;
mod corruption;
mod damage;
mod epochs;
mod failures;
mod files;
mod foreign;
mod idempotence;
mod inspect;
mod memory;
mod recovery;
mod recycle;
mod restart;
mod retention;
mod roll;
mod silence;
mod space;
mod uring;
