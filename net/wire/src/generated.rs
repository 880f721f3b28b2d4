//! What flatc makes of `schema/wire.fbs`. `cargo xtask codegen` writes it, `cargo xtask codegen --check` compares.

#[rustfmt::skip]
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    mismatched_lifetime_syntaxes,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::cast_possible_truncation,
    clippy::allow_attributes_without_reason,
    reason = "generated code, not ours to word; each accessor relies on the verifier having passed"
)]
mod wire_generated;

pub(crate) use wire_generated::ringlog::wire::*;
