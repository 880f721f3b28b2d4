//! The records of the metadata store: the first byte of the input says which, the rest is what a store gives.

use std::fmt::Debug;

use ringlog_coord::records::{
    AssignmentChunk, BrokerLease, BrokerRegistration, BrokerReport, BrokerState, ChangesRecord,
    ClusterRecord, ConfigRecord, ControllerEpochRecord, ControllerRecord, PartitionState, Payload,
    PidBlock, TopicRecord,
};
use ringlog_coord::store::NodePath;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::unsealed;
use crate::{INPUT_BYTES_MAX, Target};

/// See the module.
pub const TARGET: Target = Target {
    name: "metadata",
    run: metadata,
    samples,
    seal: unsealed,
    // Each number of two bytes may become a value of a tree.
    memory_bytes_max: 256 * INPUT_BYTES_MAX,
    rounds: 400_000,
};

/// A record that is accepted comes back, with the fields of it that are not known yet.
pub fn metadata(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else {
        return false;
    };
    match kind % 13 {
        0 => record::<ClusterRecord>(data),
        1 => record::<ControllerRecord>(data),
        2 => record::<ControllerEpochRecord>(data),
        3 => record::<BrokerRegistration>(data),
        4 => record::<BrokerLease>(data),
        5 => record::<BrokerState>(data),
        6 => record::<TopicRecord>(data),
        7 => record::<AssignmentChunk>(data),
        8 => record::<PartitionState>(data),
        9 => record::<PidBlock>(data),
        10 => record::<BrokerReport>(data),
        11 => record::<ChangesRecord>(data),
        _ => record::<ConfigRecord>(data),
    }
}

fn record<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> bool {
    let path = NodePath::root();
    let Ok(found) = Payload::<T>::decode(&path, data) else {
        return false;
    };
    let again = found
        .encode(&path)
        .and_then(|bytes| Payload::<T>::decode(&path, &bytes));
    match again {
        Ok(again) => assert_eq!(again, found),
        Err(error) => panic!("a record that was written is refused: {error}"),
    }
    true
}

fn samples() -> Vec<Vec<u8>> {
    let id = "00112233445566778899aabbccddeeff";
    let texts = [
        (0, format!(r#"{{"v":1,"cluster_id":"{id}"}}"#)),
        (1, r#"{"v":1,"broker":1,"broker_epoch":3,"controller_epoch":2}"#.to_owned()),
        (2, r#"{"v":1,"epoch":2}"#.to_owned()),
        (
            3,
            format!(
                r#"{{"v":1,"incarnation":"{id}","addresses":["a:1"],"cores":2,"directories":["{id}"]}}"#
            ),
        ),
        (4, r#"{"v":1,"counter":9}"#.to_owned()),
        (5, format!(r#"{{"v":1,"state":"active","broker_epoch":3,"directories":["{id}"]}}"#)),
        (
            6,
            format!(
                r#"{{"v":1,"topic_id":"{id}","partitions":3,"config":{{"retention_ms":5}},"state":"active","x":1}}"#
            ),
        ),
        (
            7,
            r#"{"v":1,"partitions":[{"replicas":[1,2],"slot":3,"later":[1e300]}]}"#.to_owned(),
        ),
        (
            8,
            r#"{"v":1,"leader":1,"leader_epoch":4,"isr":[{"id":1,"broker_epoch":2}],"min_isr":1,"controller_epoch":1}"#
                .to_owned(),
        ),
        (9, r#"{"v":1,"next":4000}"#.to_owned()),
        (10, format!(r#"{{"v":1,"broker_epoch":3,"applied":7,"draining":true,"unremoved":["{id}"]}}"#)),
        (11, r#"{"v":1,"revision":7,"recent":[{"revision":6},{"revision":7,"topics":["a"]}]}"#.to_owned()),
        (12, r#"{"v":1,"config":{"a":"b","c":-1.5}}"#.to_owned()),
    ];
    let input = |(kind, text): (u8, String)| [&[kind], text.as_bytes()].concat();
    texts.into_iter().map(input).collect()
}
