"""A hostile HTTP/2 client: raw frames over TLS as fast as the socket takes them, and a well-behaved one beside it."""
import pathlib
import select
import socket
import ssl
import struct
import threading
import time

import hpack

from h1client import client_tls, connect
from h2client import H2Client
from lab import NAME, wait_until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 3, 5, 6
REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CALM = 7, 8, 9, 11

MAX_FRAMES = 20_000
MAX_SECONDS = 15
BATCH = 64 * 1024


# ---- Frames and fields ----

def frame(kind, flags=0, sid=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", sid) + payload


def update(sid, by):
    return frame(WINDOW_UPDATE, 0, sid, struct.pack(">I", by))


def reset(sid, code=CANCEL):
    return frame(RST_STREAM, 0, sid, struct.pack(">I", code))


def integer(value, bits, first=0):
    """An HPACK integer with a prefix of so many bits (RFC 7541 section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out, value = bytearray((first | most,)), value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes((value,))


def text(value):
    return integer(len(value), 7) + value


def literal(name, value):
    """A field that is not put into the dynamic table."""
    return b"\0" + text(name) + text(value)


def indexing(name, value):
    """A field that is put into the dynamic table, where it is entry 62."""
    return b"\x40" + text(name) + text(value)


def head(method=b"GET", path=b"/", *more):
    """A header block without state: it may be sent any number of times."""
    return b"".join((literal(b":method", method), b"\x87", b"\x04" + text(path), b"\x01" + text(NAME.encode()),
                     *(literal(n, v) for n, v in more)))


GET, POST = head(), head(b"POST")


def streams():
    return range(1, 1 << 31, 2)


# ---- The attacker ----

class Attacker:
    """One TLS connection; what comes back is read (or not) and counted, never obeyed."""

    def __init__(self, port, ca, settings=b"", receive_buffer=None):
        self.sock = connect(port, client_tls(ca, ["h2"]), NAME, 20, receive_buffer)
        assert self.sock.selected_alpn_protocol() == "h2"
        self.sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        self.sock.setblocking(False)
        self.sent, self.ended, self.goaway, self.statuses = 0, False, None, []
        self.resets, self.data_bytes = {}, 0
        self._partial, self._out, self._decoder = b"", b"", hpack.Decoder()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flood(self, frames, read=True, most=MAX_FRAMES, seconds=MAX_SECONDS):
        """Sends what the generator makes, (count, bytes) each, until a bound or the connection's end."""
        deadline = time.monotonic() + seconds
        frames = iter(frames)
        more = True
        while not self.ended and (more or self._out) and time.monotonic() < deadline:
            parts, size = [self._out], len(self._out)
            while more and size < BATCH and self.sent < most:
                count, data = next(frames, (0, b""))
                more = count > 0
                self.sent += count
                size += len(data)
                parts.append(data)
            more = more and self.sent < most
            self._out = b"".join(parts)
            self._turn(read, min(0.1, deadline - time.monotonic()))
        return self

    def send(self, data, seconds=5):
        """All of it, unless the connection ends before."""
        self._out += data
        deadline = time.monotonic() + seconds
        while self._out and not self.ended and time.monotonic() < deadline:
            self._turn(True, 0.1)

    def wait_end(self, seconds=5):
        """Reads until the connection has ended; whether it did."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            self._turn(True, 0.1)
        return self.ended

    def wait_for(self, condition, seconds=5):
        """Reads until the condition or the end; the condition's value."""
        deadline = time.monotonic() + seconds
        while not self.ended and not condition() and time.monotonic() < deadline:
            self._turn(True, 0.05)
        return condition()

    def _turn(self, read, seconds):
        readable, writable, _ = select.select([self.sock] if read else [], [self.sock] if self._out else [], [],
                                              max(0, seconds))
        try:
            if writable:
                self._out = self._out[self.sock.send(self._out[:BATCH]):]
            if readable or (read and self.sock.pending()):
                self._take(self.sock.recv(262144))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._last_words()

    def _last_words(self):
        """The peer is gone; its GOAWAY may still lie in the socket."""
        try:
            while not self.ended:
                self._take(self.sock.recv(262144))
        except OSError:
            self.ended = True

    def _take(self, data):
        if not data:
            self.ended = True
        self._partial += data
        at = 0
        while len(self._partial) - at >= 9:
            length = int.from_bytes(self._partial[at:at + 3], "big")
            if len(self._partial) - at < 9 + length:
                break
            kind, sid = self._partial[at + 3], int.from_bytes(self._partial[at + 5:at + 9], "big")
            self._on(kind, sid, self._partial[at + 9:at + 9 + length])
            at += 9 + length
        self._partial = self._partial[at:]

    def _on(self, kind, sid, payload):
        if kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == RST_STREAM:
            code = int.from_bytes(payload, "big")
            self.resets[code] = self.resets.get(code, 0) + 1
        elif kind == DATA:
            self.data_bytes += len(payload)
        elif kind == HEADERS:
            self.statuses.append(int(dict(self._decoder.decode(payload))[":status"]))


# ---- The others on the same worker ----

class GoodClient:
    """GETs one after the other on a connection of its own, in a thread, until it is stopped."""

    PAUSE_S = 0.004  # so that it takes little of the processor's time that the attack is measured by

    def __init__(self, port, ca):
        self.client = H2Client(port, ca=ca)
        self.times, self.statuses, self.error = [], [], None
        self.once()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def once(self):
        began = time.monotonic()
        self.statuses.append(self.client.get("/").status)
        self.times.append(time.monotonic() - began)

    def _run(self):
        try:
            while not self._stop.wait(self.PAUSE_S):
                self.once()
        except Exception as e:  # told by __exit__
            self.error = e

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join(40)
        self.client.close()
        if kind is None:
            assert not self._thread.is_alive(), "the good client waits for an answer"
            assert self.error is None, self.error
            assert set(self.statuses) == {200}, set(self.statuses)

    @property
    def worst(self):
        return max(self.times)


# ---- What an attack has cost ----

class Bill:
    """Processor time of the proxy and of the attacker, and the proxy's peak of memory, from here on."""

    def __init__(self, process):
        self.process = process
        self._settle()
        pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak starts again
        self.rss = process.rss_kib()
        self.cpu, self.own = process.cpu_seconds(), time.process_time()

    def _settle(self):
        seen = []

        def still():
            seen.append(self.process.cpu_seconds())
            return len(seen) >= 10 and seen[-1] - seen[-10] < 0.02
        wait_until(still, 20, "the proxy to be quiet", every=0.01)

    def spent(self):
        """(CPU seconds of the proxy, of this process, growth of memory at its peak in KiB)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        return self.process.cpu_seconds() - self.cpu, time.process_time() - self.own, peak - self.rss


def cuts(proxy):
    """{reason: count} of the connections that were cut."""
    found = {}
    for line in proxy.metrics().splitlines():
        if line.startswith("isochrone_connections_cut_total{"):
            reason = line.split('reason="', 1)[1].split('"', 1)[0]
            found[reason] = found.get(reason, 0) + float(line.rsplit(" ", 1)[1])
    return {reason: int(count) for reason, count in found.items() if count}


def wait_cut(proxy, reasons, seconds=5):
    """Until a connection was cut for one of the reasons."""
    wait_until(lambda: set(cuts(proxy)) & set(reasons), seconds, f"a cut for one of {reasons}; now {cuts(proxy)}")


def ended(sock, seconds):
    """Whether the peer ends the connection in time; what it says before is thrown away."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            if not sock.recv(65536):
                return True
        except (TimeoutError, socket.timeout):
            return False
        except OSError:
            return True
    return False
