"""A small client for ringlog, written from net/wire/PROTOCOL.md and the schema alone.

It needs the package `flatbuffers` and the code that flatc makes of the schema (`--python --gen-object-api --gen-all --gen-onefile`). One
connection, any shard: simple, not fast.
"""

import socket
import struct
from dataclasses import dataclass, field

import flatbuffers
import wire_generated

VERSION = 1
HEADER = struct.Struct("<4sBBHQIIII")
RESPONSE, ERROR = 1, 2
APIS = {
    "Hello": 1,
    "Metadata": 2,
    "Produce": 3,
    "Fetch": 4,
    "ListOffsets": 5,
    "CreateTopic": 6,
    "DeleteTopic": 7,
    "AlterTopic": 8,
    "DescribeTopic": 9,
    "DescribeCluster": 10,
    "DeleteRecords": 11,
    "InitProducer": 12,
    "OffsetCommit": 13,
    "OffsetFetch": 14,
    "WatchCluster": 15,
    "DrainBroker": 16,
    "ElectLeaders": 17,
    "AlterPartitionReassignment": 18,
}


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def table(name, /, **fields):
    """A table of the schema to be filled in; fields in camel case, as flatc names them."""
    return getattr(wire_generated, name + "T")(**fields)


def unpack(name, body):
    return getattr(wire_generated, name + "T").InitFromPackedBuf(body)


# Frames


def write_frame(api, correlation_id, message, payload=b"", flags=0, version=VERSION):
    builder = flatbuffers.Builder(256)
    builder.Finish(message.Pack(builder))
    body = bytes(builder.Output())
    body += bytes(-len(body) % 8)
    fields = [b"RLOG", version, flags, api, correlation_id, len(body), len(payload), 0, 0]
    fields[7] = crc32c(HEADER.pack(*fields) + body)
    return HEADER.pack(*fields) + body + payload


@dataclass
class Frame:
    version: int
    flags: int
    api: int
    correlation_id: int
    body: bytes
    payload: bytes = b""


def read_frame(receive, with_payload=True):
    """A frame out of `receive(n)`, which gives exactly so many bytes."""
    header = receive(HEADER.size)
    magic, version, flags, api, correlation_id, body_len, payload_len, crc, _ = HEADER.unpack(header)
    if magic != b"RLOG" or body_len > 1 << 20 or body_len % 8 or payload_len > 32 << 20:
        raise ConnectionError(f"not a frame: {header.hex()}")
    body = receive(body_len)
    if crc != crc32c(header[:24] + bytes(4) + header[28:] + body):
        raise ConnectionError("the checksum of a frame does not match")
    payload = receive(payload_len) if with_payload else b""
    return Frame(version, flags, api, correlation_id, body, payload)


# Record batches


def varint(number):
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest >= 0x80:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        taken = self.data[self.at : self.at + length]
        if len(taken) != length:
            raise ValueError("a record is cut off")
        self.at += length
        return taken

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)

    def maybe(self):
        length = self.varint()
        return None if length < 0 else self.take(length)


def maybe(data):
    return varint(-1) if data is None else varint(len(data)) + data


@dataclass
class Record:
    value: bytes | None
    key: bytes | None = None
    timestamp_ms: int = 0
    headers: list = field(default_factory=list)
    offset: int | None = field(default=None, compare=False)


# base offset, length, leader epoch, magic, crc / attributes and what follows up to the records
FRONT = struct.Struct(">qiibI")
COVERED = struct.Struct(">hiqqqhii")


def write_batch(records, producer=(-1, -1, -1)):
    base = records[0].timestamp_ms
    latest = max(record.timestamp_ms for record in records)
    covered = COVERED.pack(0, len(records) - 1, base, latest, *producer, len(records))
    for delta, record in enumerate(records):
        inner = b"\0" + varint(record.timestamp_ms - base) + varint(delta)
        inner += maybe(record.key) + maybe(record.value) + varint(len(record.headers))
        for name, value in record.headers:
            inner += maybe(name.encode()) + maybe(value)
        covered += varint(len(inner)) + inner
    return FRONT.pack(0, len(covered) + FRONT.size - 12, -1, 2, crc32c(covered)) + covered


def read_batches(data):
    """The records of whole batches, with the leader epoch of the last batch and the offset behind it."""
    records, epoch, end, at = [], None, None, 0
    while at < len(data):
        base_offset, length, epoch, magic, crc = FRONT.unpack_from(data, at)
        covered = data[at + FRONT.size : at + 12 + length]
        if magic != 2 or crc != crc32c(covered):
            raise ValueError("a batch is damaged")
        at += 12 + length
        attributes, last_delta, base, latest, _, _, _, count = COVERED.unpack_from(covered)
        end = base_offset + last_delta + 1
        if attributes & 0x20:
            continue
        if attributes & 7:
            raise ValueError(f"compression {attributes & 7} is not implemented")
        reader = Reader(covered[COVERED.size :])
        for _ in range(count):
            reader.varint()
            reader.take(1)
            timestamp = base + reader.varint()
            offset = base_offset + reader.varint()
            key, value = reader.maybe(), reader.maybe()
            headers = [(reader.maybe().decode(), reader.maybe()) for _ in range(reader.varint())]
            timestamp = latest if attributes & 8 else timestamp
            records.append(Record(value, key, timestamp, headers, offset))
    return records, epoch, end


def murmur2(key):
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for (k,) in struct.iter_unpack("<I", key[:whole]):
        k = k * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    rest = key[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(key, partitions):
    return (murmur2(key) & 0x7FFFFFFF) % partitions


# The client


class Refused(Exception):
    """An error code of the protocol, for a whole request or for a partition."""

    def __init__(self, code, message, details=None):
        super().__init__(f"error {code}: {message}")
        self.code, self.details = code, details


def checked(entry):
    if entry.error:
        raise Refused(entry.error, entry.message, entry)
    return entry


class Client:
    def __init__(self, host, port, shard=None, versions=(VERSION, VERSION)):
        self.socket = socket.create_connection((host, port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.last_id = 0
        self.answers = {}
        fields = {"versionMin": versions[0], "versionMax": versions[1], "shard": shard}
        self.hello = self.call("Hello", software="ringlog-python-test", **fields)[0]
        if not versions[0] <= self.hello.version <= versions[1]:
            raise ConnectionError(f"the broker chose version {self.hello.version}")

    def close(self):
        self.socket.close()

    def receive(self, length):
        data = bytearray()
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("the broker has closed the connection")
            data += part
        return bytes(data)

    def send(self, name, payload=b"", /, **fields):
        """Sends a request; gives what `wait` takes."""
        self.last_id += 1
        request = table(name + "Request", **fields)
        self.socket.sendall(write_frame(APIS[name], self.last_id, request, payload))
        return name, self.last_id

    def wait(self, sent):
        """The answer to what was sent, with its payload; answers to other requests are kept for them."""
        name, correlation_id = sent
        while correlation_id not in self.answers:
            frame = read_frame(self.receive)
            self.answers[frame.correlation_id] = frame
        frame = self.answers.pop(correlation_id)
        assert frame.api == APIS[name] and frame.flags & RESPONSE and frame.version == VERSION
        if frame.flags & ERROR:
            error = unpack("ErrorResponse", frame.body)
            raise Refused(error.code, error.message.decode(), error)
        return unpack(name + "Response", frame.body), frame.payload

    def call(self, name, payload=b"", /, **fields):
        return self.wait(self.send(name, payload, **fields))

    def topic(self, name):
        topic = self.call("Metadata", topics=[name])[0].topics[0]
        if topic.error:
            raise Refused(topic.error, name, topic)
        return topic

    def produce(self, topic, partition, records, producer=(-1, -1, -1), batch=None, expected_offset=None):
        batch = batch or write_batch(records, producer)
        place = {"topic": topic.topic, "partition": partition, "lenBytes": len(batch)}
        place["expectedOffset"] = expected_offset
        entries = [table("ProducePartition", **place)]
        answer, _ = self.call("Produce", batch, acks=2, timeoutMs=30_000, partitions=entries)
        return checked(answer.partitions[0])

    def commit(self, group, topic, offsets, leader_epoch=None, metadata=None):
        """Commits offsets of partitions: `{partition: offset}`."""
        beside = {"leaderEpoch": leader_epoch, "metadata": metadata}
        entries = [
            table("OffsetCommitPartition", topic=topic.topic, partition=one, offset=offset, **beside)
            for one, offset in offsets.items()
        ]
        answer, _ = self.call("OffsetCommit", group=group, partitions=entries)
        return [checked(entry) for entry in answer.partitions]

    def committed(self, group, topic=None, partitions=()):
        """What a group has committed: for these partitions, or without a topic all of it."""
        entries = None
        if topic:
            entries = [table("OffsetFetchPartition", topic=topic.topic, partition=one) for one in partitions]
        answer, _ = self.call("OffsetFetch", group=group, partitions=entries)
        return [checked(entry) for entry in answer.partitions]

    def send_fetch(self, topic, positions, max_wait_ms=0, min_bytes=1):
        """Asks for partitions from offsets: `{partition: offset}`."""
        entries = [
            table("FetchPartition", topic=topic.topic, partition=one, offset=offset, maxBytes=1 << 20)
            for one, offset in positions.items()
        ]
        limits = {"maxWaitMs": max_wait_ms, "minBytes": min_bytes, "maxBytes": 8 << 20}
        return self.send("Fetch", partitions=entries, **limits), positions

    def wait_fetch(self, asked):
        sent, positions = asked
        answer, payload = self.wait(sent)
        fetched, at = {}, 0
        for entry in answer.partitions:
            checked(entry)
            records, _, _ = read_batches(payload[at : at + entry.lenBytes])
            at += entry.lenBytes
            begin = positions[entry.partition]
            fetched[entry.partition] = [record for record in records if record.offset >= begin]
        assert at == len(payload)
        return fetched

    def fetch(self, topic, positions, **how):
        return self.wait_fetch(self.send_fetch(topic, positions, **how))
