//! The pure leader machine and the partition actor that joins it to a log.
#![forbid(unsafe_code)]
