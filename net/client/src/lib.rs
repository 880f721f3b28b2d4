//! Producer, consumer and admin: a runtime-free core and a tokio transport.
#![forbid(unsafe_code)]
