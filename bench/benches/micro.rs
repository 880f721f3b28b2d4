//! The work of a processor that each request costs, one step at a time: `cargo bench -p ringlog-bench`.
#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails for whoever runs it"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringlog_log::lookup::Lookup;
use ringlog_record::batch::{
    BatchBuilder, BatchLimits, BatchView, RecordData, check_produce, copy_validated,
    validate_produce,
};
use ringlog_record::limits::BATCH_BYTES_MAX;
use ringlog_record::{PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::{
    Acks, CorrelationId, Encoder, ProducePartition, ProduceRequest, ProduceRequestDraft, frame,
};

/// Records and the size of each: one request of one record, and the batches of a busy producer.
const BATCHES: [(usize, usize); 3] = [(1, 1024), (64, 1024), (1000, 1024)];

fn batch(records: usize, record_bytes: usize) -> Bytes {
    let value: Vec<u8> = (0..=255).cycle().take(record_bytes).collect();
    let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
    for _ in 0..records {
        let record = RecordData {
            value: Some(&value),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    let limits = BatchLimits::default();
    for (records, record_bytes) in BATCHES {
        let batch = batch(records, record_bytes);
        let name = format!("{records} x {record_bytes} B");
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(BenchmarkId::new("check without CRC", &name), |bencher| {
            bencher.iter(|| check_produce(black_box(&batch), &limits).unwrap());
        });
        group.bench_function(BenchmarkId::new("check with CRC", &name), |bencher| {
            bencher.iter(|| validate_produce(black_box(&batch), &limits).unwrap());
        });
        let mut copied = vec![0; batch.len()];
        group.bench_function(BenchmarkId::new("copy and CRC in one", &name), |bencher| {
            bencher.iter(|| copy_validated(black_box(&batch), &mut copied).unwrap());
        });
        group.bench_function(BenchmarkId::new("decode records", &name), |bencher| {
            bencher.iter(|| {
                let view = BatchView::parse(black_box(&batch)).unwrap();
                view.records().filter(Result::is_ok).count()
            });
        });
        group.bench_function(BenchmarkId::new("build", &name), |bencher| {
            bencher.iter(|| self::batch(black_box(records), record_bytes));
        });
    }
    group.finish();
}

fn crc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crc32c");
    for len in [64, 1024, 65_536, 1 << 20] {
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| crc32c::crc32c(black_box(&bytes)));
        });
    }
    group.finish();
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    // A segment of 64 MiB has 1 024 entries, one of 1 GiB 16 384.
    for entries in [1024, 16_384] {
        let lookup = Lookup::new(entries);
        let mut offset = 0_u64;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("by offset", entries), |bencher| {
            bencher.iter(|| {
                // Steps that no predictor learns.
                offset = offset
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                lookup.position(black_box(offset >> 40))
            });
        });
    }
    group.finish();
}

fn partitions(count: u32) -> Vec<ProducePartition> {
    let partitions = (0..count).map(|partition| {
        let id = TopicPartition {
            topic: TopicId::new(7),
            partition: PartitionIndex::new(partition),
        };
        ProducePartition::new(id, 1024)
    });
    partitions.collect()
}

fn produce(partitions: &[ProducePartition]) -> ProduceRequestDraft<'_> {
    ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 30_000,
        partitions,
        wants_receipt: false,
    }
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for count in [1, 16] {
        let partitions = partitions(count);
        let draft = produce(&partitions);
        let mut encoder = Encoder::new();
        let bytes = encoder.encode(CorrelationId::new(1), &draft).unwrap();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("encode produce", count), |bencher| {
            bencher.iter(|| {
                encoder
                    .encode(CorrelationId::new(1), black_box(&draft))
                    .unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("header and checksum", count), |bencher| {
            bencher.iter(|| frame::parse(black_box(&bytes)).unwrap());
        });
        group.bench_function(BenchmarkId::new("verify FlatBuffers", count), |bencher| {
            let (_, body) = frame::parse(&bytes).unwrap();
            bencher.iter(|| ProduceRequest::decode(black_box(body)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(micro, batches, crc, index, frames);
criterion_main!(micro);
