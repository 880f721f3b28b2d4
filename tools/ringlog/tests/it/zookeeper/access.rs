//! ZooKeeper with users and passwords, and with TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ringlog_zookeeper::{Certificates, Server};

use crate::process::{Finished, Start, directory, run};

/// A file that nobody but its owner may read.
fn secret(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Lists the topics of brokers that ZooKeeper knows.
fn list(zookeeper: &str, access: &[&str]) -> Finished {
    let zookeeper = format!("zk://{zookeeper}");
    let mut args = vec!["topic", "list", "--bootstrap", &zookeeper];
    args.extend(access);
    run(&args, b"")
}

/// The arguments of a member of a cluster that has a password.
fn member<'a>(zookeeper: &'a str, number: &'a str, auth: &'a str) -> [&'a str; 6] {
    let (at, id) = ("--zookeeper", "--broker-id");
    [at, zookeeper, id, number, "--zookeeper-auth", auth]
}

#[test]
fn what_a_broker_with_a_password_makes_is_for_nobody_else() {
    let server = Server::start().unwrap();
    let zookeeper = format!("{}/ringlog", server.address());
    let directory = directory();
    let right = secret(directory.path(), "right", "ringlog:s3cret\n");
    let wrong = secret(directory.path(), "wrong", "ringlog:guessed\n");
    let own = member(&zookeeper, "1", &right);
    let start = Start {
        args: &own,
        ..Start::new(directory.path())
    };
    let broker = start.broker();
    broker.ok(&["topic", "create", "events"]);
    assert!(!broker.log().contains("s3cret"), "{}", broker.log());

    let listed = list(&zookeeper, &["--zookeeper-auth", &right]).ok();
    assert!(String::from_utf8(listed).unwrap().contains("events"));
    list(&zookeeper, &[]).refused(1, &["its nodes belong to a user"]);
    list(&zookeeper, &["--zookeeper-auth", &wrong]).refused(1, &["the password is wrong"]);
    let other = crate::process::directory();
    let stranger = member(&zookeeper, "2", &wrong);
    let refused = |args: &[&str], code, said: &[&str]| {
        Start {
            args,
            ..Start::new(other.path())
        }
        .refused(code, said);
    };
    refused(&stranger, 1, &["the password is wrong", &zookeeper]);
    refused(
        &["--zookeeper-auth", &right],
        2,
        &["there is no --zookeeper"],
    );

    // It is as much its own after a restart.
    let (code, log) = broker.terminate();
    assert_eq!(code, Some(0), "{log}");
    let broker = start.broker();
    broker.run(&["produce", "events"], b"one\n").ok();

    fs::set_permissions(&right, fs::Permissions::from_mode(0o644)).unwrap();
    list(&zookeeper, &["--zookeeper-auth", &right]).refused(2, &["chmod 600", &right]);
    list(&zookeeper, &["--zookeeper-auth", "/none"]).refused(2, &["/none"]);
}

/// An authority, and what it has signed for 127.0.0.1, in files.
struct Authority {
    directory: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let directory = directory();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The texts of a certificate for a name, and of its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    fn certificates(&self, name: &str) -> Certificates {
        let (certificate, key) = self.sign(name);
        let own = self.path("server.pem");
        fs::write(&own, format!("{key}{certificate}")).unwrap();
        Certificates {
            own,
            authority: self.path("ca.pem"),
        }
    }

    /// The arguments of a client that it has signed.
    fn arguments(&self) -> Vec<String> {
        let (certificate, key) = self.sign("client");
        let own = self.path("client.pem");
        fs::write(&own, certificate).unwrap();
        let key = secret(self.directory.path(), "client.key", &key);
        let ca = self.path("ca.pem").display().to_string();
        let own = own.display().to_string();
        [
            ("--zookeeper-tls-ca", ca),
            ("--zookeeper-tls-cert", own),
            ("--zookeeper-tls-key", key),
        ]
        .into_iter()
        .flat_map(|(flag, path)| [flag.to_owned(), path])
        .collect()
    }
}

#[test]
fn a_broker_talks_tls_to_a_zookeeper_that_it_trusts_and_that_trusts_it() {
    let authority = Authority::new();
    let server = Server::start_secured(authority.certificates("127.0.0.1")).unwrap();
    let zookeeper = format!("{}/ringlog", server.secure_address().unwrap());
    let access = authority.arguments();
    let access: Vec<&str> = access.iter().map(String::as_str).collect();
    let mut args = vec!["--zookeeper", &zookeeper, "--broker-id", "1"];
    args.extend(&access);
    let directory = directory();
    let start = Start {
        args: &args,
        ..Start::new(directory.path())
    };
    let broker = start.broker();
    broker.ok(&["topic", "create", "events"]);
    let listed = list(&zookeeper, &access).ok();
    assert!(String::from_utf8(listed).unwrap().contains("events"));

    // Without a certificate, in plain text, and with the certificate of another authority nobody gets in.
    list(&zookeeper, &access[..2]).refused(1, &["no server answers in TLS"]);
    list(&zookeeper, &[]).refused(1, &["no server answers"]);
    let stranger = Authority::new();
    let strange = stranger.arguments();
    let strange: Vec<&str> = strange.iter().map(String::as_str).collect();
    list(&zookeeper, &strange).refused(1, &["no server answers in TLS"]);
    list(&zookeeper, &access[2..]).refused(2, &["--zookeeper-tls-ca"]);
}
