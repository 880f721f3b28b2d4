use std::path::Path;

use clap::Parser;

use super::Settings;
use crate::cli::{Cli, Command};
use crate::error::CommandError;

fn settings(args: &[&str]) -> Result<Settings, CommandError> {
    let cli = Cli::parse_from(["ringlog", "broker"].iter().chain(args));
    let Command::Broker(arguments) = cli.command else {
        panic!("{cli:?}");
    };
    Settings::new(&arguments)
}

#[test]
fn defaults_stay_on_this_machine() {
    let settings = settings(&["--cores", "none"]).unwrap();
    assert_eq!(settings.broker.listen.to_string(), "127.0.0.1:9400");
    assert_eq!(settings.admin.unwrap().to_string(), "127.0.0.1:9401");
    assert_eq!(settings.broker.data_dir, Path::new("./ringlog-data"));
    assert_eq!(settings.broker.memory_bytes, 1 << 30);
    assert_eq!(settings.broker.shards.get(), 1);
}

#[test]
fn admin_port_can_be_left_out() {
    assert_eq!(settings(&["--admin", "none"]).unwrap().admin, None);
}

#[test]
fn shards_without_cores_are_as_many_as_asked_for() {
    let settings = settings(&["--cores", "none", "--shards", "5"]).unwrap();
    assert_eq!(settings.broker.shards.get(), 5);
    assert!(settings.broker.cpus.is_empty());
}

#[track_caller]
fn check_refused(args: &[&str], said: &[&str]) {
    let refused = settings(args).unwrap_err().to_string();
    for part in said {
        assert!(refused.contains(part), "{part:?} is not in {refused:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    check_refused(&["--cores", "most"], &["--cores", "auto", "none"]);
    check_refused(&["--cores", "0,0"], &["--cores", "twice"]);
    check_refused(
        &["--cores", "0", "--shards", "2"],
        &["--shards", "--cores none"],
    );
    check_refused(
        &["--cores", "none", "--shards", "0"],
        &["--shards", "at least one"],
    );
    check_refused(&["--spin-us", "1000"], &["--spin-us", "200"]);
    check_refused(
        &["--connections-max", "0"],
        &["--connections-max", "1", "10000"],
    );
    check_refused(
        &["--connections-max", "10001"],
        &["--connections-max", "10000"],
    );
    check_refused(&["--admin", "here"], &["--admin", "127.0.0.1:9401", "none"]);
    check_refused(&["--memory", "1MiB"], &["memory", "1.00 MiB", "at least"]);
    check_refused(&["--log", "loud"], &["--log", "debug"]);
}

#[test]
fn a_broker_on_zookeeper_has_a_number() {
    let args = [
        "--zookeeper",
        "a:1,b:2/r",
        "--broker-id",
        "3",
        "--cores",
        "none",
    ];
    let settings = settings(&args).unwrap();
    assert_eq!(settings.zookeeper.unwrap().to_string(), "a:1,b:2/r");
    assert_eq!(settings.broker.broker.get(), 3);
    check_refused(&["--zookeeper", "a:1"], &["--broker-id"]);
}
