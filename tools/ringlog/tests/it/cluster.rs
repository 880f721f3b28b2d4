//! Three brokers, one cluster, a real ZooKeeper: what users see when brokers come and go.

mod cut;
mod link;
mod reassign;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ringlog_zookeeper::Server;
use serde_json::Value;
use tempfile::TempDir;

use self::link::{FAR, Link, NEAR};
use crate::process::{Broker, Guard, Start, data_of, directory, spawn};
use crate::python::libraries;

/// How long the cluster may take to settle on a machine that is busy: sessions, elections, restarts.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);
const PARTITIONS: usize = 6;

struct Cluster {
    server: Server,
    /// Between broker 1 and all others, with ZooKeeper; none where all are on one loopback.
    link: Option<Link>,
    directories: BTreeMap<u32, TempDir>,
    brokers: BTreeMap<u32, Broker>,
}

impl Cluster {
    fn start() -> Self {
        Self::start_over(None)
    }

    /// With broker 1 behind a link that can be cut.
    fn with_link() -> Self {
        Self::start_over(Some(Link::new()))
    }

    fn start_over(link: Option<Link>) -> Self {
        let near = link.as_ref().map_or(Ipv4Addr::LOCALHOST, |_| NEAR);
        let mut cluster = Self {
            server: Server::start_at(IpAddr::V4(near)).unwrap(),
            link,
            directories: (1..=3).map(|id| (id, directory())).collect(),
            brokers: BTreeMap::new(),
        };
        for id in 1..=3 {
            cluster.start_broker(id, 0);
        }
        cluster
    }

    fn start_broker(&mut self, id: u32, port: u16) {
        let zookeeper = format!("{}/ringlog", self.server.address());
        let args = ["--zookeeper", &zookeeper, "--broker-id", &id.to_string()];
        let start = |host: Ipv4Addr| {
            let start = Start {
                args: &args,
                host,
                port,
                ..Start::new(self.directories[&id].path())
            };
            start.broker()
        };
        let broker = match &self.link {
            None => start(Ipv4Addr::LOCALHOST),
            Some(link) if id == 1 => link.at_far(|| start(FAR)),
            Some(_) => start(NEAR),
        };
        self.brokers.insert(id, broker);
    }

    /// Does something on the side of broker 1.
    fn at_far<T>(&self, work: impl FnOnce() -> T) -> T {
        self.link.as_ref().unwrap().at_far(work)
    }

    fn cut(&self) {
        self.link.as_ref().unwrap().cut();
    }

    fn mend(&self) {
        self.link.as_ref().unwrap().mend();
    }

    fn broker(&self, id: u32) -> &Broker {
        &self.brokers[&id]
    }

    /// Who leads each partition of the topic, as one broker tells.
    fn leaders(&self, asked: u32) -> Vec<Option<u64>> {
        let described = self
            .broker(asked)
            .run(&["topic", "describe", "events", "--output", "json"], b"");
        if described.code != Some(0) {
            return Vec::new();
        }
        let described = described.json();
        let partitions = described["partitions"].as_array().unwrap();
        partitions
            .iter()
            .map(|one| one["leader"].as_u64())
            .collect()
    }

    /// Waits until each partition is led by a broker that is there, as far as its only replica is, and all brokers agree.
    fn settled(&self, what: &str, home: &[Option<u64>]) -> Duration {
        let began = Instant::now();
        let is_there = |leader: &u64| self.brokers.contains_key(&u32::try_from(*leader).unwrap());
        let wanted: Vec<Option<u64>> = home.iter().map(|one| one.filter(is_there)).collect();
        loop {
            let seen: Vec<_> = self.brokers.keys().map(|id| self.leaders(*id)).collect();
            if seen.iter().all(|leaders| *leaders == wanted) {
                println!(
                    "{what}: every partition whose broker is there has its leader after {:?}",
                    began.elapsed()
                );
                return began.elapsed();
            }
            let logs = || {
                self.brokers
                    .values()
                    .map(Broker::log)
                    .collect::<Vec<_>>()
                    .join("\n---\n")
            };
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {seen:?}, not {wanted:?}\n{}",
                logs()
            );
            thread::sleep(PAUSE);
        }
    }

    /// A line of its own into each partition, through any broker.
    fn produce(&self, asked: u32, line: &str) {
        for partition in 0..PARTITIONS {
            let args = ["produce", "events", "--partition", &partition.to_string()];
            self.broker(asked)
                .run(&args, format!("{line}\n").as_bytes())
                .ok();
        }
    }

    fn lines(&self, asked: u32) -> BTreeMap<String, usize> {
        let out = self.broker(asked).ok(&["consume", "events", "--until-end"]);
        let mut counts = BTreeMap::new();
        for line in String::from_utf8(out).unwrap().lines() {
            *counts.entry(line.to_owned()).or_default() += 1;
        }
        counts
    }
}

/// A program with another ZooKeeper client that watches the documented nodes.
struct Watcher {
    process: Guard,
    lines: Receiver<String>,
    ask: ChildStdin,
}

impl Watcher {
    fn start(server: &Server) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/watch_zookeeper.py");
        let mut python = Command::new("python3");
        python
            .arg(script)
            .args([&server.address().to_string(), "/ringlog"])
            .env("PYTHONPATH", libraries())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = Guard::of(python.spawn().unwrap());
        let (stdout, ask) = (process.stdout(), process.stdin());
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                tell.send(line).ok();
            }
        });
        Self {
            process,
            lines,
            ask,
        }
    }

    /// Waits for a line.
    fn expect(&self, wanted: &str) {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if line == wanted {
                return;
            }
            seen.push(line);
        }
        panic!("{wanted:?} did not come, but {seen:?}");
    }
}

#[test]
fn any_zookeeper_client_sees_who_is_alive_and_who_leads() {
    let mut cluster = Cluster::start();
    let mut watcher = Watcher::start(&cluster.server);
    let alive = |cluster: &Cluster| {
        let brokers = cluster.brokers.iter();
        let brokers: Vec<String> = brokers
            .map(|(id, broker)| format!("{id}@{}", broker.address))
            .collect();
        format!("brokers {}", brokers.join(" "))
    };
    watcher.expect(&alive(&cluster));
    cluster
        .broker(1)
        .ok(&["topic", "create", "events", "--partitions", "6"]);
    let leader = cluster.leaders(1)[0].unwrap();
    watcher.ask.write_all(b"events\n").unwrap();
    watcher.expect(&format!(
        "topic partitions=6 state=active leader={leader} replicas=[{leader}] controller=1"
    ));
    cluster.brokers.remove(&2).unwrap().terminate();
    watcher.expect(&alive(&cluster));
    cluster.brokers.remove(&3).unwrap().kill();
    watcher.expect(&alive(&cluster));
    drop(watcher.ask);
    assert_eq!(watcher.process.wait("the watcher"), Some(0));
}

#[test]
fn status_and_watch_tell_of_brokers_leaders_and_what_is_offline() {
    let mut cluster = Cluster::start();
    cluster
        .broker(1)
        .ok(&["topic", "create", "events", "--partitions", "6"]);
    let status = |cluster: &Cluster| {
        let status = cluster
            .broker(1)
            .run(&["cluster", "status", "--output", "json"], b"");
        status.json()
    };
    let now = status(&cluster);
    assert_eq!(
        (&now["controller"], &now["partitions"]),
        (&Value::from(1), &Value::from(6)),
        "{now}"
    );
    let brokers = now["brokers"].as_array().unwrap();
    assert!(
        brokers
            .iter()
            .all(|one| one["state"] == "active" && one["leaders"] == 2),
        "{now}"
    );
    assert_eq!(now["offline"], Value::from(Vec::<Value>::new()));

    let address = cluster.broker(1).address.to_string();
    let args = [
        "cluster",
        "watch",
        "--output",
        "json",
        "--bootstrap",
        &address,
    ];
    let mut watching = spawn(&args, Stdio::null());
    let (tell, events) = channel();
    let stdout = watching.stdout();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            tell.send(serde_json::from_str::<Value>(&line).unwrap())
                .ok();
        }
    });
    let first = events.recv_timeout(PATIENCE).unwrap();
    assert_eq!(first["brokers"].as_array().unwrap().len(), 3, "{first}");
    cluster.brokers.remove(&3).unwrap().terminate();
    let (mut gone, mut offline) = (0, 0);
    while gone < 1 || offline < 2 {
        let event = events.recv_timeout(PATIENCE).unwrap();
        gone += usize::from(
            event["event"] == "broker" && event["broker"] == 3 && event["state"] == "gone",
        );
        offline += usize::from(event["event"] == "leader" && event["leader"].is_null());
    }
    let now = status(&cluster);
    assert_eq!(now["offline"].as_array().unwrap().len(), 2, "{now}");
    let refused = ["topic", "create", "copied", "--replication-factor", "2"];
    cluster
        .broker(2)
        .run(&refused, b"")
        .refused(1, &["replication factor of 2 is not available yet"]);
}

#[test]
fn a_broker_that_is_drained_gets_nothing_new_and_zookeeper_leads_to_the_others() {
    let cluster = Cluster::start();
    let zookeeper = format!("zk://{}/ringlog", cluster.server.address());
    let run = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--bootstrap", &zookeeper]);
        crate::process::run(&args, b"")
    };
    run(&["topic", "create", "before", "--partitions", "6"]).ok();
    let drained = String::from_utf8(run(&["cluster", "drain", "2"]).ok()).unwrap();
    assert_eq!(
        drained,
        "broker 2 gets nothing new until it registers anew\nit leads 2 partitions still, since no other broker has the records\n"
    );
    run(&["topic", "create", "events", "--partitions", "6"]).ok();
    let leaders = cluster.leaders(2);
    assert_eq!(spread(&leaders), BTreeMap::from([(1, 3), (3, 3)]));
    let status = run(&["cluster", "status", "--output", "json"]).json();
    assert_eq!(status["brokers"][1]["state"], "draining", "{status}");
    let elected = run(&["cluster", "elect-leaders", "--topic", "events"]).ok();
    assert_eq!(elected, b"0 leaders moved\n");

    run(&["cluster", "drain", "9"]).refused(1, &["broker 9"]);
    run(&["cluster", "elect-leaders", "--topic", "none"]).refused(1, &["none"]);
    let elsewhere = format!("zk://{}/mistyped", cluster.server.address());
    let refused = ["topic", "list", "--bootstrap", &elsewhere];
    crate::process::run(&refused, b"").refused(1, &["no broker is registered at", "/mistyped"]);
    let refused = ["topic", "list", "--bootstrap", "zk://nowhere"];
    crate::process::run(&refused, b"").refused(2, &["not host:port"]);
}

fn spread(leaders: &[Option<u64>]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for leader in leaders.iter().flatten() {
        *counts.entry(*leader).or_default() += 1;
    }
    counts
}

#[test]
fn brokers_share_topics_and_come_and_go() {
    let mut cluster = Cluster::start();
    let create = ["topic", "create", "events", "--partitions", "6"];
    // Broker 1 was first and is the controller; whoever is asked, the answer is the same.
    cluster.broker(3).ok(&create);
    let home = cluster.leaders(2);
    assert_eq!(spread(&home), BTreeMap::from([(1, 2), (2, 2), (3, 2)]));
    cluster.produce(2, "before");
    assert_eq!(
        cluster.lines(1),
        BTreeMap::from([("before".to_owned(), PARTITIONS)])
    );
    let described = cluster
        .broker(2)
        .run(&["topic", "describe", "events", "--output", "json"], b"")
        .json();
    let ends: BTreeSet<u64> = described["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["log_end"].as_u64().unwrap())
        .collect();
    assert_eq!(
        ends,
        BTreeSet::from([1]),
        "each leader tells of its own logs: {described}"
    );

    let alter = ["topic", "alter", "events", "--config", "retention_ms=9d"];
    cluster.broker(2).ok(&alter);
    let config = |id| {
        let described = cluster
            .broker(id)
            .run(&["topic", "describe", "events", "--output", "json"], b"");
        described.json()["config"]["retention_ms"].clone()
    };
    let nine_days = Value::from((9 * 24 * 3_600_000_u64).to_string());
    assert!(
        (1..=3).all(|id| config(id) == nine_days),
        "settings reach every broker"
    );

    // The controller is killed: another one takes over, and its partitions wait for it.
    cluster.brokers.remove(&1).unwrap().kill();
    cluster.settled("kill -9 of the controller", &home);
    cluster
        .broker(2)
        .ok(&["topic", "create", "others", "--partitions", "4"]);
    let one = home.iter().position(|leader| *leader == Some(1)).unwrap();
    let there = home.iter().position(|leader| *leader == Some(2)).unwrap();
    let there = ["produce", "events", "--partition", &there.to_string()];
    cluster.broker(3).run(&there, b"meanwhile\n").ok();

    cluster.start_broker(1, 0);
    cluster.settled("restart after kill -9", &home);
    cluster.produce(3, "after");
    let lines = cluster.lines(1);
    assert_eq!(
        (lines["before"], lines["after"], lines["meanwhile"]),
        (6, 6, 1)
    );
    let epochs = cluster
        .broker(1)
        .run(&["topic", "describe", "events", "--output", "json"], b"")
        .json();
    // Once more for each session that ended meanwhile on a busy machine.
    let epoch = epochs["partitions"][one]["leader_epoch"].as_u64();
    assert!(epoch >= Some(1), "it leads anew: {epoch:?}");

    // Stopped in order, the others know at once.
    let (code, log) = cluster.brokers.remove(&3).unwrap().terminate();
    assert_eq!(code, Some(0), "{log}");
    cluster.settled("SIGTERM", &home);
    cluster.start_broker(3, 0);
    cluster.settled("restart after SIGTERM", &home);

    // Deleted everywhere, and free to be made again at once.
    cluster.broker(1).ok(&["topic", "delete", "events"]);
    for directory in cluster.directories.values() {
        let topics = std::fs::read_dir(data_of(directory.path()).join("topics")).unwrap();
        assert!(topics.count() <= 1, "only the topic `others` is left");
    }
    cluster.broker(2).ok(&create);
    assert!(cluster.lines(3).is_empty());
}

#[test]
fn a_broker_that_was_paused_for_longer_than_its_session_registers_anew() {
    let cluster = Cluster::start();
    cluster
        .broker(2)
        .ok(&["topic", "create", "events", "--partitions", "6"]);
    let home = cluster.leaders(1);
    cluster.produce(1, "before");
    let paused = cluster.broker(1);
    paused.signal("STOP");
    // The others find out, and go on without it.
    let others = || -> Vec<Vec<Option<u64>>> { (2..=3).map(|id| cluster.leaders(id)).collect() };
    let without: Vec<Option<u64>> = home
        .iter()
        .map(|one| one.filter(|leader| *leader != 1))
        .collect();
    let began = Instant::now();
    while others().iter().any(|seen| *seen != without) {
        assert!(began.elapsed() < PATIENCE, "{:?}", others());
        thread::sleep(PAUSE);
    }
    println!(
        "SIGSTOP: its partitions are without a leader after {:?}",
        began.elapsed()
    );
    paused.signal("CONT");
    cluster.settled("SIGCONT", &home);
    cluster
        .broker(1)
        .wait_for_log("the broker is registered anew");
    cluster.produce(3, "after");
    let lines = cluster.lines(1);
    assert_eq!((lines["before"], lines["after"]), (6, 6));
}

#[test]
fn brokers_serve_on_without_zookeeper_and_change_topics_when_it_is_back() {
    let mut cluster = Cluster::start();
    cluster
        .broker(1)
        .ok(&["topic", "create", "events", "--partitions", "6"]);
    let home = cluster.leaders(1);
    cluster.server.kill();
    cluster.produce(2, "without");
    assert_eq!(cluster.lines(3)["without"], PARTITIONS);
    let began = Instant::now();
    cluster.server.restart().unwrap();
    cluster.broker(3).ok(&["topic", "create", "later"]);
    println!(
        "restart of ZooKeeper: a topic is made after {:?}",
        began.elapsed()
    );
    cluster.settled("restart of ZooKeeper", &home);
    cluster.produce(1, "with");
    assert_eq!(cluster.lines(2)["with"], PARTITIONS);
}

/// Not a test of anything but speed: `cargo test --profile checked -p ringlog --test it -- --ignored --nocapture thousand`.
#[test]
#[ignore = "prints how long things take, which is for a quiet machine"]
fn a_thousand_partitions_are_made_lost_and_led_again() {
    let mut cluster = Cluster::with_link();
    let since = |began: Instant, what: &str, is_done: &dyn Fn() -> bool| {
        while !is_done() {
            assert!(began.elapsed() < PATIENCE, "{what}");
        }
        println!("{what}: {} ms", began.elapsed().as_millis());
    };
    let timed = |what: &str, is_done: &dyn Fn() -> bool| since(Instant::now(), what, is_done);
    // Asked of broker 2, which stays.
    let address = cluster.broker(2).address.to_string();
    let run = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--bootstrap", &address]);
        crate::process::run(&args, b"")
    };
    let offline = || {
        let status = run(&["cluster", "status", "--output", "json"]).json();
        let brokers = status["brokers"].as_array().unwrap().len();
        (brokers, status["offline"].as_array().unwrap().len())
    };
    let create = ["topic", "create", "events", "--partitions", "1000"];
    timed("create", &|| run(&create).code == Some(0));
    for name in ["znode_count", "approximate_data_size", "watch_count"] {
        let count = cluster.server.count(&format!("zk_{name}")).unwrap();
        println!("zookeeper {name}: {count}");
    }
    let is_lost = || matches!(offline(), (2, 333..));
    let is_whole = || offline() == (3, 0);
    cluster.brokers.remove(&1).unwrap().kill();
    timed("kill -9 of the controller, until it is noticed", &is_lost);
    let began = Instant::now();
    cluster.start_broker(1, 0);
    since(began, "its start, until all has a leader", &is_whole);
    timed("drain, until it is answered", &|| {
        run(&["cluster", "drain", "3"]).code == Some(0)
    });
    let began = Instant::now();
    cluster.brokers.remove(&3).unwrap().terminate();
    println!("SIGTERM, until its end: {} ms", began.elapsed().as_millis());
    since(began, "SIGTERM, until it is noticed", &is_lost);
    let began = Instant::now();
    cluster.start_broker(3, 0);
    since(began, "its start, until all has a leader", &is_whole);
    cluster.broker(3).signal("STOP");
    timed("SIGSTOP, until it is noticed", &is_lost);
    cluster.broker(3).signal("CONT");
    timed("SIGCONT, until all has a leader", &is_whole);
    cluster.cut();
    timed("link cut, until it is noticed", &is_lost);
    cluster.mend();
    timed("link mended, until all has a leader", &is_whole);
    cluster.server.kill();
    let began = Instant::now();
    cluster.server.restart().unwrap();
    println!("ZooKeeper's own start: {} ms", began.elapsed().as_millis());
    timed("ZooKeeper answers again, until a topic is made", &|| {
        run(&["topic", "create", "later"]).code == Some(0)
    });
    timed("all has a leader", &is_whole);
    timed("delete", &|| {
        run(&["topic", "delete", "events"]).code == Some(0)
    });
}
