//! `ringlog cluster`: who is there, who leads, and what has no leader; now, or as it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ringlog_client::{Admin, ClientError, PartitionInfo};
use ringlog_record::BrokerId;
use serde_json::{Value, json};

use super::connect::connect;
use crate::cli::{Bootstrap, ClusterCommand};
use crate::error::CommandError;
use crate::output::{Format, counted, numbers, outln, print_json, print_table, words};

/// How long one question for changes waits.
const WAIT: Duration = Duration::from_secs(10);

/// Pause before another broker is asked.
const PAUSE: Duration = Duration::from_millis(300);

/// How long no broker may answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(command: ClusterCommand) -> Result<(), CommandError> {
    match command {
        ClusterCommand::Status { bootstrap, output } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let picture = Picture::take(&admin).await;
            let picture =
                picture.map_err(|error| CommandError::failed("ask about the cluster", error))?;
            match output.form {
                Format::Json => print_json(&picture.json()),
                Format::Table => picture.print(),
            }
            Ok(())
        }
        ClusterCommand::Watch { bootstrap, output } => watch(&bootstrap, output.form).await,
        ClusterCommand::Drain { broker, bootstrap } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let drained = admin.drain_broker(BrokerId::new(broker)).await;
            let leaders =
                drained.map_err(|error| CommandError::failed("drain the broker", error))?;
            outln!("broker {broker} gets nothing new until it registers anew");
            if leaders > 0 {
                let left = counted(leaders.into(), "partition");
                outln!("it leads {left} still, since no other broker has the records");
            }
            Ok(())
        }
        ClusterCommand::ElectLeaders { topic, bootstrap } => {
            let admin = Admin::new(&connect(&bootstrap).await?);
            let moved = admin.elect_leaders(topic).await;
            let moved = moved.map_err(|error| CommandError::failed("elect leaders", error))?;
            outln!("{} moved", counted(moved.into(), "leader"));
            Ok(())
        }
    }
}

/// A broker, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broker {
    address: String,
    state: String,
    epoch: u64,
    shards: u16,
    rack: Option<String>,
    leaders: u32,
    software: String,
}

/// A partition, by the name of its topic and its number.
type Name = (String, u32);

/// The cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Picture {
    cluster_id: String,
    revision: u64,
    controller: Option<u32>,
    controller_epoch: u64,
    brokers: BTreeMap<u32, Broker>,
    topics: BTreeSet<String>,
    partitions: BTreeMap<Name, PartitionInfo>,
}

impl Picture {
    async fn take(admin: &Admin) -> Result<Self, ClientError> {
        let cluster = admin.describe_cluster().await?;
        let topics = admin.list_topics().await?;
        let brokers = cluster.brokers.into_iter().map(|one| {
            let broker = Broker {
                address: one.address,
                state: one.state.unwrap_or_else(|| "active".to_owned()),
                epoch: one.broker_epoch,
                shards: one.shard_count,
                rack: one.rack,
                leaders: one.leaders,
                software: one.software,
            };
            (one.broker.get(), broker)
        });
        let mut picture = Self {
            cluster_id: cluster.cluster_id,
            revision: cluster.revision,
            controller: cluster.controller.map(|broker| broker.get()),
            controller_epoch: cluster.controller_epoch,
            brokers: brokers.collect(),
            ..Self::default()
        };
        for topic in topics {
            for partition in topic.partitions {
                let name = (topic.name.clone(), partition.id.partition.get());
                picture.partitions.insert(name, partition);
            }
            picture.topics.insert(topic.name);
        }
        Ok(picture)
    }

    fn offline(&self) -> impl Iterator<Item = (&Name, &PartitionInfo)> {
        self.partitions
            .iter()
            .filter(|(_, one)| one.leader.is_none())
    }

    /// Partitions with a leader, and fewer replicas in sync than they have.
    fn under_replicated(&self) -> impl Iterator<Item = (&Name, &PartitionInfo)> {
        let led = self
            .partitions
            .iter()
            .filter(|(_, one)| one.leader.is_some());
        led.filter(|(_, one)| one.isr.len() < one.replicas.len())
    }

    fn print(&self) {
        outln!("cluster {}, revision {}", self.cluster_id, self.revision);
        match self.controller {
            Some(broker) => outln!(
                "controller: broker {broker}, epoch {}",
                self.controller_epoch
            ),
            None => outln!("controller: none at the moment"),
        }
        outln!(
            "{}, {}\n",
            counted(self.topics.len() as u64, "topic"),
            counted(self.partitions.len() as u64, "partition")
        );
        print_table(
            [
                numbers("broker"),
                words("address"),
                words("state"),
                numbers("epoch"),
                numbers("shards"),
                words("rack"),
                numbers("leaders"),
                words("software"),
            ],
            self.brokers.iter().map(|(id, one)| {
                [
                    id.to_string(),
                    one.address.clone(),
                    one.state.clone(),
                    one.epoch.to_string(),
                    one.shards.to_string(),
                    one.rack.clone().unwrap_or_else(|| "-".to_owned()),
                    one.leaders.to_string(),
                    one.software.clone(),
                ]
            }),
        );
        let list = |title: &str, partitions: Vec<(&Name, &PartitionInfo)>| {
            outln!("\n{title}: {}", partitions.len());
            for ((topic, partition), one) in partitions {
                outln!(
                    "  {topic}-{partition}: replicas on {}, in sync {}",
                    ids(&one.replicas),
                    ids(&one.isr)
                );
            }
        };
        list("offline partitions", self.offline().collect());
        list(
            "under-replicated partitions",
            self.under_replicated().collect(),
        );
    }

    fn json(&self) -> Value {
        let brokers = self.brokers.iter().map(|(id, one)| {
            json!({
                "broker": id,
                "address": one.address,
                "state": one.state,
                "broker_epoch": one.epoch,
                "shards": one.shards,
                "rack": one.rack,
                "leaders": one.leaders,
                "software": one.software,
            })
        });
        let list = |partitions: Vec<(&Name, &PartitionInfo)>| -> Vec<Value> {
            let shown = partitions.into_iter().map(|((topic, partition), one)| {
                json!({
                    "topic": topic,
                    "partition": partition,
                    "leader": one.leader.map(|broker| broker.get()),
                    "replicas": one.replicas.iter().map(|broker| broker.get()).collect::<Vec<_>>(),
                    "isr": one.isr.iter().map(|broker| broker.get()).collect::<Vec<_>>(),
                })
            });
            shown.collect()
        };
        json!({
            "cluster_id": self.cluster_id,
            "revision": self.revision,
            "controller": self.controller,
            "controller_epoch": self.controller_epoch,
            "brokers": brokers.collect::<Vec<_>>(),
            "topics": self.topics.len(),
            "partitions": self.partitions.len(),
            "offline": list(self.offline().collect()),
            "under_replicated": list(self.under_replicated().collect()),
        })
    }

    /// What has happened since another picture was taken.
    fn since(&self, before: &Self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, one) in &self.brokers {
            let known = before.brokers.get(id);
            match known {
                Some(known) if known.epoch == one.epoch && known.state == one.state => {}
                Some(known) if known.epoch == one.epoch => {
                    events.push(Event::Broker(*id, one.state.clone()))
                }
                Some(_) => events.push(Event::Broker(*id, format!("back, {}", one.state))),
                None => events.push(Event::Broker(*id, format!("there, {}", one.state))),
            }
        }
        let gone = before
            .brokers
            .keys()
            .filter(|id| !self.brokers.contains_key(id));
        events.extend(gone.map(|id| Event::Broker(*id, "gone".to_owned())));
        if self.controller != before.controller || self.controller_epoch != before.controller_epoch
        {
            events.push(Event::Controller(self.controller, self.controller_epoch));
        }
        let made = self.topics.difference(&before.topics);
        events.extend(made.map(|topic| Event::Topic(topic.clone(), "created")));
        let deleted = before.topics.difference(&self.topics);
        events.extend(deleted.map(|topic| Event::Topic(topic.clone(), "deleted")));
        for (name, one) in &self.partitions {
            let known = before
                .partitions
                .get(name)
                .filter(|known| known.id == one.id);
            let Some(known) = known else { continue };
            if known.leader != one.leader || known.leader_epoch != one.leader_epoch {
                events.push(Event::Leader(name.clone(), one.clone()));
            } else if known.isr != one.isr || known.replicas != one.replicas {
                events.push(Event::Replicas(name.clone(), one.clone()));
            }
        }
        events
    }
}

fn ids(brokers: &[BrokerId]) -> String {
    let ids: Vec<String> = brokers.iter().map(|one| one.get().to_string()).collect();
    if ids.is_empty() {
        "none".to_owned()
    } else {
        ids.join(", ")
    }
}

/// Something that has happened.
enum Event {
    Broker(u32, String),
    Controller(Option<u32>, u64),
    Topic(String, &'static str),
    Leader(Name, PartitionInfo),
    Replicas(Name, PartitionInfo),
}

impl Event {
    fn line(&self) -> String {
        match self {
            Self::Broker(id, what) => format!("broker {id} is {what}"),
            Self::Controller(Some(id), epoch) => {
                format!("broker {id} is the controller, epoch {epoch}")
            }
            Self::Controller(None, _) => "there is no controller".to_owned(),
            Self::Topic(name, what) => format!("topic {name} is {what}"),
            Self::Leader((topic, partition), one) => match one.leader {
                Some(leader) => format!(
                    "{topic}-{partition} is led by broker {}, epoch {}",
                    leader.get(),
                    one.leader_epoch
                ),
                None => format!("{topic}-{partition} is offline"),
            },
            Self::Replicas((topic, partition), one) => {
                format!(
                    "{topic}-{partition} is in sync on {}, of {}",
                    ids(&one.isr),
                    ids(&one.replicas)
                )
            }
        }
    }

    fn json(&self) -> Value {
        let numbers = |brokers: &[BrokerId]| -> Vec<u32> {
            brokers.iter().map(|broker| broker.get()).collect()
        };
        match self {
            Self::Broker(id, what) => json!({"event": "broker", "broker": id, "state": what}),
            Self::Controller(id, epoch) => {
                json!({"event": "controller", "controller": id, "epoch": epoch})
            }
            Self::Topic(name, what) => json!({"event": "topic", "topic": name, "state": what}),
            Self::Leader((topic, partition), one) => json!({
                "event": "leader",
                "topic": topic,
                "partition": partition,
                "leader": one.leader.map(|leader| leader.get()),
                "leader_epoch": one.leader_epoch.get(),
            }),
            Self::Replicas((topic, partition), one) => json!({
                "event": "replicas",
                "topic": topic,
                "partition": partition,
                "isr": numbers(&one.isr),
                "replicas": numbers(&one.replicas),
            }),
        }
    }
}

/// Prints what there is, and then what happens, for ever.
async fn watch(bootstrap: &Bootstrap, output: Format) -> Result<(), CommandError> {
    let admin = Admin::new(&connect(bootstrap).await?);
    let mut last: Option<Picture> = None;
    let mut seen = 0;
    // Since when no broker has answered.
    let mut failing: Option<Instant> = None;
    loop {
        let news = async {
            let picture = admin.watch_cluster(seen, WAIT).await?;
            Ok::<_, ClientError>((picture, Picture::take(&admin).await?))
        };
        match news.await {
            Ok((picture, now)) => {
                failing = None;
                seen = picture;
                show(last.as_ref(), &now, output);
                last = Some(now);
            }
            // The broker that was asked may be the one that is gone: another one is asked, for all there is.
            Err(error) => {
                if failing.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(CommandError::failed("watch the cluster", error));
                }
                seen = 0;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn show(last: Option<&Picture>, now: &Picture, output: Format) {
    let Some(last) = last else {
        match output {
            Format::Json => outln!("{}", now.json()),
            Format::Table => now.print(),
        }
        return;
    };
    for event in now.since(last) {
        match output {
            Format::Json => outln!("{}", event.json()),
            Format::Table => outln!("{}", event.line()),
        }
    }
}
