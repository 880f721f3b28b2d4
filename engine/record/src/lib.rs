//! Ids, offsets and the record batch: the vocabulary that every layer shares.
#![forbid(unsafe_code)]
