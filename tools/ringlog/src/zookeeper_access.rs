//! How ZooKeeper is reached when it does not let everybody in: read from the files that the settings name.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ringlog_coord::store::{PemIdentity, ZooKeeperAccess, ZooKeeperTls};

use crate::cli::ZooKeeperArguments;
use crate::error::CommandError;

/// The largest file that is read: bundles of authorities have some hundred KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Anybody,
    Owner,
}

/// Reads the files.
pub(crate) fn read(arguments: &ZooKeeperArguments) -> Result<ZooKeeperAccess, CommandError> {
    let mut access = ZooKeeperAccess::default();
    if let Some(path) = &arguments.zookeeper_auth {
        let text = contents("zookeeper-auth", path, Readers::Owner)?;
        let identity = text.parse();
        access.digest = Some(identity.map_err(|error| wrong("zookeeper-auth", path, error))?);
    }
    let Some(authorities) = &arguments.zookeeper_tls_ca else {
        if arguments.zookeeper_tls_cert.is_some() || arguments.zookeeper_tls_key.is_some() {
            let message = "--zookeeper-tls-cert and --zookeeper-tls-key need --zookeeper-tls-ca";
            return Err(CommandError::Usage(message.to_owned()));
        }
        return Ok(access);
    };
    let own = match (&arguments.zookeeper_tls_cert, &arguments.zookeeper_tls_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((
            contents("zookeeper-tls-cert", certificate, Readers::Anybody)?,
            contents("zookeeper-tls-key", key, Readers::Owner)?,
        )),
        _ => {
            let message = "--zookeeper-tls-cert and --zookeeper-tls-key need each other";
            return Err(CommandError::Usage(message.to_owned()));
        }
    };
    let trusted = contents("zookeeper-tls-ca", authorities, Readers::Anybody)?;
    let own = own
        .as_ref()
        .map(|(certificate, key)| PemIdentity { certificate, key });
    let tls = ZooKeeperTls::new(&trusted, own);
    access.tls = Some(tls.map_err(|error| {
        CommandError::Usage(format!("the files of --zookeeper-tls-…: {error}"))
    })?);
    Ok(access)
}

fn contents(setting: &str, path: &Path, readers: Readers) -> Result<String, CommandError> {
    let mut file = File::open(path).map_err(|error| wrong(setting, path, error))?;
    let mode = file.metadata().map(|found| found.permissions().mode());
    let mode = mode.map_err(|error| wrong(setting, path, error))?;
    if readers == Readers::Owner && mode & 0o077 != 0 {
        let advice = format!(
            "others than its owner may read or change it (mode {:03o}); `chmod 600 {}` makes it a secret",
            mode & 0o777,
            path.display()
        );
        return Err(wrong(setting, path, advice));
    }
    let mut text = String::new();
    let read = file.by_ref().take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| wrong(setting, path, error))?;
    Ok(text)
}

fn wrong(setting: &str, path: &Path, reason: impl std::fmt::Display) -> CommandError {
    CommandError::Usage(format!("--{setting} {}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(directory: &Path, text: &str, mode: u32) -> std::path::PathBuf {
        let path = directory.join(format!("{mode:o}"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn refused(arguments: &ZooKeeperArguments) -> String {
        match read(arguments) {
            Err(CommandError::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let auth = |path| ZooKeeperArguments {
            zookeeper_auth: Some(path),
            ..ZooKeeperArguments::default()
        };
        let kept = auth(file(directory.path(), "ringlog:secret\n", 0o600));
        assert!(read(&kept).unwrap().digest.is_some());
        for mode in [0o640, 0o604, 0o622] {
            let told = refused(&auth(file(directory.path(), "ringlog:secret\n", mode)));
            assert!(told.contains("chmod 600"), "{told}");
            assert!(!told.contains("secret\n"), "{told}");
        }
        let told = refused(&auth(file(directory.path(), "ringlog", 0o400)));
        assert!(told.contains("user:password"), "{told}");
        let told = refused(&auth(directory.path().join("none")));
        assert!(told.contains("No such file"), "{told}");
    }

    #[test]
    fn certificate_and_key_need_each_other_and_an_authority() {
        let directory = tempfile::tempdir().unwrap();
        let ca = file(directory.path(), "no certificate", 0o644);
        let arguments = ZooKeeperArguments {
            zookeeper_tls_key: Some(ca.clone()),
            ..ZooKeeperArguments::default()
        };
        assert!(refused(&arguments).contains("--zookeeper-tls-ca"));
        let arguments = ZooKeeperArguments {
            zookeeper_tls_ca: Some(ca.clone()),
            ..arguments
        };
        assert!(refused(&arguments).contains("need each other"));
        let arguments = ZooKeeperArguments {
            zookeeper_tls_ca: Some(ca),
            ..ZooKeeperArguments::default()
        };
        assert!(refused(&arguments).contains("no certificate of an authority"));
    }
}
