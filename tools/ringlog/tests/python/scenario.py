"""Produces, fetches and long-polls against a broker, with the client beside it.

    scenario.py HOST PORT GOLDEN     ends with 0 when everything was as PROTOCOL.md says
"""

import pathlib
import random
import sys
import time

from ringlog_client import (
    APIS, Client, Record, Refused, crc32c, partition_of, read_frame, table, unpack, varint, write_batch,
    write_frame,
)

UNSUPPORTED_VERSION, INVALID_REQUEST, UNKNOWN_TOPIC, TOPIC_EXISTS = 2, 4, 5, 7
UNKNOWN_PARTITION, OFFSET_OUT_OF_RANGE, CORRUPT_BATCH, UNSUPPORTED = 6, 10, 12, 23
OUT_OF_ORDER_SEQUENCE, FENCED_PRODUCER, UNEXPECTED_OFFSET = 25, 26, 28


def refused(code, call):
    try:
        call()
    except Refused as refusal:
        assert refusal.code == code, refusal
        return refusal
    raise AssertionError(f"error {code} was expected")


def numbers_of_the_document():
    assert crc32c(b"123456789") == 0xE3069283
    assert [varint(n).hex() for n in (0, -1, 1, 150)] == ["00", "01", "02", "ac02"]


def golden_frames(folder):
    """Each is read, and what is read of it is the same when it is written and read again."""
    names = {number: name for name, number in APIS.items()}
    files = sorted(pathlib.Path(folder).glob("*.hex"))
    assert len(files) >= 2 * len(APIS)
    for file in files:
        data = bytes.fromhex(file.read_text())
        frame = read(data)
        suffix = "Response" if frame.flags & 1 else "Request"
        name = "ErrorResponse" if frame.flags & 2 else names[frame.api] + suffix
        message = unpack(name, frame.body)
        again = read(write_frame(frame.api, frame.correlation_id, message, flags=frame.flags))
        assert plain(unpack(name, again.body)) == plain(message), file


def read(data):
    position = 0

    def receive(length):
        nonlocal position
        position += length
        return data[position - length : position]

    return read_frame(receive, with_payload=False)


def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {name: plain(one) for name, one in vars(value).items()} if hasattr(value, "__dict__") else value


def produces_and_fetches(client, dice):
    """Records of all shapes go to the partitions of their keys and come back as they were."""
    topic = client.topic("python")
    count = len(topic.partitions)
    expected = {partition: [] for partition in range(count)}
    for _ in range(40):
        batches = {}
        for _ in range(dice.randrange(1, 30)):
            key = dice.choice([None, b"", dice.randbytes(dice.randrange(20))])
            record = Record(
                dice.choice([None, dice.randbytes(dice.randrange(300))]),
                key,
                dice.randrange(1 << 40),
                [("name", dice.choice([None, b"", b"\0\xff"]))] * dice.randrange(3),
            )
            partition = partition_of(key, count) if key is not None else 0
            batches.setdefault(partition, []).append(record)
        for partition, records in batches.items():
            produced = client.produce(topic, partition, records)
            assert produced.baseOffset == len(expected[partition])
            assert produced.level == 5 and produced.state.highWatermark >= produced.baseOffset
            expected[partition] += records
    fetched = client.fetch(topic, {partition: 0 for partition in expected})
    assert fetched == expected
    for records in fetched.values():
        assert [record.offset for record in records] == list(range(len(records)))
    # From the middle of a batch.
    assert client.fetch(topic, {0: 3})[0] == expected[0][3:]
    listed = client.call("ListOffsets", partitions=[
        table("ListOffsetsPartition", topic=topic.topic, partition=0, position=position) for position in (0, 1)
    ])[0]
    assert [entry.offset for entry in listed.partitions] == [0, len(expected[0])]
    return {partition: len(records) for partition, records in expected.items()}


def long_polls(client, host, port, ends):
    """A fetch waits until there is something, while other requests of its connection are answered."""
    topic = client.topic("python")
    assert len(ends) == 3
    assert client.fetch(topic, ends, max_wait_ms=50) == {partition: [] for partition in ends}
    asked = client.send_fetch(topic, ends, max_wait_ms=120_000)
    assert client.topic("python").name == b"python"
    producer = Client(host, port)
    record = Record(b"at last", b"key", 7)
    began = time.monotonic()
    client_id = asked[0][1]
    assert client_id not in client.answers
    producer.produce(topic, 1, [record])
    fetched = client.wait_fetch(asked)
    assert fetched == {partition: [record] if partition == 1 else [] for partition in ends}
    assert time.monotonic() - began < 100, "it was the time that ended the wait, not the record"
    producer.close()


def sends_again(client):
    """An idempotent batch that is sent again is answered with the offset that it has."""
    topic = client.topic("python")
    given = client.call("InitProducer")[0]
    stamp = (given.producerId, given.producerEpoch)
    first = [Record(b"a"), Record(b"b")]
    produced = client.produce(topic, 2, first, (*stamp, 0))
    again = client.produce(topic, 2, first, (*stamp, 0))
    assert again.baseOffset == produced.baseOffset
    refused(OUT_OF_ORDER_SEQUENCE, lambda: client.produce(topic, 2, first, (*stamp, 5)))
    following = client.produce(topic, 2, first, (*stamp, 2))
    assert following.baseOffset == produced.baseOffset + 2
    # The next life of the producer begins anew, and the one before is over.
    later = (stamp[0], stamp[1] + 1)
    assert client.produce(topic, 2, first, (*later, 0)).baseOffset == following.baseOffset + 2
    refused(FENCED_PRODUCER, lambda: client.produce(topic, 2, first, (*stamp, 4)))


def sends_again_over_another_connection(host, port, dice):
    """Connections are lost before the answer is read; what is sent again is stored once, in order."""
    client = Client(host, port)
    client.call("CreateTopic", name="once", partitions=1, settings=[])
    topic = client.topic("once")
    given = client.call("InitProducer")[0]
    stamp = (given.producerId, given.producerEpoch)
    again = 0
    for sequence in range(50):
        batch = write_batch([Record(str(sequence).encode())], (*stamp, sequence))
        while dice.random() < 0.4:
            again += 1
            entry = table("ProducePartition", topic=topic.topic, partition=0, lenBytes=len(batch))
            client.send("Produce", batch, acks=2, timeoutMs=30_000, partitions=[entry])
            client.close()
            client = Client(host, port)
        assert client.produce(topic, 0, [], batch=batch).baseOffset == sequence
    values = [record.value for record in client.fetch(topic, {0: 0})[0]]
    assert again > 0 and values == [str(sequence).encode() for sequence in range(50)], values
    client.close()


def appends_on_condition(client):
    """Of two writers that know the same end of the log one goes on, and the other is told where it ends."""
    client.call("CreateTopic", name="condition", partitions=1, settings=[])
    topic = client.topic("condition")
    records = [Record(b"one"), Record(b"two")]
    assert client.produce(topic, 0, records, expected_offset=0).baseOffset == 0
    late = refused(UNEXPECTED_OFFSET, lambda: client.produce(topic, 0, records, expected_offset=0))
    assert late.details.logEnd == 2 and late.details.state.highWatermark <= 2
    early = refused(UNEXPECTED_OFFSET, lambda: client.produce(topic, 0, records, expected_offset=3))
    assert early.details.logEnd == 2
    # A batch that is sent again is stored already, wherever the log ends by now.
    given = client.call("InitProducer")[0]
    stamp = (given.producerId, given.producerEpoch, 0)
    assert client.produce(topic, 0, records, stamp, expected_offset=2).baseOffset == 2
    client.produce(topic, 0, [Record(b"another")])
    assert client.produce(topic, 0, records, stamp, expected_offset=2).baseOffset == 2
    assert len(client.fetch(topic, {0: 0})[0]) == 5


def commits_offsets(client, host, port, ends):
    """Offsets of a group are found again over any connection; the topic that they are in is the broker's own."""
    topic = client.topic("python")
    assert [entry.offset for entry in client.committed("reader", topic, [0, 1])] == [None, None]
    client.commit("reader", topic, {0: 3, 1: 0}, leader_epoch=0, metadata="here")
    client.commit("reader", topic, {0: ends[0]})
    other = Client(host, port)
    first, second, third = other.committed("reader", topic, [0, 1, 2])
    assert first.offset == ends[0] and first.leaderEpoch is None and not first.metadata
    assert first.state.highWatermark >= ends[0]
    assert (second.offset, second.leaderEpoch, second.metadata) == (0, 0, b"here")
    assert second.committedAtMs > 1_600_000_000_000 and third.offset is None
    assert [entry.offset for entry in other.committed("reader")] == [ends[0], 0]
    assert other.committed("nobody") == []
    refused(UNKNOWN_PARTITION, lambda: client.commit("reader", topic, {99: 1}))
    refused(INVALID_REQUEST, lambda: client.commit("", topic, {0: 1}))
    refused(INVALID_REQUEST, lambda: client.commit("g" * 256, topic, {0: 1}))
    refused(INVALID_REQUEST, lambda: client.commit("reader", topic, {0: 1}, metadata="m" * 1025))
    own = client.topic("__groups")
    refused(UNSUPPORTED, lambda: client.produce(own, 0, [Record(b"x")]))
    names = [topic.name for topic in client.call("Metadata")[0].topics]
    assert b"python" in names and b"__groups" not in names
    names = [topic.name for topic in client.call("Metadata", includeInternal=True)[0].topics]
    assert b"__groups" in names
    other.close()


def is_refused(client, host, port):
    """Errors are those that the document names, and the connection goes on."""
    refused(TOPIC_EXISTS, lambda: client.call("CreateTopic", name="python", partitions=1, settings=[]))
    refused(UNKNOWN_TOPIC, lambda: client.topic("nothing"))
    refused(UNKNOWN_TOPIC, lambda: client.call("DescribeTopic", name="nothing"))
    refused(INVALID_REQUEST, lambda: client.call("Hello", versionMin=1, versionMax=1, software=""))
    topic = client.topic("python")
    beyond = refused(OFFSET_OUT_OF_RANGE, lambda: client.fetch(topic, {0: 1 << 40}))
    assert beyond.details.state.highWatermark > 0
    damaged = bytearray(write_batch([Record(b"value")]))
    damaged[-2] ^= 1
    refused(CORRUPT_BATCH, lambda: client.produce(topic, 0, [], batch=bytes(damaged)))
    version = refused(UNSUPPORTED_VERSION, lambda: Client(host, port, versions=(200, 201)))
    assert (version.details.versionMin, version.details.versionMax) == (1, 1)
    refused(INVALID_REQUEST, lambda: Client(host, port, shard=999))


def main(host, port, golden):
    numbers_of_the_document()
    golden_frames(golden)
    client = Client(host, port)
    client.call("CreateTopic", name="python", partitions=3, settings=[
        table("Setting", key="retention_ms", value="1d"),
    ])
    ends = produces_and_fetches(client, random.Random(2026))
    long_polls(client, host, port, ends)
    commits_offsets(client, host, port, ends)
    sends_again(client)
    sends_again_over_another_connection(host, port, random.Random(28))
    appends_on_condition(client)
    is_refused(client, host, port)
    for shard in range(client.hello.shardCount):
        other = Client(host, port, shard=shard)
        assert other.hello.shard == shard and other.hello.clusterId == client.hello.clusterId
        other.close()
    # For the Rust client, and from it.
    client.call("CreateTopic", name="exchange", partitions=1, settings=[])
    topic = client.topic("exchange")
    client.produce(topic, 0, [Record(b"from python", b"key", int(time.time() * 1000))])
    print("ready", flush=True)
    sys.stdin.readline()
    values = [record.value for record in client.fetch(topic, {0: 0})[0]]
    assert values == [b"from python", b"from rust"], values
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
