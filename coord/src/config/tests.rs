use proptest::prelude::*;
use ringlog_record::PartitionIndex;

use super::{
    Cleanup, ConfigChanges, ConfigError, Durability, PartitionOverrides, SETTINGS, TimestampType,
    TopicConfig, TopicConfigs, TopicOverrides,
};

fn resolve(texts: &[&str]) -> Result<TopicConfig, ConfigError> {
    let changes = ConfigChanges::parse(texts.iter().copied())?;
    TopicOverrides::default().changed_by(&changes).resolve(1)
}

#[test]
fn defaults_are_those_of_the_design() {
    let config = resolve(&[]).unwrap();
    assert_eq!(config.durability, Durability::Sync);
    assert_eq!(config.retention_ms, Some(604_800_000));
    assert_eq!(config.retention_bytes, None);
    assert_eq!(config.segment_bytes, 268_435_456);
    assert_eq!(config.segment_ms, 86_400_000);
    assert_eq!(config.flush_ms, 20);
    assert_eq!(config.cleanup, Cleanup::Delete);
    assert_eq!(config.delete_retention_ms, 86_400_000);
    assert_eq!(config.max_batch_bytes, 1_048_576);
    assert_eq!(config.timestamp_type, TimestampType::Create);
    assert_eq!(config.min_isr, 1);
    assert!(!config.unclean_election && !config.fresh_reads);
    assert_eq!(TopicConfig::defaults(2).min_isr, 1);
    assert_eq!(TopicConfig::defaults(3).min_isr, 2);
}

#[test]
fn the_table_writes_the_defaults_that_apply() {
    for setting in &SETTINGS {
        if setting.key == "min_isr" || setting.key == "delete_retention_ms" {
            continue;
        }
        let text = format!("{}={}", setting.key, setting.default);
        assert_eq!(resolve(&[&text]), resolve(&[]), "{text}");
    }
}

#[test]
fn units_are_understood_and_stored_plainly() {
    let texts = [
        "durability=async",
        "retention_ms=36h",
        "retention_bytes=10GiB",
        "segment_bytes=16MiB",
        "segment_ms=1h",
        "flush_ms=5",
        "max_batch_bytes=4MiB",
        "timestamp_type=append",
        "min_isr=1",
        "unclean_election=false",
        "cleanup=delete",
    ];
    let changes = ConfigChanges::parse(texts).unwrap();
    let overrides = TopicOverrides::default().changed_by(&changes);
    assert_eq!(
        serde_json::to_string(&overrides).unwrap(),
        "{\"cleanup\":\"delete\",\"durability\":\"async\",\"flush_ms\":5,\
         \"max_batch_bytes\":4194304,\"min_isr\":1,\"retention_bytes\":10737418240,\
         \"retention_ms\":129600000,\"segment_bytes\":16777216,\"segment_ms\":3600000,\
         \"timestamp_type\":\"append\",\"unclean_election\":false}"
    );
    let config = overrides.resolve(1).unwrap();
    assert_eq!(config.durability, Durability::Async);
    assert_eq!(config.retention_ms, Some(129_600_000));
    assert_eq!(config.retention_bytes, Some(10_737_418_240));
    assert_eq!(config.timestamp_type, TimestampType::Append);
    assert_eq!(config.max_batch_bytes, 4_194_304);
}

#[test]
fn minus_one_takes_the_bound_away() {
    let config = resolve(&["retention_ms=-1", "retention_bytes=-1"]).unwrap();
    assert_eq!((config.retention_ms, config.retention_bytes), (None, None));
    assert!(resolve(&["segment_ms=-1"]).is_err());
}

#[test]
fn default_takes_an_override_back() {
    let set = ConfigChanges::parse(["retention_ms=1h", "flush_ms=7"]).unwrap();
    let back = ConfigChanges::parse(["retention_ms=default"]).unwrap();
    let overrides = TopicOverrides::default().changed_by(&set).changed_by(&back);
    let config = overrides.resolve(1).unwrap();
    assert_eq!(
        (config.retention_ms, config.flush_ms),
        (Some(604_800_000), 7)
    );
    let shown: Vec<String> = config
        .entries(&overrides)
        .into_iter()
        .filter(|entry| entry.overridden)
        .map(|entry| entry.to_string())
        .collect();
    assert_eq!(shown, ["flush_ms=7"]);
}

fn refused(text: &str) -> String {
    resolve(&[text]).unwrap_err().to_string()
}

#[test]
fn an_error_names_key_value_and_what_is_allowed() {
    assert_eq!(
        refused("retention_ms=7 weeks"),
        "retention_ms cannot be \"7 weeks\"; allowed: 1ms to 36600d, or -1 for no bound \
         (units: ms, s, m, h, d)"
    );
    assert_eq!(
        refused("max_batch_bytes=5MiB"),
        "max_batch_bytes cannot be \"5MiB\"; allowed: 1KiB to 4MiB (units: B, KiB, MiB, GiB, TiB)"
    );
    assert_eq!(
        refused("durability=maybe"),
        "durability cannot be \"maybe\"; allowed: sync, async, memory"
    );
    assert_eq!(
        refused("min_isr=two"),
        "min_isr cannot be \"two\"; allowed: 1 to 7"
    );
    assert_eq!(
        refused("durability"),
        "\"durability\" is not of the form key=value"
    );
    let unknown = refused("retention=7d");
    assert!(unknown.starts_with(
        "there is no topic setting \"retention\"; there are: durability, retention_ms,"
    ));
    let twice = ConfigChanges::parse(["flush_ms=1", "flush_ms=2"]).unwrap_err();
    assert_eq!(twice, ConfigError::Twice { key: "flush_ms" });
}

#[test]
fn what_does_not_exist_yet_is_refused_as_reserved() {
    for (text, sentence) in [
        (
            "cleanup=compact",
            "cleanup=compact is reserved, not available yet; allowed: delete",
        ),
        (
            "unclean_election=true",
            "unclean_election=true is reserved, not available yet; allowed: false",
        ),
        (
            "fresh_reads=true",
            "fresh_reads=true is reserved, not available yet; allowed: false",
        ),
        (
            "delete_retention_ms=2d",
            "delete_retention_ms=2d is reserved, not available yet; allowed: only its default, 1d",
        ),
    ] {
        assert_eq!(refused(text), sentence);
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    assert_eq!(
        refused("min_isr=2"),
        "min_isr=2 does not fit: the topic has 1 replica(s), nothing could ever be acknowledged"
    );
    let both = resolve(&["segment_bytes=1MiB", "max_batch_bytes=2MiB"]).unwrap_err();
    assert!(matches!(
        both,
        ConfigError::Unfit {
            key: "max_batch_bytes",
            ..
        }
    ));
}

#[test]
fn unknown_stored_keys_are_kept_and_known_ones_checked() {
    let stored = "{\"flush_ms\":3,\"from_the_future\":[1,2]}";
    let overrides: TopicOverrides = serde_json::from_str(stored).unwrap();
    assert_eq!(overrides.resolve(1).unwrap().flush_ms, 3);
    let back = ConfigChanges::parse(["flush_ms=default"]).unwrap();
    let rewritten = serde_json::to_string(&overrides.changed_by(&back)).unwrap();
    assert_eq!(rewritten, "{\"from_the_future\":[1,2]}");

    let edited: TopicOverrides = serde_json::from_str("{\"flush_ms\":\"soon\"}").unwrap();
    assert!(matches!(
        edited.resolve(1),
        Err(ConfigError::BadValue {
            key: "flush_ms",
            ..
        })
    ));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(key in "[a-z_]{0,12}|retention_ms|segment_bytes|min_isr", value in ".{0,24}") {
        let _any = ConfigChanges::parse_pairs([(key.as_str(), value.as_str())]);
    }

    #[test]
    fn what_is_shown_can_be_given_again(ms in 1_u64..1 << 40, bytes in 1_u64 << 20..=1 << 28) {
        let texts = [format!("retention_ms={ms}"), format!("segment_bytes={bytes}")];
        let config = resolve(&[&texts[0], &texts[1]]).unwrap();
        prop_assert_eq!((config.retention_ms, config.segment_bytes), (Some(ms), bytes));
        let overrides = TopicOverrides::default();
        let shown: Vec<String> = config
            .entries(&overrides)
            .iter()
            .filter(|entry| entry.key != "delete_retention_ms")
            .map(ToString::to_string)
            .collect();
        let again: Vec<&str> = shown.iter().map(String::as_str).collect();
        prop_assert_eq!(resolve(&again), Ok(config));
    }
}

#[test]
fn a_topic_in_memory_says_how_much_of_it() {
    let resolved = |texts: &[&str]| {
        let changes = ConfigChanges::parse(texts.iter().copied()).unwrap();
        TopicOverrides::default().changed_by(&changes).resolve(1)
    };
    let refused = resolved(&["durability=memory"]).unwrap_err().to_string();
    assert!(
        refused.starts_with("durability=memory does not fit: retention_bytes has to say"),
        "{refused}"
    );
    let config = resolved(&["durability=memory", "retention_bytes=64MiB"]).unwrap();
    assert_eq!(config.durability, Durability::Memory);
}

#[test]
fn a_partition_has_its_own_durability_and_nothing_else_of_its_own() {
    let changes = |text| ConfigChanges::parse([text]).unwrap();
    let (one, two) = (PartitionIndex::new(1), PartitionIndex::new(2));
    let set = PartitionOverrides::changed_by(&[], two, &changes("durability=async")).unwrap();
    let set = PartitionOverrides::changed_by(&set, one, &changes("durability=memory")).unwrap();
    assert_eq!(set[0].durability(), Some("memory"));
    let topic = TopicOverrides::default().changed_by(&changes("retention_bytes=1MiB"));
    let configs = TopicConfigs::resolve(&topic, &set, 1).unwrap();
    assert_eq!(
        configs.of(PartitionIndex::new(0)).durability,
        Durability::Sync
    );
    assert_eq!(configs.of(one).durability, Durability::Memory);
    assert_eq!(configs.of(one).retention_bytes, Some(1 << 20));
    assert_eq!(configs.of(two).durability, Durability::Async);
    let unbounded = TopicConfigs::resolve(&TopicOverrides::default(), &set, 1);
    assert!(matches!(unbounded, Err(ConfigError::Unfit { .. })));
    let back = PartitionOverrides::changed_by(&set, two, &changes("durability=default")).unwrap();
    assert_eq!(back.len(), 1);
    let refused = PartitionOverrides::changed_by(&set, one, &changes("retention_ms=1h"));
    assert_eq!(
        refused,
        Err(ConfigError::NotOfPartition {
            key: "retention_ms"
        })
    );
}
