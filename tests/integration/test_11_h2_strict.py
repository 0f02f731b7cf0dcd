"""HTTP/2 clients that break a rule of RFC 9113 or 7541, frame by frame and by hand, and what they may rightly do."""
import signal
import struct
import threading
import time
from contextlib import closing
from functools import partial

import hpack
import pytest

import lab as labs
import product
from conftest import H1Origin
from h1client import client_tls, connect
from lab import HOST, NAME, free_port

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, UPDATE, CONTINUATION = range(10)
END, ACK, END_HEADERS, WHOLE, PADDED, PRIO = 1, 1, 4, 5, 8, 0x20
PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION = 1, 3, 5, 6, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
API = NAME.encode()


class Region(H1Origin):
    """/hold waits for the gate, /deaf never reads its body, /big answers with 1000 bytes."""

    def __init__(self, lab):
        self.complete, self.gate, self.hearing = [], threading.Event(), threading.Event()
        super().__init__(lab, self.reply, tls=False)

    def _body(self, stream, request):
        if request.path == "/deaf":
            self.hearing.wait(60)
            raise EOFError
        super()._body(stream, request)
        if len(request.body) < int(request.get("content-length", 0)):
            raise EOFError

    def reply(self, sock, request):
        self.complete.append(request)
        if request.path == "/hold":
            self.gate.wait(60)
        body = b"b" * 1000 if request.path == "/big" else b"ok"
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def frame(kind, flags, sid, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, sid) + payload


def literal(name, value, first=0):
    return bytes([first, len(name)]) + name + bytes([len(value)]) + value


def fields(*extra, method=b"GET", scheme=b"http", authority=API, path=b"/x"):
    pseudo = [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]
    return b"".join(literal(n, v) for n, v in [*((n, v) for n, v in pseudo if v is not None), *extra])


def get(sid, *extra, flags=WHOLE, **pseudo):
    return frame(HEADERS, flags, sid, fields(*extra, **pseudo))


post = partial(get, method=b"POST", flags=END_HEADERS)
one, up, head = partial(get, 1), partial(post, 1), partial(frame, HEADERS, WHOLE, 1)
data, last, update = partial(frame, DATA, 0, 1), partial(frame, DATA, END, 1), partial(frame, UPDATE, 0)


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in pairs))


class Wire:
    """One connection, frame by frame; SETTINGS of the proxy are acknowledged, its windows are added up."""

    def __init__(self, port, opening=PREFACE + settings(), context=None):
        self.sock = connect(port, context, NAME if context else None, 8 * product.SLOW)
        self.buffer, self.ended, self.frames, self.decoder = b"", False, [], hpack.Decoder()
        self.answers, self.bodies, self.resets, self.goaways, self.windows = {}, {}, {}, [], {}
        self.done, self.pongs = set(), []
        self.send(opening)

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def pump(self):
        """One frame, or the end."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended = True
                return
            self.buffer += data
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags, sid = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
        self.frames.append((kind, flags, sid, payload))
        self.on(kind, flags, sid, payload)

    def on(self, kind, flags, sid, payload):
        if kind == HEADERS:
            assert flags & END_HEADERS and not flags & (PADDED | PRIO)
            self.answers.setdefault(sid, []).append(dict(self.decoder.decode(payload)))
        elif kind == DATA:
            self.bodies[sid] = self.bodies.get(sid, b"") + payload
        elif kind == RST:
            self.resets[sid] = int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            self.goaways.append(struct.unpack(">II", payload[:8]))
        elif kind == UPDATE:
            self.windows[sid] = self.windows.get(sid, 0) + int.from_bytes(payload, "big")
        elif kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        if kind in (HEADERS, DATA) and flags & END:
            self.done.add(sid)

    def until(self, condition, what):
        """Reads frames until the condition holds; the connection's end or a deadline before that is an error."""
        deadline = time.monotonic() + 8 * product.SLOW
        while not condition():
            assert time.monotonic() < deadline, f"no {what}: {self.story()}"
            assert not self.ended, f"the connection ended before {what}: {self.story()}"
            try:
                self.pump()
            except TimeoutError:
                raise AssertionError(f"no {what}: {self.story()}") from None

    def story(self):
        return (f"answers {self.answers} bodies {[(s, b[:80]) for s, b in self.bodies.items()]} resets {self.resets} "
                f"goaways {self.goaways} ended {self.ended}")

    def sync(self, mark=b"synchron", or_error=False):
        """What the proxy had to say of all that was sent before has come."""
        count = len(self.pongs)
        self.send(frame(PING, 0, 0, mark))
        self.until(lambda: len(self.pongs) > count or (or_error and (self.resets or self.goaways or self.ended)), "ACK")
        assert or_error or self.pongs[-1] == mark

    def status(self, sid):
        self.until(lambda: sid in self.done or sid in self.resets, f"an answer on stream {sid}")
        assert sid not in self.resets, self.story()
        return int(self.answers[sid][-1][":status"])


class Site:
    """One proxy, in clear and over TLS, over one region."""

    def __init__(self, lab):
        self.port, self.tls = free_port(), free_port()
        self.region = Region(lab)
        pair = {"cert": str(lab.certs.cert()), "key": str(lab.certs.key())}
        both = ["h2", "http/1.1"]
        listeners = [{"address": f"{HOST}:{self.port}", "protocols": both},
                     {"address": f"{HOST}:{self.tls}", "protocols": both, "tls": {"certificates": [pair]}}]
        self.proxy = product.Isochrone.over(lab, {"one": self.region.url}, protocol="http/1.1", port=self.port,
                                            listeners=listeners)

    def wire(self, **more):
        return closing(Wire(self.port, **more))

    def check_alive(self, wire, sid):
        wire.send(get(sid, path=b"/next"))
        assert wire.status(sid) == 200


@pytest.fixture(scope="module")
def module_site(tmp_path_factory, certs):
    with labs.Lab(tmp_path_factory.mktemp("h2strict")) as lab:
        lab._certs = certs
        made = Site(lab)
        yield made
        made.proxy.stop()
        made.region.close()
        assert not made.region.errors, made.region.errors


@pytest.fixture
def site(module_site):
    region = module_site.region
    region.requests.clear()
    region.complete.clear()
    region.gate.clear()
    region.hearing.clear()
    yield module_site
    region.gate.set()
    region.hearing.set()


def table(rows):
    return pytest.mark.parametrize("row", [row[1:] for row in rows], ids=[row[0] for row in rows])


def paths(requests):
    return [(r.method, r.path, bytes(r.body), r.headers) for r in requests if r.path != "/next" and not r.is_probe]


def stream_error(site, data, codes=(PROTOCOL,), body=False):
    """RST_STREAM with the code, or a 400 (RFC 9113 8.1.1); others go on; nothing whole reaches the region."""
    with site.wire() as wire:
        wire.send(data)
        wire.until(lambda: 1 in wire.resets or 1 in wire.answers or wire.goaways, "an answer")
        assert not wire.goaways, wire.story()
        if 1 in wire.answers:
            assert wire.answers[1][0][":status"] == "400", f"{wire.story()}; region saw {paths(site.region.requests)}"
        else:
            assert wire.resets[1] in codes, wire.story()
        site.check_alive(wire, 3)
    # A length of 0 makes the head alone a whole request: that much cannot be called back.
    assert not [p for p in paths(site.region.complete) if not body or p[2] or ("content-length", "0") not in p[3]]
    if not body:
        assert not paths(site.region.requests)


def connection_error(site, data, codes, opening=PREFACE + settings(), settled=None):
    """GOAWAY with the code, then the end."""
    with site.wire(opening=opening) as wire:
        if settled:
            settled(wire)
        wire.send(data)
        wire.until(lambda: wire.ended, "the end of the connection")
        assert wire.goaways and wire.goaways[-1][1] in codes, wire.story()


# ---- Malformed requests: RFC 9113 section 8 ----

MALFORMED = [
    ("8.2.1-uppercase-name", one((b"X-a", b"1"))), ("8.2.1-uppercase-inside", one((b"x-A", b"1"))),
    ("8.2.1-uppercase-known", one((b"Content-Length", b"0"))),
    *[(f"8.2.1-name-{c:02x}", one((b"x" + bytes([c]) + b"a", b"1"))) for c in (0x00, 0x01, 0x09, 0x0a, 0x0d, 0x1f,
     0x20, 0x3a, 0x7f, 0x80, 0xff)],
    ("8.2.1-name-empty", one((b"", b"1"))),
    *[(f"8.2.1-value-{name}", one((b"x-a", value))) for name, value in (("cr", b"1\r2"), ("lf", b"1\n2"), ("nul",
     b"1\x002"), ("crlf", b"1\r\nx-b: 2"), ("nul-alone", b"\x00"), ("blank-before", b" 1"), ("blank-after", b"1 "),
     ("tab-before", b"\t1"), ("tab-after", b"1\t"), ("blank-alone", b" "))],
    ("8.3.1-path-empty", one(path=b"")), ("8.3.1-path-no-slash", one(path=b"x")),
    ("8.3.1-path-blank", one(path=b"/x y")), ("8.3.1-path-blank-http", one(path=b"/x HTTP/1.1\r\nHost: a\r\n\r\n")),
    ("8.3.1-path-fragment", one(path=b"/x#y")), ("8.3.1-path-nul", one(path=b"/x\x00")),
    ("8.3.1-path-non-ascii", one(path=b"/x\xff")), ("8.3.1-path-asterisk-get", one(path=b"*")),
    ("8.3.1-path-absolute", one(path=b"http://api.example.test/x")),
    ("8.3.1-authority-host-differ", one((b"host", b"other.example.test"))),
    ("8.3.1-host-port-differs", one((b"host", API + b":81"))),
    ("8.3.1-two-hosts", one((b"host", API), (b"host", b"other.example.test"), authority=None)),
    ("8.3.1-authority-user", one(authority=b"u@" + API)),
    ("8.3.1-host-user", one((b"host", b"u@" + API), authority=None)),
    *[(f"8.3.1-authority-{name}", one(authority=value)) for name, value in (("blank", b"a b"), ("slash", b"a/b"),
     ("nul", b"a\x00b"), ("crlf", b"a\r\nx: y"), ("port", b"a:x"), ("query", b"a?b"), ("port-65536", b"a:65536"),
     ("no-host", b":80"), ("percent", b"a%zz"), ("bracket", b"[::1"), ("non-ascii", b"\xe9"))],
    ("8.3.1-neither-authority-nor-host", one(authority=None)),
    *[(f"8.2.2-{name.decode()}", one((name, value))) for name, value in ((b"transfer-encoding", b"chunked"),
     (b"connection", b"close"), (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5"), (b"proxy-connection",
     b"keep-alive"), (b"upgrade", b"h2c"))],
    ("9112-6.3-cl-twin", one((b"content_length", b"5"))), ("9112-6.3-te-twin", one((b"transfer_encoding", b"chunked"))),
    ("9112-6.3-cl-twin-post", up((b"content_length", b"5")) + last(b"hi")),
    ("8.2.2-te-gzip", one((b"te", b"gzip"))), ("8.2.2-te-more", one((b"te", b"trailers, deflate"))),
    *[(f"8.3-repeated-{name.decode()[1:]}", one((name, value))) for name, value in ((b":method", b"GET"), (b":scheme",
     b"http"), (b":path", b"/y"), (b":authority", API))],
    ("8.3-unknown-pseudo", one((b":x", b"1"))), ("8.3-status", one((b":status", b"200"))),
    ("8441-4-protocol", one((b":protocol", b"websocket"))), ("8.3-empty-pseudo", one((b":", b"1"))),
    ("8.3-pseudo-after-regular", head(fields((b"x-a", b"1"), path=None) + literal(b":path", b"/x"))),
    ("8.3.1-no-method", one(method=None)), ("8.3.1-no-scheme", one(scheme=None)), ("8.3.1-no-path", one(path=None)),
    ("8.3.1-no-pseudo-at-all", head(literal(b"x-a", b"1"))), ("8.3.1-method-empty", one(method=b"")),
    ("8.3.1-method-token", one(method=b"GE T")), ("8.3.1-method-crlf", one(method=b"GET /y HTTP/1.1\r\n")),
    ("8.3.1-method-non-ascii", one(method=b"G\xc9T")), ("8.3.1-scheme-empty", one(scheme=b"")),
    ("8.3.1-scheme-bad", one(scheme=b"ht tp")), ("8.3.1-scheme-injection", one(scheme=b"http://evil/")),
    ("8.5-connect-with-path", one(method=b"CONNECT")),
    ("9110-9.3.6-tunnel-with-length", up((b":protocol", b"websocket"), (b"content-length", b"5"), method=b"CONNECT")),
    *[(f"8.1.1-content-length-{name}", one((b"content-length", value))) for name, value in (("more-than-none", b"5"),
     ("plus", b"+0"), ("minus", b"-0"), ("empty", b""), ("hex", b"0x0"), ("list", b"0, 0"), ("blank", b"0 0"),
     ("letters", b"a"), ("overflow", b"18446744073709551616"), ("30-digits", b"9" * 30))],
    ("8.1.1-content-lengths-differ", one((b"content-length", b"0"), (b"content-length", b"1"))),
    ("8.1.1-content-lengths-differ-post", up((b"content-length", b"2"), (b"content-length", b"3")) + last(b"hi")),
]


@table(MALFORMED)
def test_malformed_head(site, row):
    """RFC 9113 8.1.1: a malformed request is a stream error, its connection goes on."""
    stream_error(site, row[0])


def trailers(*extra, flags=WHOLE):
    return up() + data(b"hi") + frame(HEADERS, flags, 1, b"".join(literal(n, v) for n, v in extra))


BODIES = [
    ("8.1.1-length-too-large", up((b"content-length", b"5")) + last(b"hi")),
    ("8.1.1-length-too-large-then-empty", up((b"content-length", b"5")) + data(b"hi") + last()),
    ("8.1.1-length-too-small", up((b"content-length", b"2")) + last(b"hello")),
    ("8.1.1-length-0", up((b"content-length", b"0")) + last(b"hello")),
    ("8.1.1-length-before-trailers", up((b"content-length", b"5")) + data(b"hi") + head(literal(b"x-a", b"1"))),
    ("8.1-trailers-without-end", trailers((b"x-a", b"1"), flags=END_HEADERS)),
    ("8.3-pseudo-in-trailers", trailers((b":path", b"/y"))), ("8.3-status-in-trailers", trailers((b":status", b"200"))),
    ("8.2.1-uppercase-in-trailers", trailers((b"X-a", b"1"))), ("8.2.1-nul-in-trailers", trailers((b"x-a", b"\x00"))),
    ("8.2.1-crlf-in-trailers", trailers((b"x-a", b"1\r\nx-b: 2"))),
    ("8.2.2-te-in-trailers", trailers((b"transfer-encoding", b"chunked"))),
    ("8.2.2-connection-in-trailers", trailers((b"connection", b"close"))),
]


@table(BODIES)
def test_malformed_body(site, row):
    """RFC 9113 8.1, 8.1.1: a body or trailers that are wrong never make a whole request."""
    stream_error(site, row[0], body=True)


# ---- Stream errors of frames ----

@table([
    ("5.1-data-half-closed", b"", frame(DATA, 0, 1, b"late"), CLOSED),
    ("5.1-headers-half-closed", b"", head(literal(b"x-a", b"1")), CLOSED),
    ("6.9-window-update-0", b"", update(1, bytes(4)), PROTOCOL),
    ("6.9.1-window-overflow", b"", update(1, struct.pack(">I", 2**31 - 1)), FLOW),
    ("6.3-priority-short", b"", frame(PRIORITY, 0, 1, bytes(4)), SIZE),
    ("6.3-priority-long", b"", frame(PRIORITY, 0, 1, bytes(6)), SIZE),
    ("4.2-data-too-large", up(), frame(DATA, 0, 1, bytes(16385)), SIZE),
])
def test_stream_error(site, row):
    """RFC 9113 5.4.2: RST_STREAM with the code; section 5.4.1 allows to end the whole connection with it."""
    first, then, code = row
    with site.wire() as wire:
        wire.send((first or one(path=b"/hold")) + then)
        wire.until(lambda: 1 in wire.resets or wire.goaways, "an error")
        assert {*wire.resets.values(), *(code for _, code in wire.goaways)} == {code}, wire.story()


@pytest.mark.parametrize("streams,frames", [(1, 64), (12, 15)], ids=["stream", "connection"])
def test_more_data_than_the_window(site, streams, frames):
    """RFC 9113 6.9.1: FLOW_CONTROL_ERROR; twelve streams keep to their first windows, together they do not."""
    with site.wire() as wire:
        wire.send(b"".join(post(sid, path=b"/deaf") for sid in range(1, 2 * streams, 2)))
        for _ in range(64):
            wire.send(b"".join(frame(DATA, 0, sid, bytes(16384)) * frames for sid in range(1, 2 * streams, 2)))
            wire.sync(or_error=True)
            if wire.ended or wire.resets or wire.goaways:
                break
        assert {*wire.resets.values(), *(code for _, code in wire.goaways)} == {FLOW}, wire.story()


def test_data_that_crosses_many_resets(site):
    """RFC 9113 5.1: uploads that were answered early, as many as may run at once; what was on the way is no error."""
    streams = range(1, 257, 2)
    with site.wire() as wire:
        wire.send(b"".join(post(sid, path=b"/%zz") for sid in streams))
        wire.until(lambda: len(wire.resets) == len(streams), "the resets")
        assert {int(wire.answers[sid][-1][":status"]) for sid in streams} == {400} and {*wire.resets.values()} == {0}
        wire.send(b"".join(frame(DATA, END, sid, b"late") for sid in streams))
        site.check_alive(wire, 257)


# ---- Connection errors of frames ----

CONNECTION = [
    ("6.1-data-on-0", frame(DATA, 0, 0, b"x")), ("6.2-headers-on-0", frame(HEADERS, WHOLE, 0, fields())),
    ("5.1.1-headers-on-even", get(2)), ("5.1-data-on-idle", data(b"x")),
    ("5.1-data-on-idle-later", one() + frame(DATA, 0, 5, b"x")), ("5.1-window-update-on-idle", update(1, b"\0\0\0\1")),
    ("5.1-window-update-on-even", update(2, b"\0\0\0\1")), ("5.1-rst-on-idle", frame(RST, 0, 1, bytes(4))),
    ("6.1-padding-data", up() + frame(DATA, PADDED, 1, b"\x06hello")),
    ("6.1-padding-data-much", up() + frame(DATA, PADDED, 1, b"\xffhello")),
    ("6.1-padding-no-length", up() + frame(DATA, PADDED, 1), PROTOCOL, SIZE),
    ("6.2-padding-headers", frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + fields())),
    ("6.2-padding-headers-exact", frame(HEADERS, WHOLE | PADDED, 1, b"\x04abc")),
    ("6.2-priority-cut", frame(HEADERS, WHOLE | PRIO, 1, bytes(4)), (SIZE)),
    ("6.3-priority-on-0", frame(PRIORITY, 0, 0, bytes(5))), ("6.4-rst-on-0", frame(RST, 0, 0, bytes(4))),
    ("6.4-rst-size", one() + frame(RST, 0, 1, bytes(3)), SIZE),
    ("6.5-settings-size", frame(SETTINGS, 0, 0, bytes(5)), SIZE), ("6.5-settings-on-a-stream", frame(SETTINGS, 0, 1)),
    ("6.5-settings-ack-payload", frame(SETTINGS, ACK, 0, bytes(6)), SIZE), ("6.5.2-enable-push-2", settings((2, 2))),
    ("6.5.2-initial-window-2^31", settings((4, 2**31)), FLOW), ("6.5.2-max-frame-size-100", settings((5, 100))),
    ("6.5.2-max-frame-size-16383", settings((5, 16383))), ("6.5.2-max-frame-size-2^24", settings((5, 2**24))),
    ("6.6-push-promise", frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + fields())),
    ("6.6-push-promise-open", up() + frame(PUSH, END_HEADERS, 1, b"\0\0\0\2" + fields())),
    ("6.7-ping-7", frame(PING, 0, 0, bytes(7)), SIZE), ("6.7-ping-9", frame(PING, 0, 0, bytes(9)), SIZE),
    ("6.7-ping-on-a-stream", frame(PING, 0, 1, bytes(8))), ("6.8-goaway-on-a-stream", frame(GOAWAY, 0, 1, bytes(8))),
    ("6.8-goaway-size", frame(GOAWAY, 0, 0, bytes(7)), SIZE), ("6.9-window-update-0", update(0, bytes(4))),
    ("6.9-window-update-size", update(0, bytes(3)), SIZE),
    ("6.9.1-window-overflow", update(0, struct.pack(">I", 2**31 - 1)), FLOW),
    ("4.2-headers-too-large", head(fields() + literal(b"x", b"y" * 120) * 140), SIZE),
    ("4.2-settings-too-large", frame(SETTINGS, 0, 0, struct.pack(">HI", 99, 1) * 2731), SIZE),
    ("4.2-unknown-too-large", frame(0xbb, 0, 0, bytes(16385)), SIZE),
    ("6.10-continuation-alone", frame(CONTINUATION, END_HEADERS, 1, fields())),
    ("6.10-continuation-behind-the-end", one() + frame(CONTINUATION, END_HEADERS, 1, b"")),
    ("6.10-continuation-on-another", one(flags=END) + frame(CONTINUATION, END_HEADERS, 3, b"")),
    ("6.10-continuation-on-0", one(flags=END) + frame(CONTINUATION, END_HEADERS, 0, b"")),
    *[(f"6.10-between-{name}", one(flags=END) + other) for name, other in (("ping", frame(PING, 0, 0, bytes(8))),
     ("settings", settings()), ("headers", get(3)), ("data", data(b"x")), ("headers-same", one()), ("window-update",
     update(0, b"\0\0\0\1")), ("priority", frame(PRIORITY, 0, 1, bytes(5))), ("unknown", frame(0xbb, 0, 0, b"")),
     ("rst", frame(RST, 0, 1, bytes(4))))],
]


@table(CONNECTION)
def test_connection_error(site, row):
    """RFC 9113 5.4.1: GOAWAY with the code, and the end."""
    connection_error(site, row[0], row[1:] or (PROTOCOL,))


def test_initial_window_overflow(site):
    """RFC 9113 6.9.2: a connection error."""
    with site.wire() as wire:
        wire.send(up() + update(1, struct.pack(">I", 2**31 - 1 - 65535)) + settings((4, 65536)))
        wire.until(lambda: wire.goaways, "an error")
        assert FLOW in [c for _, c in wire.goaways], wire.story()


@table([("data", frame(DATA, END, 5, b"late")), ("headers", frame(HEADERS, WHOLE, 5, literal(b"x-a", b"1"))),
        ("lower-id", get(3))])
def test_frames_on_closed_streams(site, row):
    """RFC 9113 5.1, 5.1.1: what comes for a stream that both sides ended, or for a lower id, is a connection error."""
    def settled(wire):
        wire.send(get(5))
        assert wire.status(5) == 200
    connection_error(site, row[0], (CLOSED, PROTOCOL) if row[0] == get(3) else (CLOSED,), settled=settled)
    assert [p for _, p, _, _ in paths(site.region.complete)] == ["/x"]


@table([("data", frame(DATA, END, 1, b"late")), ("headers", one()), ("trailers", head(b""))])
def test_frames_on_a_stream_that_the_client_reset(site, row):
    """RFC 9113 5.1: passed over or STREAM_CLOSED, said by a frame (5.4.1); nothing of it reaches the region."""
    with site.wire() as wire:
        wire.send(up(path=b"/hold") + frame(RST, 0, 1, b"\0\0\0\x08"))
        wire.sync()
        wire.send(row[0] + frame(PING, 0, 0, bytes(8)))
        wire.until(lambda: len(wire.pongs) > 1 or wire.ended, "an answer")
        assert wire.goaways or not wire.ended, f"closed without a GOAWAY: {wire.story()}"
        assert all(code == CLOSED for code in [*wire.resets.values(), *(c for _, c in wire.goaways)]), wire.story()
    assert not paths(site.region.complete)


@pytest.mark.parametrize("first", [frame(PING, 0, 0, bytes(8)), one(), frame(SETTINGS, ACK, 0)])
def test_first_frame(site, first):
    """RFC 9113 3.4: the preface goes on with SETTINGS, else PROTOCOL_ERROR."""
    connection_error(site, b"", (PROTOCOL,), opening=PREFACE + first)
    assert not paths(site.region.requests)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
@pytest.mark.parametrize("old,new", [(b"SM", b"XM"), (b"SM\r\n\r\n", b"SM\n\r\n\n"), (b"2.0", b"2.1"), (b"*", b"/")])
def test_bad_preface(site, certs, old, new, tls):
    """RFC 9113 3.4: the connection ends; a GOAWAY may be left out. Nothing is answered."""
    context = client_tls(certs.ca, ["h2"]) if tls else None
    opening = PREFACE.replace(old, new) + settings() + get(1)
    with closing(Wire(site.tls if tls else site.port, opening, context)) as wire:
        wire.until(lambda: wire.ended or wire.buffer.startswith(b"HTTP/1.1 4"), "the end")
        assert not wire.answers, wire.story()
    assert not paths(site.region.requests)


# ---- HPACK: RFC 7541 ----

HPACK = [
    ("6.1-index-0", b"\x80"), ("2.3.3-index-62", b"\xbe"), ("2.3.3-index-127", b"\xff\x00"),
    ("2.3.3-name-index-62", b"\x7e\x011"), ("2.3.3-name-index-far", b"\x0f\xff\xff\x03\x011"),
    ("4.2-size-update-at-the-end", b"\x20"), ("4.2-size-update-in-the-middle", b"\x20" + literal(b"x-a", b"1")),
    ("5.2-huffman-padding-zeros", b"\x00\x01x\x81\x00"), ("5.2-huffman-padding-long", b"\x00\x01x\x82\x07\xff"),
    ("5.2-huffman-eos", b"\x00\x01x\x84\xff\xff\xff\xff"), ("5.2-huffman-padding-name", b"\x00\x81\x00\x011"),
    ("5.1-integer-truncated", b"\xff"), ("5.1-integer-truncated-later", b"\xff\x80\x80"),
    ("5.1-integer-overlong", b"\xff" + b"\x80" * 20 + b"\x01"),
    ("5.1-integer-overflow", b"\xff" + b"\xff" * 9 + b"\x7f"),
    ("5.1-length-overflow", b"\x00\x01x\x7f" + b"\xff" * 9 + b"\x7f"), ("5.2-string-truncated", b"\x00\x01x\x05ab"),
    ("6.3-size-4097", b"\x3f\xe2\x1f", "first"), ("6.3-size-2^40", b"\x3f" + b"\xff" * 5 + b"\x1f", "first"),
    ("5.2-name-truncated", b"\x00\x05x"), ("6.2-value-missing", b"\x00\x01x"),
]


@table(HPACK)
def test_hpack(site, row):
    """RFC 7541, RFC 9113 4.3: COMPRESSION_ERROR for the connection."""
    connection_error(site, head(fields() + row[0] if len(row) == 1 else row[0] + fields()), (COMPRESSION,))
    assert not paths(site.region.requests)


def test_hpack_state_survives_a_malformed_request(site):
    """RFC 9113 4.3: the block of a refused stream is decoded all the same, its insertions count."""
    with site.wire() as wire:
        wire.send(head(fields((b"Bad", b"1")) + literal(b"x-kept", b"17", 0x40)))
        wire.send(frame(HEADERS, WHOLE, 3, fields() + b"\xbe"))
        assert wire.status(3) == 200
    assert ("x-kept", "17") in site.region.complete[-1].headers


# ---- What is right must work ----

GOOD = [
    ("5.5-unknown-frame", frame(0xbb, 0xff, 0, b"x") + frame(0xbb, 0, 7, b"x") + one()),
    ("5.5-unknown-setting", settings((0xff00, 7), (0, 1)) + one()),
    ("4.1-unknown-flags", frame(PING, 0x80, 0, bytes(8)) + one(flags=WHOLE | 0x80)),
    ("4.1-reserved-bit", frame(HEADERS, WHOLE, 1 | 1 << 31, fields())),
    ("6.3-priority-idle", frame(PRIORITY, 0, 1, bytes(5)) + frame(PRIORITY, 0, 9, b"\0\0\0\1\xff") + one()),
    ("6.2-headers-priority", frame(HEADERS, WHOLE | PRIO, 1, bytes(5) + fields())),
    ("9218-5-priority-field", one((b"priority", b"u=0, i"))),
    ("9218-7.1-priority-update", frame(0x10, 0, 0, b"\0\0\0\1u=1") + one()),
    ("6.2-padding", frame(HEADERS, WHOLE | PADDED, 1, b"\x03" + fields() + bytes(3))),
    ("6.2-padding-priority", frame(HEADERS, WHOLE | PADDED | PRIO, 1, b"\0" + bytes(5) + fields())),
    ("6.1-padding", up() + frame(DATA, PADDED, 1, b"\x02he\0\0") + frame(DATA, PADDED | END, 1, b"\xfflo!"
     + bytes(255))),
    ("6.1-padding-only", up() + data(b"helo!") + frame(DATA, PADDED | END, 1, b"\x03\0\0\0")),
    ("6.10-continuation", frame(HEADERS, END, 1, fields()[:7]) + frame(CONTINUATION, 0, 1, fields()[7:20])
     + frame(CONTINUATION, 0, 1) + frame(CONTINUATION, END_HEADERS, 1, fields()[20:])),
    ("6.10-continuation-empty-head", frame(HEADERS, END, 1) + frame(CONTINUATION, END_HEADERS, 1, fields())),
    ("8.2.2-te-trailers", one((b"te", b"trailers"))), ("8.3.1-host-equal", one((b"host", API))),
    ("8.3.1-host-alone", one((b"host", API), authority=None)),
    ("8.2.3-cookie-crumbs", one((b"cookie", b"a=1"), (b"cookie", b"b=2"))),
    ("8.1.1-content-length", up((b"content-length", b"5")) + data(b"he") + frame(DATA, END, 1, b"lo!")),
    ("8.1-trailers", up() + data(b"helo!") + head(literal(b"x-a", b"1"))),
    ("7541-6.3-size-update", head(b"\x20\x3f\xe1\x1f" + fields())),
    ("7541-6.1-indexed", head(b"\x82\x86" + literal(b":authority", API, 0x40) + literal(b":path", b"/x"))),
    ("8.2.1-inner-blanks", one((b"x-a", b"1 \t 2"), (b"x-b", b""), (b"x-c", b"\xe9"))),
]


@table(GOOD)
def test_good(site, row):
    """What RFC 9113 allows is passed on."""
    with site.wire() as wire:
        wire.send(row[0])
        assert wire.status(1) == 200, wire.story()
        site.check_alive(wire, 3)
    (method, path, body, _), = paths(site.region.complete)
    assert (path, body) == ("/x", b"" if method == "GET" else b"helo!")


def test_opening_and_ping(site):
    """RFC 9113 3.4, 6.5, 6.7: SETTINGS come first, ours are acknowledged, PING comes back, but for an ACK."""
    with site.wire(opening=PREFACE + settings((3, 7), (4, 100000))) as wire:
        wire.send(frame(PING, ACK, 0, b"not mine"))
        wire.sync(b"\x00\xff234567")
        assert len(wire.pongs) == 1
        assert wire.frames[0][:3] == (SETTINGS, 0, 0)
        assert sum(1 for k, f, _, _ in wire.frames if k == SETTINGS and f & ACK) == 1


def test_initial_window_changes_midway(site):
    """RFC 9113 6.9.2: a new initial window moves that of open streams, below zero too."""
    with site.wire(opening=PREFACE + settings((4, 0))) as wire:
        wire.send(one(path=b"/big"))
        wire.until(lambda: 1 in wire.answers, "the head")
        wire.sync()
        assert 1 not in wire.bodies
        wire.send(settings((4, 10)))
        wire.until(lambda: len(wire.bodies.get(1, b"")) >= 10, "ten bytes")
        wire.send(settings((4, 5)) + update(1, struct.pack(">I", 5)))
        wire.sync()
        assert len(wire.bodies[1]) == 10
        wire.send(update(1, struct.pack(">I", 990)))
        wire.until(lambda: 1 in wire.done, "the rest")
        assert wire.bodies[1] == b"b" * 1000


def test_header_table_size_0(site):
    """RFC 7541 4.2: the proxy shrinks its table and says so in its next block."""
    with site.wire(opening=PREFACE + settings((1, 0))) as wire:
        wire.decoder.max_allowed_table_size = 0
        wire.send(one())
        assert wire.status(1) == 200
        site.check_alive(wire, 3)


def test_connect(site):
    """RFC 9113 8.5: CONNECT has neither :scheme nor :path; it is refused with a status."""
    with site.wire() as wire:
        wire.send(one(method=b"CONNECT", scheme=None, path=None, authority=API + b":443"))
        assert 400 <= wire.status(1) <= 501
        site.check_alive(wire, 3)
    assert not paths(site.region.requests)


def test_goaway_of_a_client(site):
    """RFC 9113 6.8: a client that goes away still gets its answers."""
    with site.wire() as wire:
        wire.send(one(path=b"/hold"))
        wire.sync()
        wire.send(frame(GOAWAY, 0, 0, bytes(8)))
        site.region.gate.set()
        assert wire.status(1) == 200 and wire.bodies[1] == b"ok"


def test_reset_of_one_request(site):
    """RFC 9113 5.4.2: a reset stream is silent, the others go on."""
    with site.wire() as wire:
        wire.send(one(path=b"/hold") + get(3, path=b"/hold"))
        labs.wait_until(lambda: len(site.region.complete) == 2, 10, "both requests")
        wire.send(frame(RST, 0, 1, b"\0\0\0\x08"))
        wire.sync()
        site.region.gate.set()
        assert wire.status(3) == 200
        site.check_alive(wire, 5)
        assert 1 not in wire.answers and 1 not in wire.resets


def test_two_goaways_at_sigterm(start):
    """RFC 9113 6.8: first the largest id, then the last one taken; what runs is answered."""
    region = Region(None)
    port = free_port()
    proxy = start({"one": region.url}, protocol="http/1.1", port=port,
                  listeners=[{"address": f"{HOST}:{port}", "protocols": ["h2"]}])
    with closing(Wire(port)) as wire:
        wire.send(one(path=b"/hold"))
        wire.sync()
        proxy.send(signal.SIGTERM)
        wire.until(lambda: wire.goaways, "the first GOAWAY")
        assert wire.goaways == [(2**31 - 1, 0)]
        wire.send(get(3))
        assert wire.status(3) == 200
        wire.until(lambda: len(wire.goaways) == 2, "the second GOAWAY")
        assert wire.goaways[1] == (3, 0)
        region.gate.set()
        assert wire.status(1) == 200
        wire.until(lambda: wire.ended, "the end")
    region.close()
