//! Kafka: the server and what it needs from Maven Central, one node that is broker and controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Prepared, Server, Variant, write_settings};
use crate::Findings;
use crate::workspace::{Workspace, output};

const RELEASE: &str = "3.9.1";

/// Made up once: one node needs an id, and nobody else has to know it.
const CLUSTER_ID: &str = "cmluZ2xvZy1iZW5jaC0wMQ";

pub(super) fn prepare(
    workspace: &Workspace,
    server: Server,
    folder: &Path,
) -> Result<Prepared, Findings> {
    let libraries = libraries(workspace)?;
    let (port, data) = (server.port(), folder.join("data"));
    let controller = port + 1;
    let flush = match server.variant {
        Variant::Durable => "log.flush.interval.messages=1\n",
        Variant::Default => "",
    };
    let settings = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         message.max.bytes=8388608\n\
         {flush}",
        data.display()
    );
    let settings = write_settings(folder, "server.properties", &settings)?;
    let class_path = format!("{}/*", libraries.display());
    let java = || {
        let mut java = Command::new("java");
        java.args(["-Xms1g", "-Xmx1g", "-cp", &class_path]);
        java
    };
    let mut format = java();
    format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
    output(format.arg(&settings)).map_err(|mut findings| {
        findings.push("its storage cannot be formatted".to_owned());
        findings
    })?;
    let mut command = java();
    command.arg("kafka.Kafka").arg(&settings);
    let flush = match server.variant {
        Variant::Durable => "log.flush.interval.messages=1: fsync before each acknowledgement",
        Variant::Default => "no flush settings: the kernel writes when it does",
    };
    Ok(Prepared {
        command,
        settings: vec![
            format!("Kafka {RELEASE}, one node, heap of 1 GiB"),
            flush.to_owned(),
        ],
    })
}

/// The folder with the server's libraries: from `KAFKA_HOME`, or fetched with Maven.
fn libraries(workspace: &Workspace) -> Result<PathBuf, Findings> {
    output(Command::new("java").arg("-version")).map_err(|_| {
        vec!["it needs Java 17: install Debian's package default-jre-headless".to_owned()]
    })?;
    if let Some(home) = std::env::var_os("KAFKA_HOME") {
        return Ok(PathBuf::from(home).join("libs"));
    }
    let folder = workspace
        .target
        .join("peers")
        .join(format!("kafka-{RELEASE}"));
    let libraries = folder.join("libs");
    if libraries.join("fetched").is_file() {
        return Ok(libraries);
    }
    println!("kafka: fetching kafka_2.13 {RELEASE} and what it needs with Maven");
    fs::create_dir_all(&folder)
        .map_err(|error| vec![format!("{} cannot be made: {error}", folder.display())])?;
    let project = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>ringlog</groupId><artifactId>peer-kafka</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>\
         <version>{RELEASE}</version></dependency>\n    <dependency><groupId>org.slf4j</groupId>\
         <artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>\n  </dependencies>\n</project>\n"
    );
    let project = write_settings(&folder, "pom.xml", &project)?;
    let mut maven = Command::new("mvn");
    maven.args([
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
    ]);
    maven.arg(format!("-DoutputDirectory={}", libraries.display()));
    maven.arg("-f").arg(&project);
    output(&mut maven).map_err(|mut findings| {
        findings.push(
            "it cannot be fetched: Maven (Debian's package maven) must reach Maven Central; or unpack a Kafka 3.9 and \
             set KAFKA_HOME to its folder"
                .to_owned(),
        );
        findings
    })?;
    write_settings(&libraries, "fetched", "")?;
    Ok(libraries)
}
