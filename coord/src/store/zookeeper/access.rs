//! How a client proves to ZooKeeper who it is, and knows that it talks to ZooKeeper.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use thiserror::Error as ThisError;
use zookeeper_client::{Acls, Client, Connector, Error, TlsOptions};

use super::ZooKeeperAddress;

/// What servers of ZooKeeper want to see, and what is wanted of them; by default neither identity nor encryption.
#[derive(Debug, Clone, Default)]
pub struct ZooKeeperAccess {
    /// Who is asking.
    pub digest: Option<DigestIdentity>,
    /// How the connection is encrypted.
    pub tls: Option<ZooKeeperTls>,
}

/// User and password of ZooKeeper's scheme `digest`. Nodes that are made with it belong to it alone.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestIdentity(String);

/// Why a text is no identity. The text is not repeated: it is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error("it does not hold one line `user:password`, neither of them empty")]
pub struct NoIdentity;

impl FromStr for DigestIdentity {
    type Err = NoIdentity;

    fn from_str(text: &str) -> Result<Self, NoIdentity> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (user, password) = line.split_once(':').ok_or(NoIdentity)?;
        if user.is_empty() || password.is_empty() || line.contains(['\n', '\r']) {
            return Err(NoIdentity);
        }
        Ok(Self(line.to_owned()))
    }
}

impl fmt::Debug for DigestIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestIdentity")
    }
}

/// Certificates in PEM.
#[derive(Clone)]
pub struct ZooKeeperTls(TlsOptions);

/// A certificate, and the key to it, in PEM.
#[derive(Clone, Copy)]
pub struct PemIdentity<'a> {
    /// The certificate, with those that lead to the authority behind it.
    pub certificate: &'a str,
    /// Its private key.
    pub key: &'a str,
}

/// What a certificate or key is not.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum TlsError {
    /// The authorities cannot be used.
    #[error("it holds no certificate of an authority in PEM: {0}")]
    Authorities(String),
    /// The client's own certificate or key cannot be used.
    #[error("they are no certificate and private key in PEM: {0}")]
    Identity(String),
}

impl ZooKeeperTls {
    /// Trusts servers whose certificates come from these authorities and are for the names by which they are called; shows
    /// them an own certificate, if there is one.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(authorities: &str, own: Option<PemIdentity<'_>>) -> Result<Self, TlsError> {
        let options = TlsOptions::new().with_pem_ca(authorities);
        let options = options.map_err(|error| TlsError::Authorities(error.to_string()))?;
        let Some(own) = own else {
            return Ok(Self(options));
        };
        let options = options.with_pem_identity(own.certificate, own.key);
        options
            .map(Self)
            .map_err(|error| TlsError::Identity(error.to_string()))
    }
}

impl fmt::Debug for ZooKeeperTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZooKeeperTls")
    }
}

impl ZooKeeperAccess {
    /// Who may do what with the nodes that are made.
    pub(super) fn acls(&self) -> Acls<'static> {
        match self.digest {
            Some(_) => Acls::creator_all(),
            None => Acls::anyone_all(),
        }
    }

    pub(super) async fn connect(
        &self,
        connector: Connector,
        address: &ZooKeeperAddress,
    ) -> Result<Client, Error> {
        let connector = match &self.digest {
            Some(DigestIdentity(identity)) => connector.with_auth("digest", identity.as_bytes()),
            None => connector,
        };
        let Some(ZooKeeperTls(options)) = &self.tls else {
            return connector.connect(address.servers()).await;
        };
        // The client takes the provider of the process, and there is none where other crates bring one as well.
        if CryptoProvider::get_default().is_none() {
            // Somebody else may be faster, which is as well.
            aws_lc_rs::default_provider().install_default().ok();
        }
        // The client relies on names that can be in certificates.
        let mut hosts = address.hosts();
        if hosts.any(|host| ServerName::try_from(host.to_owned()).is_err()) {
            return Err(Error::BadArguments(
                &"a name of a server cannot be in a certificate",
            ));
        }
        let connector = connector.with_tls(options.clone());
        connector.secure_connect(address.servers()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_one_line_of_user_and_password() {
        for text in ["ringlog:s3cret", "ringlog:s3cret\n", "ringlog:s3cret\r\n"] {
            let identity: DigestIdentity = text.parse().unwrap();
            assert_eq!(identity.0, "ringlog:s3cret");
            assert!(!format!("{identity:?}").contains("s3cret"));
        }
        let colons: DigestIdentity = "user:pass:word".parse().unwrap();
        assert_eq!(colons.0, "user:pass:word");
        for text in ["", "ringlog", ":s3cret", "ringlog:", "a:b\nc:d", "a:b\n\n"] {
            assert_eq!(text.parse::<DigestIdentity>(), Err(NoIdentity), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let refused = ZooKeeperTls::new("none", None).unwrap_err();
        assert!(matches!(refused, TlsError::Authorities(_)), "{refused}");
    }
}
