"""Writes kafka_placements.bin: where Kafka's default partitioner puts 10 000 random keys.

    pip install kafka-python==3.0.12
    python3 kafka_placements.py

Each placement is a little-endian u16. The keys and the numbers of partitions are not in the file: the test makes them
again from the same generator (SplitMix64, seed 2026), in the same order.
"""

import pathlib
import struct

from kafka.partitioner import DefaultPartitioner

KEYS = 10_000
KEY_BYTES_MAX = 64
PARTITIONS_MAX = 65_535
MASK = (1 << 64) - 1


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


class Cluster:
    """As much of a cluster as the partitioner asks for: one topic."""

    def __init__(self, partitions):
        self.partitions = range(partitions)

    def topics(self):
        return {"topic"}

    def partitions_for_topic(self, topic):
        return self.partitions

    def available_partitions_for_topic(self, topic):
        return self.partitions


def main():
    random = SplitMix64(2026)
    partitioner = DefaultPartitioner()
    placements = bytearray()
    for _ in range(KEYS):
        length = random.next() % (KEY_BYTES_MAX + 1)
        key = bytes(random.next() >> 56 for _ in range(length))
        cluster = Cluster(1 + random.next() % PARTITIONS_MAX)
        placement = partitioner.partition("topic", key, key, None, None, cluster)
        placements += struct.pack("<H", placement)
    pathlib.Path(__file__).with_suffix(".bin").write_bytes(placements)


if __name__ == "__main__":
    main()
