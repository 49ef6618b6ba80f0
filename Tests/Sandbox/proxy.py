"""A TCP proxy that understands Kafka frames; every sandbox broker stands behind one.

It does three things:

- it rewrites the broker's advertised address in replies, so that clients stay behind it;
- it holds empty fetch replies of a broker without long poll, so that idle consumers do not spin;
- it injects faults on command, per direction: see `Faults`.

A Kafka connection carries frames: a four byte length, then the frame. A request begins with API
key, API version and correlation id; its reply with the same correlation id. Nothing else is parsed,
except the head of Fetch requests and replies.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field

PRODUCE, FETCH, METADATA, FIND_COORDINATOR, DESCRIBE_CLUSTER = 0, 1, 3, 10, 60
CARRY_ADDRESSES = {METADATA, FIND_COORDINATOR, DESCRIBE_CLUSTER}
"""APIs whose replies tell clients where brokers are."""

NEW_LEADERS = {PRODUCE: 10, FETCH: 16}
"""APIs whose replies do so from this version on, beside an error (KIP-951)."""

LARGEST_NEW_LEADERS = 16 * 1024
"""A reply above this is none of them: fetched records must not be touched."""

CHUNK = 256 * 1024
LARGEST_PARSED_FETCH = 256 * 1024
"""A fetch reply above this surely carries records: it is passed on without a look inside."""

DIRECTIONS = ("up", "down")
"""up: from clients to the broker; down: from the broker to clients."""


@dataclass
class Breakage:
    """One frame to break: after `after_bytes` of it the connection is closed."""

    direction: str
    after_bytes: int
    api_keys: frozenset[int]


@dataclass
class Faults:
    """What is wrong with the network right now."""

    refuse: bool = False
    delay_seconds: float = 0
    blackhole: set[str] = field(default_factory=set)
    breakage: Breakage | None = None


@dataclass(frozen=True)
class Request:
    """What the proxy remembers of a request until its reply comes."""

    api_key: int
    version: int
    max_wait_seconds: float = 0


class Connection:
    """A client's connection and its counterpart to the broker."""

    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        broker: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.proxy = proxy
        self.client_reader, self.client_writer = client
        self.broker_reader, self.broker_writer = broker
        self.pending: dict[int, Request] = {}
        self.damaged = False
        """Bytes were swallowed: the stream makes no sense any more once it flows again."""

    async def run(self) -> None:
        """Passes frames in both directions until either side closes."""
        pumps = [asyncio.create_task(self.pump_up()), asyncio.create_task(self.pump_down())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self.client_writer.close()
            self.broker_writer.close()

    def abort(self) -> None:
        """Resets both sides at once; nothing that waits is sent."""
        self.client_writer.transport.abort()
        self.broker_writer.transport.abort()

    async def pump_up(self) -> None:
        """Client to broker: remembers each request's kind for the sake of its reply."""
        while True:
            length, head = await read_head(self.client_reader, 64)
            request = parse_request(head)
            if request is not None:
                self.pending[correlation_id(head, 4)] = request
            await self.pass_frame(
                "up", request, length, head, self.client_reader, self.broker_writer
            )

    async def pump_down(self) -> None:
        """Broker to client: rewrites addresses, holds empty fetches, passes the rest untouched."""
        while True:
            length, head = await read_head(self.broker_reader, 4)
            request = self.pending.pop(correlation_id(head, 0), None)
            if self.proxy.faults.delay_seconds:
                await asyncio.sleep(self.proxy.faults.delay_seconds)
            if request is not None and self.wants_whole_reply(request, length):
                head += await self.broker_reader.readexactly(length - len(head))
                head = await self.edit_reply(request, head)
            await self.pass_frame(
                "down", request, length, head, self.broker_reader, self.client_writer
            )

    @staticmethod
    def may_carry_addresses(request: Request, length: int) -> bool:
        if request.api_key in CARRY_ADDRESSES:
            return True
        since = NEW_LEADERS.get(request.api_key)
        return since is not None and request.version >= since and length <= LARGEST_NEW_LEADERS

    def wants_whole_reply(self, request: Request, length: int) -> bool:
        if self.may_carry_addresses(request, length):
            return True
        holds = request.api_key == FETCH and self.proxy.hold_seconds > 0
        return holds and length <= LARGEST_PARSED_FETCH

    async def edit_reply(self, request: Request, frame: bytes) -> bytes:
        if self.may_carry_addresses(request, len(frame)):
            frame = self.proxy.rewrite_addresses(frame)
        if request.api_key == FETCH and fetch_reply_is_empty(frame, request.version):
            await asyncio.sleep(min(request.max_wait_seconds, self.proxy.hold_seconds))
        return frame

    async def pass_frame(
        self,
        direction: str,
        request: Request | None,
        length: int,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Sends a frame whose first bytes were read already, and the rest as it arrives."""
        allowed = self.proxy.bytes_allowed(direction, request, length)
        data = struct.pack(">i", length) + head
        remaining = length - len(head)
        while True:
            if direction in self.proxy.faults.blackhole:
                self.damaged = True
            elif allowed is not None and allowed <= len(data):
                writer.write(data[:allowed])
                await writer.drain()
                raise ConnectionAbortedError("frame broken on command")
            else:
                writer.write(data)
                await writer.drain()
                allowed = None if allowed is None else allowed - len(data)
            if remaining == 0:
                return
            data = await reader.read(min(remaining, CHUNK))
            if not data:
                raise asyncio.IncompleteReadError(b"", remaining)
            remaining -= len(data)


class Proxy:
    """Listens on a port of its own in front of one broker."""

    def __init__(self, broker_port: int, hold_seconds: float = 0) -> None:
        self.broker_port = broker_port
        self.hold_seconds = hold_seconds
        self.faults = Faults()
        self.port = 0
        self.connections: set[Connection] = set()
        self.server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listens on the given loopback port, or on any free one."""
        self.server = await asyncio.start_server(
            self.accept, "127.0.0.1", port, reuse_address=True, backlog=512, limit=4 * CHUNK
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the port and every connection."""
        if self.server is not None:
            self.server.close()
        self.cut()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a client to the broker; a broker that is down resets the client."""
        connection = None
        try:
            if self.faults.refuse:
                return
            broker = await asyncio.open_connection("127.0.0.1", self.broker_port, limit=4 * CHUNK)
            for each in (writer, broker[1]):
                without_delay(each)
            connection = Connection(self, (reader, writer), broker)
            self.connections.add(connection)
            await connection.run()
        except (OSError, EOFError):
            pass
        finally:
            if connection is None:
                writer.transport.abort()
            else:
                self.connections.discard(connection)

    def rewrite_addresses(self, frame: bytes) -> bytes:
        """Replaces the broker's port by the proxy's, wherever an address stands.

        In every version of these replies a host is followed by its port in four bytes, and both
        ports are of the same length, so that no length inside the frame changes.
        """
        host = b"127.0.0.1"
        old = host + struct.pack(">i", self.broker_port)
        return frame.replace(old, host + struct.pack(">i", self.port))

    def bytes_allowed(self, direction: str, request: Request | None, length: int) -> int | None:
        """How much of this frame may pass where it is the one to break; it is broken once."""
        breakage = self.faults.breakage
        if breakage is None or request is None or breakage.direction != direction:
            return None
        if request.api_key not in breakage.api_keys or length + 4 <= breakage.after_bytes:
            return None
        self.faults.breakage = None
        return breakage.after_bytes

    # Faults

    def cut(self) -> int:
        """Resets all connections; new ones are accepted. Returns how many there were."""
        connections = list(self.connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    def refuse(self, on: bool) -> None:
        """Resets every new connection at once; those there are stay."""
        self.faults.refuse = on

    def delay(self, milliseconds: float) -> None:
        """Delays each reply; the replies of one connection are delayed one after another."""
        self.faults.delay_seconds = milliseconds / 1000

    def blackhole(self, direction: str, on: bool) -> None:
        """Swallows all bytes of a direction and keeps connections; they are reset afterwards."""
        directions = set(DIRECTIONS) if direction == "both" else {direction}
        if not directions <= set(DIRECTIONS):
            raise ValueError(f"direction must be up, down or both, not {direction!r}")
        if on:
            self.faults.blackhole |= directions
        else:
            self.faults.blackhole -= directions
            self.reset_damaged()

    def break_frame(self, direction: str, after_bytes: int, api: str | None = None) -> None:
        """Closes the connection after so many bytes of the next longer Fetch or Produce frame."""
        apis = {None: {FETCH, PRODUCE}, "fetch": {FETCH}, "produce": {PRODUCE}}
        if direction not in DIRECTIONS or api not in apis or after_bytes < 0:
            raise ValueError(
                "breakframe needs direction up or down, after_bytes of 0 or more,"
                " and, if any, api fetch or produce"
            )
        self.faults.breakage = Breakage(direction, after_bytes, frozenset(apis[api]))

    def heal(self) -> None:
        """Ends all faults."""
        self.faults = Faults()
        self.reset_damaged()

    def reset_damaged(self) -> None:
        for connection in list(self.connections):
            if connection.damaged:
                connection.abort()


def without_delay(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def read_head(reader: asyncio.StreamReader, wanted: int) -> tuple[int, bytes]:
    """The next frame's length and its first bytes, fewer than wanted where it is shorter."""
    (length,) = struct.unpack(">i", await reader.readexactly(4))
    if length < 4:
        raise ConnectionAbortedError(f"not a Kafka frame: its length is {length}")
    return length, await reader.readexactly(min(length, wanted))


def correlation_id(head: bytes, position: int) -> int:
    return struct.unpack_from(">i", head, position)[0]


def parse_request(head: bytes) -> Request | None:
    """Reads API key, version and, of a fetch, how long the client would wait."""
    if len(head) < 8:
        return None
    api_key, version = struct.unpack_from(">hh", head)
    if api_key != FETCH or len(head) < 10:
        return Request(api_key, version)
    (client_id_length,) = struct.unpack_from(">h", head, 8)
    position = 10 + max(client_id_length, 0)
    if version >= 12:
        position += 1  # tagged fields of the header, of which no client has any
    if version <= 14:
        position += 4  # replica id
    if len(head) < position + 4:
        return Request(api_key, version, 0.5)
    (max_wait_milliseconds,) = struct.unpack_from(">i", head, position)
    return Request(api_key, version, max(max_wait_milliseconds, 0) / 1000)


class Cursor:
    """Reads a reply's fields one after another, in either of Kafka's two encodings."""

    def __init__(self, data: bytes, position: int, flexible: bool) -> None:
        self.data = data
        self.position = position
        self.flexible = flexible

    def skip(self, count: int) -> None:
        self.position += count

    def int16(self) -> int:
        self.position += 2
        return struct.unpack_from(">h", self.data, self.position - 2)[0]

    def int32(self) -> int:
        self.position += 4
        return struct.unpack_from(">i", self.data, self.position - 4)[0]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def count(self) -> int:
        """Length of an array, or of bytes; none counts as 0."""
        return max(self.varint() - 1 if self.flexible else self.int32(), 0)

    def skip_string(self) -> None:
        self.skip(max(self.varint() - 1 if self.flexible else self.int16(), 0))

    def skip_tags(self) -> None:
        if self.flexible:
            for _ in range(self.varint()):
                self.varint()
                self.skip(self.varint())


def fetch_reply_is_empty(frame: bytes, version: int) -> bool:
    """Whether a fetch reply carries neither a record nor an error."""
    try:
        return parse_fetch_reply_is_empty(frame, version)
    except (struct.error, IndexError):
        return False


def parse_fetch_reply_is_empty(frame: bytes, version: int) -> bool:
    cursor = Cursor(frame, 4, flexible=version >= 12)
    cursor.skip_tags()
    cursor.skip(4 if version >= 1 else 0)  # throttle time
    if version >= 7:
        if cursor.int16() != 0:
            return False
        cursor.skip(4)  # session id
    for _ in range(cursor.count()):
        cursor.skip(16) if version >= 13 else cursor.skip_string()
        for _ in range(cursor.count()):
            if not partition_is_empty(cursor, version):
                return False
        cursor.skip_tags()
    return True


def partition_is_empty(cursor: Cursor, version: int) -> bool:
    cursor.skip(4)  # partition
    if cursor.int16() != 0:
        return False
    cursor.skip(8)  # high watermark
    cursor.skip(8 if version >= 4 else 0)  # last stable offset
    cursor.skip(8 if version >= 5 else 0)  # log start offset
    if version >= 4:
        for _ in range(cursor.count()):  # aborted transactions
            cursor.skip(16)
            cursor.skip_tags()
    cursor.skip(4 if version >= 11 else 0)  # preferred read replica
    if cursor.count() > 0:
        return False
    cursor.skip_tags()
    return True
