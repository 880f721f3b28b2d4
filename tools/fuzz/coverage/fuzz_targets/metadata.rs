#![no_main]

ringlog_fuzz_coverage::guided!(ringlog_fuzz::targets::metadata::TARGET);
