//! The glommio executor that prepares segment files off the data path.
#![forbid(unsafe_code)]
