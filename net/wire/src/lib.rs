//! The wire protocol: frames, FlatBuffers messages, error codes.
#![deny(unsafe_code)]
