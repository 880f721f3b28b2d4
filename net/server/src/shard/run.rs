//! The life of a shard: the loop over its commands, and the calls of its peers.
//!
//! A drained shard does not end by itself: other shards may still be closing their logs, and one shard holds the lock
//! of the data directory for all.

use std::rc::Rc;

use ringlog_reactor::{Reactor, mailbox};
use ringlog_shard::{Call, Inbox, Port};

use super::command::ShardCommand;
use super::data::ProduceSpec;
use super::drain::CallInFlight;
use super::peer::{PeerReply, PeerRequest};
use super::{Shard, ShardSetup};
use crate::connection;

/// Runs a shard until it is told to end, or until nobody is left to command it.
pub(crate) async fn run(
    setup: ShardSetup,
    port: Port<PeerRequest, PeerReply>,
    mut commands: mailbox::Receiver<ShardCommand>,
    reactor: Reactor,
) {
    let (router, inbox) = port.open();
    let shard = Rc::new(Shard::new(&setup, router, reactor.clone()));
    shard.start_retention(setup.retention_interval);
    reactor
        .spawn("peers", serve_peers(Rc::clone(&shard), inbox))
        .detach();
    while let Some(command) = commands.recv().await {
        match command {
            ShardCommand::Drain { answer } => {
                shard.drain().await;
                answer.send(()).ok();
            }
            ShardCommand::End { answer } => {
                shard.release_directory();
                answer.send(()).ok();
                return;
            }
            command => {
                let waiting = commands.len();
                obey(&shard, command, waiting);
            }
        }
    }
}

/// Carries out a command; what takes time goes on by itself.
fn obey(shard: &Rc<Shard>, command: ShardCommand, commands_waiting: usize) {
    let me = Rc::clone(shard);
    let spawn = |name, work: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        shard.reactor.spawn(name, work).detach();
    };
    match command {
        ShardCommand::Open {
            broker,
            partitions,
            answer,
        } => spawn(
            "open",
            Box::pin(async move {
                answer
                    .send(me.open_partitions(broker, partitions).await)
                    .ok();
            }),
        ),
        ShardCommand::Close { partitions, answer } => spawn(
            "close",
            Box::pin(async move {
                me.close_partitions(&partitions).await;
                answer.send(()).ok();
            }),
        ),
        ShardCommand::Delete { topic, answer } => spawn(
            "delete",
            Box::pin(async move { drop(answer.send(me.delete_topic(topic).await)) }),
        ),
        ShardCommand::SetConfig {
            topic,
            configs,
            answer,
        } => spawn(
            "set config",
            Box::pin(async move { drop(answer.send(me.set_config(topic, &configs).await)) }),
        ),
        ShardCommand::Describe { topic, answer } => {
            answer.send(me.describe(topic)).ok();
        }
        ShardCommand::Metrics { answer } => {
            answer.send(me.measure(commands_waiting)).ok();
        }
        ShardCommand::Slow { answer } => {
            answer.send((me.me, me.slow.list(me.reactor.now()))).ok();
        }
        ShardCommand::Publish { view, answer } => {
            shard.set_view(view);
            answer.send(()).ok();
        }
        ShardCommand::Listen { address, answer } => {
            answer.send(me.listen(address)).ok();
        }
        ShardCommand::Accept => me.accept(),
        ShardCommand::Directory { command, answer } => spawn(
            "directory",
            Box::pin(async move {
                let done = me.work_on_directory(command).await;
                answer.send(done.map_err(|error| error.to_string())).ok();
            }),
        ),
        ShardCommand::Drain { .. } | ShardCommand::End { .. } => {}
    }
}

async fn serve_peers(shard: Rc<Shard>, mut inbox: Inbox<PeerRequest, PeerReply>) {
    while let Some(call) = inbox.next().await {
        serve_peer(&shard, call);
    }
}

/// Begins what a peer asks for at once and in the order of the calls; the answer may take longer.
fn serve_peer(shard: &Rc<Shard>, call: Call<PeerRequest, PeerReply>) {
    let (request, mut reply) = call.into_parts();
    let me = CallInFlight::new(shard);
    match request {
        PeerRequest::Adopt(hand_over) => {
            // It counts as open here before it no longer does there.
            connection::adopt(shard, hand_over);
            reply.answer(PeerReply::Adopted);
        }
        PeerRequest::Produce {
            id,
            batches,
            acks,
            expected_offset,
            received,
        } => {
            let begun = shard.begin_produce(ProduceSpec {
                id,
                batches: &batches,
                acks,
                expected_offset,
                received,
            });
            shard
                .reactor
                .spawn("peer produce", async move {
                    reply.answer(PeerReply::Produced(me.shard().finish_produce(begun).await));
                })
                .detach();
        }
        PeerRequest::Collect {
            partitions,
            max_bytes,
        } => shard
            .reactor
            .spawn("peer collect", async move {
                let collected = me.shard().collect(&partitions, max_bytes).await;
                reply.answer(PeerReply::Collected(collected.into_vec()));
            })
            .detach(),
        PeerRequest::Watch(spec) => shard
            .reactor
            .spawn("peer watch", async move {
                let is_wanted = {
                    let ready = std::pin::pin!(me.shard().watch(&spec));
                    let abandoned = std::pin::pin!(reply.abandoned());
                    let first = futures_util::future::select(ready, abandoned).await;
                    matches!(first, futures_util::future::Either::Left(_))
                };
                if is_wanted {
                    reply.answer(PeerReply::Ready);
                }
            })
            .detach(),
        PeerRequest::ListOffsets(partitions) => shard
            .reactor
            .spawn("peer list offsets", async move {
                reply.answer(PeerReply::ListedOffsets(
                    me.shard().list_offsets(&partitions).await,
                ));
            })
            .detach(),
        PeerRequest::CommitOffsets(commit) => {
            let begun = shard.begin_commit(commit);
            shard
                .reactor
                .spawn("peer commit offsets", async move {
                    let results = me.shard().finish_commit(begun).await;
                    reply.answer(PeerReply::CommittedOffsets(results));
                })
                .detach();
        }
        PeerRequest::ReadOffsets(wanted) => {
            reply.answer(PeerReply::ReadOffsets(shard.read_offsets(wanted)));
        }
        PeerRequest::DeleteRecords(partitions) => shard
            .reactor
            .spawn("peer delete records", async move {
                reply.answer(PeerReply::DeletedRecords(
                    me.shard().delete_records(&partitions).await,
                ));
            })
            .detach(),
    }
}
