use std::fmt::Debug;

use ringlog_record::{BrokerId, LeaderEpoch, TopicId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::config::ConfigChanges;
use crate::paths;

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: T, json: &str) {
    let path = paths::cluster();
    let payload = Payload::new(body);
    assert_eq!(
        String::from_utf8(payload.encode(&path).unwrap()).unwrap(),
        json
    );
    assert_eq!(Payload::decode(&path, json.as_bytes()), Ok(payload));
}

#[test]
fn golden_json_of_every_record() {
    let broker = BrokerId::new(1);
    let hex = "0000000000000000000000000000000a";
    check(
        ClusterRecord {
            cluster_id: ClusterId::new(10),
        },
        &format!(r#"{{"v":1,"cluster_id":"{hex}"}}"#),
    );
    check(
        ControllerRecord {
            broker,
            broker_epoch: BrokerEpoch::new(7),
            controller_epoch: ControllerEpoch::new(2),
        },
        r#"{"v":1,"broker":1,"broker_epoch":7,"controller_epoch":2}"#,
    );
    check(
        ControllerEpochRecord {
            epoch: ControllerEpoch::new(2),
        },
        r#"{"v":1,"epoch":2}"#,
    );
    check(
        BrokerRegistration {
            incarnation: Incarnation::new(10),
            addresses: vec!["127.0.0.1:9400".to_owned()],
            cores: 3,
            rack: None,
            directories: vec![DirectoryId::new(10)],
            software: "ringlog 1".to_owned(),
        },
        &format!(
            r#"{{"v":1,"incarnation":"{hex}","addresses":["127.0.0.1:9400"],"cores":3,"directories":["{hex}"],"software":"ringlog 1"}}"#
        ),
    );
    check(BrokerLease { counter: 4 }, r#"{"v":1,"counter":4}"#);
    check(
        BrokerState {
            state: BrokerLife::Active,
            broker_epoch: BrokerEpoch::new(7),
            directories: vec![DirectoryId::new(10)],
            drain: false,
        },
        &format!(r#"{{"v":1,"state":"active","broker_epoch":7,"directories":["{hex}"]}}"#),
    );
    check(
        BrokerReport {
            broker_epoch: BrokerEpoch::new(7),
            applied: Revision::new(12),
            draining: false,
            unremoved: vec![TopicId::new(10)],
        },
        &format!(
            r#"{{"v":1,"broker_epoch":7,"applied":12,"draining":false,"unremoved":["{hex}"]}}"#
        ),
    );
    check(
        ChangesRecord {
            revision: Revision::new(12),
            recent: vec![
                Change {
                    revision: Revision::new(11),
                    topics: None,
                },
                Change {
                    revision: Revision::new(12),
                    topics: Some(vec!["orders".to_owned()]),
                },
            ],
        },
        r#"{"v":1,"revision":12,"recent":[{"revision":11},{"revision":12,"topics":["orders"]}]}"#,
    );
    let changes = ConfigChanges::parse(["flush_ms=5", "retention_ms=-1"]).unwrap();
    check(
        TopicRecord {
            topic_id: TopicId::new(10),
            partitions: 4,
            config: TopicOverrides::default().changed_by(&changes),
            partition_config: Vec::new(),
            state: TopicState::Active,
        },
        &format!(
            r#"{{"v":1,"topic_id":"{hex}","partitions":4,"config":{{"flush_ms":5,"retention_ms":-1}},"state":"active"}}"#
        ),
    );
    check(
        AssignmentChunk {
            partitions: vec![Placement::settled(vec![broker], Slot::new(9))],
        },
        r#"{"v":1,"partitions":[{"replicas":[1],"adding":[],"removing":[],"slot":9}]}"#,
    );
    check(
        PartitionState {
            leader: Some(broker),
            leader_epoch: LeaderEpoch::new(5),
            isr: vec![IsrMember {
                id: broker,
                broker_epoch: BrokerEpoch::new(7),
            }],
            elr: vec![],
            min_isr: 1,
            recovery: false,
            controller_epoch: ControllerEpoch::new(2),
        },
        r#"{"v":1,"leader":1,"leader_epoch":5,"isr":[{"id":1,"broker_epoch":7}],"elr":[],"min_isr":1,"recovery":false,"controller_epoch":2}"#,
    );
    check(PidBlock { next: 1000 }, r#"{"v":1,"next":1000}"#);
    let config = BTreeMap::from([("a".to_owned(), Value::from(1))]);
    check(ConfigRecord { config }, r#"{"v":1,"config":{"a":1}}"#);
}

#[test]
fn unknown_fields_survive_a_rewrite() {
    let path = paths::cluster();
    let stored = br#"{"v":1,"counter":1,"later":{"x":[1]},"also":null}"#;
    let mut lease: Payload<BrokerLease> = Payload::decode(&path, stored).unwrap();
    lease.body.counter = 2;
    let rewritten: Value = serde_json::from_slice(&lease.encode(&path).unwrap()).unwrap();
    let expected: Value =
        serde_json::from_str(r#"{"v":1,"counter":2,"later":{"x":[1]},"also":null}"#).unwrap();
    assert_eq!(rewritten, expected);

    let stored =
        r#"{"v":1,"partitions":[{"replicas":[1],"adding":[],"removing":[],"slot":9,"later":1}]}"#;
    let chunk: Payload<AssignmentChunk> = Payload::decode(&path, stored.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(chunk.encode(&path).unwrap()).unwrap(),
        stored
    );
}

#[test]
fn a_newer_version_is_refused_with_both_numbers() {
    let error =
        Payload::<BrokerLease>::decode(&paths::pid_block(), br#"{"v":2,"beats":1}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/pid_block has version 2, this program understands up to 1: use a newer program"
    );
}

#[test]
fn what_is_not_the_record_is_refused_with_its_path() {
    for bad in [
        "",
        "{}",
        "[]",
        "nonsense",
        r#"{"counter":1}"#,
        r#"{"v":1}"#,
        r#"{"v":1,"counter":-1}"#,
        r#"{"v":"1","counter":1}"#,
    ] {
        let error =
            Payload::<BrokerLease>::decode(&paths::pid_block(), bad.as_bytes()).unwrap_err();
        assert!(
            matches!(&error, RecordError::Malformed { .. }),
            "{bad}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("/pid_block in the metadata store")
        );
    }
}
