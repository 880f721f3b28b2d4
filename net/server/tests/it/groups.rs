//! Committed offsets: kept through power loss, out of reach of clients, bounded, gone with their topics.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ringlog_reactor::Reactor;
use ringlog_reactor::sim::CrashKind;
use ringlog_record::{LeaderEpoch, Offset, TopicPartition};
use ringlog_wire::{
    AlterTopicRequest, CommittedOffset, CorrelationId, DeleteRecordsPartition,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicRequest, Encoder, ErrorCode,
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, OffsetCommitPartition, OffsetCommitRequest, OffsetCommitResponse,
    OffsetCommitted, OffsetFetchRequest, OffsetFetchResponse, OffsetPosition, TopicSelection,
};

use crate::client::{Client, partition};
use crate::world::World;

fn at(id: TopicPartition, offset: u64) -> OffsetCommitPartition {
    OffsetCommitPartition {
        id,
        offset: Offset::new(offset),
        leader_epoch: None,
        metadata: String::new(),
    }
}

async fn commit(
    client: &mut Client,
    group: &str,
    partitions: Vec<OffsetCommitPartition>,
) -> Vec<OffsetCommitted> {
    let request = OffsetCommitRequest {
        group: group.to_owned(),
        partitions,
    };
    let answer = client.call(&request, &[]).await;
    assert_eq!(answer.refusal(), None);
    OffsetCommitResponse::decode(answer.body())
        .unwrap()
        .partitions
}

async fn committed(
    client: &mut Client,
    group: &str,
    partitions: Option<Vec<TopicPartition>>,
) -> Vec<CommittedOffset> {
    let request = OffsetFetchRequest {
        group: group.to_owned(),
        partitions,
    };
    let answer = client.call(&request, &[]).await;
    assert_eq!(answer.refusal(), None);
    OffsetFetchResponse::decode(answer.body())
        .unwrap()
        .partitions
}

fn offsets(committed: &[CommittedOffset]) -> Vec<Option<u64>> {
    let offsets = committed.iter().map(|one| one.offset.map(Offset::get));
    offsets.collect()
}

#[test]
fn what_a_group_commits_is_found_again_over_every_shard_and_apart_from_other_groups() {
    let world = World::new(70, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, Some(0)).await;
        client.create_topic("events", 2, &[]).await;
        let topic = client.topic("events").await;
        let ids = vec![partition(&topic, 0), partition(&topic, 1)];
        client.produce(ids[0], &[b"a", b"b", b"c"]).await;
        let nothing = committed(&mut client, "none", Some(ids.clone())).await;
        assert_eq!(offsets(&nothing), [None, None]);
        assert_eq!(nothing[0].state.high_watermark, Offset::new(3));
        assert_eq!(committed(&mut client, "none", None).await, []);
        assert_eq!(
            client.topic("__groups").await.error,
            ErrorCode::UnknownTopic
        );

        // So many groups that each shard coordinates some.
        for group in 0..8_u64 {
            let name = format!("group {group}");
            let mut first = at(ids[0], group);
            first.leader_epoch = Some(LeaderEpoch::new(0));
            first.metadata = format!("of {name}");
            let done = commit(&mut client, &name, vec![first, at(ids[1], 100 + group)]).await;
            assert!(
                done.iter().all(|one| one.error == ErrorCode::None),
                "{done:?}"
            );
            assert_eq!(done[0].state.high_watermark, Offset::new(3));
        }
        let (mut other, _) = Client::connect(&reactor, Some(1)).await;
        for group in 0..8_u64 {
            let name = format!("group {group}");
            for client in [&mut client, &mut other] {
                let found = committed(client, &name, None).await;
                assert_eq!(offsets(&found), [Some(group), Some(100 + group)]);
                assert_eq!(found[0].leader_epoch, Some(LeaderEpoch::new(0)));
                assert_eq!(found[0].metadata, format!("of {name}"));
                assert!(found[0].committed_at.is_some());
                assert_eq!(found[1].leader_epoch, None);
            }
        }
    });
}

#[test]
fn a_broker_that_is_cut_off_does_not_say_that_a_group_has_committed_nothing() {
    const SESSION: Duration = Duration::from_secs(6);
    let world = World::new(77, 2);
    let (_running, session) = world.start_with_timeout(SESSION);
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let request = OffsetFetchRequest {
            group: "mail".to_owned(),
            partitions: None,
        };
        assert_eq!(client.call(&request, &[]).await.refusal(), None);
        session.disconnect();
        reactor.sleep(SESSION / 2).await;
        // Another one may have made the topic of groups by now, and taken commits.
        let refused = client.call(&request, &[]).await.refusal();
        let code = refused.map(|refused| refused.code);
        assert_eq!(code, Some(ErrorCode::NotController));
        session.reconnect();
        reactor.sleep(SESSION).await;
        assert_eq!(client.call(&request, &[]).await.refusal(), None);
    });
}

#[test]
fn the_topic_of_groups_is_out_of_reach_and_out_of_sight() {
    let world = World::new(71, 2);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let id = partition(&client.topic("events").await, 0);
        commit(&mut client, "g", vec![at(id, 1)]).await;
        let listed = |topics| MetadataRequest { topics };
        let names = |answer: &crate::client::Frame| {
            let response = MetadataResponse::decode(answer.body()).unwrap();
            let names = response.topics.into_iter().map(|topic| topic.name);
            names.collect::<Vec<_>>()
        };
        let all = client.call(&listed(TopicSelection::All), &[]).await;
        assert_eq!(names(&all), ["events"]);
        let all = listed(TopicSelection::AllAndInternal);
        let all = client.call(&all, &[]).await;
        assert_eq!(names(&all), ["__groups", "events"]);
        let groups = client.topic("__groups").await;
        assert_eq!(groups.partitions.len(), 50);
        for index in [0, 17, 49] {
            let id = partition(&groups, index);
            let refused = client.produce(id, &[b"x"]).await;
            assert_eq!(refused.error, ErrorCode::Unsupported);
            let before = Offset::ZERO;
            let request = DeleteRecordsRequest {
                partitions: vec![DeleteRecordsPartition { id, before }],
            };
            let answer = client.call(&request, &[]).await;
            let answer = DeleteRecordsResponse::decode(answer.body()).unwrap();
            assert_eq!(answer.partitions[0].error, ErrorCode::Unsupported);
        }
        let name = || "__groups".to_owned();
        let answer = client.call(&DeleteTopicRequest { name: name() }, &[]).await;
        assert_eq!(answer.refusal().unwrap().code, ErrorCode::Unsupported);
        let alter = AlterTopicRequest {
            name: name(),
            set: Vec::new(),
            unset: vec!["retention_ms".to_owned()],
            partition: None,
        };
        let answer = client.call(&alter, &[]).await;
        assert_eq!(answer.refusal().unwrap().code, ErrorCode::Unsupported);
        let found = committed(&mut client, "g", None).await;
        assert_eq!(offsets(&found), [Some(1)]);
    });
}

#[test]
fn an_entry_that_cannot_be_committed_holds_up_no_other() {
    let world = World::new(72, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let topic = client.topic("events").await;
        let (there, lost) = (partition(&topic, 0), partition(&topic, 9));
        let done = commit(&mut client, "g", vec![at(lost, 1), at(there, 2)]).await;
        let codes: Vec<_> = done.iter().map(|one| one.error).collect();
        assert_eq!(codes, [ErrorCode::UnknownPartition, ErrorCode::None]);
        let found = committed(&mut client, "g", Some(vec![there, lost])).await;
        assert_eq!(offsets(&found), [Some(2), None]);
        assert_eq!(found[1].error, ErrorCode::UnknownPartition);
        let texts: Vec<_> = (0..70).map(|_| "m".repeat(1024)).collect();
        assert!(texts.len() * 1024 > ringlog_wire::limits::GROUP_METADATA_BYTES_MAX);
        client.create_topic("wide", 70, &[]).await;
        let wide = client.topic("wide").await;
        let full = (0..)
            .zip(texts)
            .map(|(index, metadata)| OffsetCommitPartition {
                metadata,
                ..at(partition(&wide, index), 1)
            });
        let full = commit(&mut client, "g", full.collect()).await;
        assert!(full.iter().all(|one| one.error == ErrorCode::OffsetsFull));
        assert!(full[0].message.as_ref().unwrap().contains("metadata"));
        assert_eq!(committed(&mut client, "g", None).await.len(), 1);
    });
}

#[test]
fn offsets_of_a_deleted_topic_go() {
    let world = World::new(73, 2);
    world.start();
    let id = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("kept", 1, &[]).await;
        client.create_topic("gone", 1, &[]).await;
        let kept = partition(&client.topic("kept").await, 0);
        let gone = partition(&client.topic("gone").await, 0);
        commit(&mut client, "g", vec![at(kept, 1), at(gone, 2)]).await;
        let name = "gone".to_owned();
        let answer = client.call(&DeleteTopicRequest { name }, &[]).await;
        assert_eq!(answer.refusal(), None);
        let found = committed(&mut client, "g", None).await;
        assert_eq!(offsets(&found), [Some(1)]);
        // The next look at what is stale appends that it is gone: one record behind the two of the commit.
        reactor.sleep(Duration::from_secs(30)).await;
        let groups = client.topic("__groups").await;
        let ends = ends_of(&mut client, &groups, OffsetPosition::Latest).await;
        assert_eq!(ends.iter().sum::<u64>(), 3);
        kept
    });
    world.crash(CrashKind::Power);
    world.start();
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let found = committed(&mut client, "g", None).await;
        assert_eq!((found[0].id, offsets(&found)), (id, vec![Some(1)]));
    });
}

async fn ends_of(
    client: &mut Client,
    topic: &ringlog_wire::TopicMetadata,
    position: OffsetPosition,
) -> Vec<u64> {
    let ids = (0..).take(topic.partitions.len());
    let wanted = ids.map(|index| ListOffsetsPartition {
        id: partition(topic, index),
        position,
    });
    let request = ListOffsetsRequest {
        partitions: wanted.collect(),
    };
    let answer = client.call(&request, &[]).await;
    let answer = ListOffsetsResponse::decode(answer.body()).unwrap();
    let found = answer.partitions.into_iter();
    found.map(|one| one.offset.unwrap().get()).collect()
}

/// What was sent for a partition by a group that only goes forward, and what was acknowledged.
#[derive(Default)]
struct Progress {
    sent: Cell<u64>,
    acknowledged: Cell<u64>,
}

/// Commits larger and larger offsets, each with as much beside it as makes the log long soon.
async fn commit_on(
    reactor: Reactor,
    group: String,
    ids: Vec<TopicPartition>,
    progress: Rc<Progress>,
) {
    let (mut client, _) = Client::connect(&reactor, None).await;
    loop {
        let next = progress.sent.get() + 1;
        progress.sent.set(next);
        let partitions = ids.iter().map(|&id| OffsetCommitPartition {
            metadata: "m".repeat(1000),
            ..at(id, next)
        });
        let request = OffsetCommitRequest {
            group: group.clone(),
            partitions: partitions.collect(),
        };
        let frame = Encoder::new()
            .encode(CorrelationId::new(next), &request)
            .unwrap();
        if client.stream.send(&mut vec![frame]).await.is_err() {
            return;
        }
        let Some(answer) = client.receive().await else {
            return;
        };
        let answer = OffsetCommitResponse::decode(answer.body()).unwrap();
        assert!(
            answer
                .partitions
                .iter()
                .all(|one| one.error == ErrorCode::None)
        );
        progress.acknowledged.set(next);
    }
}

/// The power goes again and again while groups commit, at moments that fall into every step of a snapshot: what was
/// acknowledged is found, and nothing goes back.
#[test]
fn no_power_loss_takes_back_an_acknowledged_commit() {
    const GROUPS: usize = 3;
    let world = World::new(74, 2);
    world.start();
    let ids = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 40, &[]).await;
        let topic = client.topic("events").await;
        (0..40)
            .map(|index| partition(&topic, index))
            .collect::<Vec<_>>()
    });
    let progress: Vec<Rc<Progress>> = (0..GROUPS).map(|_| Rc::default()).collect();
    let trimmed = Rc::new(RefCell::new(Vec::new()));
    for round in 0..8_u64 {
        for (group, progress) in progress.iter().enumerate() {
            let (ids, progress) = (ids.clone(), Rc::clone(progress));
            world.sim.launch_local(world.client, move |reactor| {
                commit_on(reactor, format!("group {group}"), ids, progress)
            });
        }
        let goal = progress[0].acknowledged.get() + 23 + 5 * round;
        let got_there = world.sim.run_until(Duration::from_secs(3600), || {
            progress[0].acknowledged.get() >= goal
        });
        assert!(got_there, "round {round}");
        world.sim.run_for(Duration::from_micros(37 * round));
        world.crash(CrashKind::Power);
        world.sim.run_for(Duration::from_secs(60));
        world.start();
        let (ids, progress, trimmed) = (ids.clone(), progress.clone(), Rc::clone(&trimmed));
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            for (group, progress) in progress.iter().enumerate() {
                let found = committed(&mut client, &format!("group {group}"), None).await;
                assert_eq!(found.len(), ids.len());
                let all = offsets(&found);
                let (one, sent) = (all[0].unwrap(), progress.sent.get());
                assert!(
                    all.iter().all(|other| *other == all[0]),
                    "a commit is whole: {all:?}"
                );
                let range = progress.acknowledged.get()..=sent;
                assert!(range.contains(&one), "{one} is not within {range:?}");
                progress.acknowledged.set(one);
                assert!(found.iter().all(|one| one.metadata.len() == 1000));
            }
            let groups = client.topic("__groups").await;
            let starts = ends_of(&mut client, &groups, OffsetPosition::Earliest).await;
            trimmed.replace(starts);
        });
    }
    let trimmed = trimmed.borrow();
    let moved = trimmed.iter().filter(|&&start| start > 0).count();
    assert!(moved >= GROUPS - 1, "no log was made shorter: {trimmed:?}");
}
