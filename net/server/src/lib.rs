//! The broker: listeners, connections, one handler file per request, assembly.
#![forbid(unsafe_code)]
