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
OFFSET_OUT_OF_RANGE, CORRUPT_BATCH, OUT_OF_ORDER_SEQUENCE = 10, 12, 25


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
    sends_again(client)
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
