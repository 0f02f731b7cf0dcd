"""Regions that break the rules: an ambiguous answer is 502, its connection is never used again, and what breaks off
after its head is a reset or a cut for the client, never a whole message."""
import struct
import threading
import time

import h2.events
import pytest

from conftest import H1Origin, H2Origin
from h1client import H1Client
from lab import HOST, free_port, wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
SECONDS = 10


def listeners(port):
    return {"port": port, "listeners": [{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"]}]}


@pytest.fixture
def over(start):
    """over(region): a proxy in clear over one region that is never ejected."""
    def begin(region, **more):
        port = free_port()
        protocol = "h2" if isinstance(region, H2Origin) else "http/1.1"
        return start({"one": region.url}, protocol=protocol, workers=1, **listeners(port), **more)
    return begin


@pytest.fixture
def client(h1, h2):
    """client(proxy, kind): a client in clear."""
    return lambda proxy, kind="http/1.1": h2(proxy, ca=None) if kind == "h2" else h1(proxy, tls=False)


def table(rows):
    return pytest.mark.parametrize("row", [row[1:] for row in rows], ids=[row[0] for row in rows])


def first_then_ok(first):
    """The first request gets these bytes, all others a good answer."""
    seen = []

    def script(sock, request):
        seen.append(request)
        sock.sendall(first if len(seen) == 1 else OK)
    return script


def ask(client, method="POST", path="/x"):
    return client.request(method, path, body=b"{}" if method == "POST" else None)


def check_not_reused(region, client):
    """The next request gets its own answer on another connection; the first connection ends."""
    first = region.served[0].connection
    answer = ask(client, path="/next")
    assert (answer.status, answer.body) == (200, b"ok")
    assert region.served[-1].connection != first, "the connection was used again"
    wait_until(lambda: first in region.ended, SECONDS, "the end of the broken connection")


# ---- HTTP/1.1: ambiguous answers (RFC 9112) ----

def answer(*lines, start=b"HTTP/1.1 200 OK", body=b"hello"):
    return b"\r\n".join([start, *lines]) + b"\r\n\r\n" + body


CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"
BAD = [
    ("6.3-cl-and-te", answer(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED)),
    ("6.3-te-and-cl", answer(b"Transfer-Encoding: chunked", b"Content-Length: 15", body=CHUNKED)),
    ("6.3-two-cls", answer(b"Content-Length: 5", b"Content-Length: 6")),
    ("6.3-two-equal-cls", answer(b"Content-Length: 5", b"Content-Length: 5")),
    ("6.3-cl-list", answer(b"Content-Length: 5, 6")),
    *[(f"9110-8.6-cl-{name}", answer(b"Content-Length: " + value)) for name, value in (
        ("plus", b"+5"), ("minus", b"-5"), ("empty", b""), ("hex", b"0x5"), ("letters", b"5a"), ("inside", b"5 5"),
        ("overflow", b"18446744073709551621"))],
    ("6.3-cl-twin", answer(b"Content_Length: 2", b"Content-Length: 5")),
    ("6.3-te-twin", answer(b"Transfer_Encoding: chunked", b"Content-Length: 15", body=CHUNKED)),
    ("6.1-te-gzip", answer(b"Transfer-Encoding: gzip")),
    ("6.1-te-xchunked", answer(b"Transfer-Encoding: xchunked", body=CHUNKED)),
    ("6.1-te-not-last", answer(b"Transfer-Encoding: chunked, gzip", body=CHUNKED)),
    ("6.1-te-chunked-twice", answer(b"Transfer-Encoding: chunked, chunked", body=CHUNKED)),
    ("6.1-te-two-lines", answer(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED)),
    ("6.1-te-in-1.0", answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK", body=CHUNKED)),
    *[(f"9110-8.6-cl-in-{n}", answer(b"Content-Length: 5", start=b"HTTP/1.1 %d X" % n, body=b"")) for n in (103, 204)],
    *[(f"6.1-te-in-{n}", answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.1 %d X" % n, body=b"")) for n in (103, 204)],
    ("5.2-obs-fold", answer(b"X-A: 1\r\n 2", b"Content-Length: 5")),
    ("5.2-obs-fold-cl", answer(b"Content-Length:\r\n 5")),
    ("2.2-blank-before-first", answer(b" X-A: 1", b"Content-Length: 5")),
    ("2.2-bare-lf", answer(b"X-A: 1\nX-B: 2", b"Content-Length: 5")),
    ("2.2-bare-lf-all", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("2.2-bare-lf-end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello"),
    ("2.2-bare-cr", answer(b"X-A: 1\r2", b"Content-Length: 5")),
    ("2.2-bare-cr-end", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\rhello\r\n\r\n"),
    ("9110-5.5-nul", answer(b"X-A: 1\x002", b"Content-Length: 5")),
    ("9110-5.5-control", answer(b"X-A: 1\x012", b"Content-Length: 5")),
    ("9110-5.5-del", answer(b"X-A: 1\x7f2", b"Content-Length: 5")),
    ("9110-5.1-name", answer(b"X(A: 1", b"Content-Length: 5")),
    ("5-empty-name", answer(b": 1", b"Content-Length: 5")),
    ("5.1-blank-before-colon", answer(b"Content-Length : 5")),
    ("5.1-tab-before-colon", answer(b"X-A\t: 1", b"Content-Length: 5")),
    *[(f"4-status-{name}", answer(b"Content-Length: 5", start=b"HTTP/1.1 " + status)) for name, status in (
        ("99", b"99 Low"), ("099", b"099 Low"), ("1000", b"1000 High"), ("2000", b"2000 High"), ("000", b"000 None"),
        ("letters", b"2x0 OK"), ("word", b"OK"), ("empty", b""), ("minus", b"-20 OK"), ("two-digits", b"20 OK"),
        ("nul-in-reason", b"200 O\x00K"), ("lf-in-reason", b"200 O\nK"))],
    ("2.3-http-2.0", answer(b"Content-Length: 5", start=b"HTTP/2.0 200 OK")),
    ("2.3-http-1.2", answer(b"Content-Length: 5", start=b"HTTP/1.2 200 OK")),
    ("2.3-lower-case", answer(b"Content-Length: 5", start=b"http/1.1 200 OK")),
    ("2.3-rtsp", answer(b"Content-Length: 5", start=b"RTSP/1.0 200 OK")),
    ("2.3-icy", answer(b"Content-Length: 5", start=b"ICY 200 OK")),
    ("2.3-no-blank", answer(b"Content-Length: 5", start=b"HTTP/1.1200 OK")),
    ("2.3-two-blanks", answer(b"Content-Length: 5", start=b"HTTP/1.1  200 OK")),
    ("9110-15.2.2-101", answer(b"Upgrade: x", b"Connection: Upgrade", start=b"HTTP/1.1 101 Switching Protocols")),
    ("5.4-head-too-large", answer(b"X-A: " + b"a" * (1 << 20), b"Content-Length: 5")),
    ("5.4-too-many-fields", answer(*[b"X-%d: 1" % i for i in range(5000)], b"Content-Length: 5")),
    ("4-no-http", b"SSH-2.0-x\r\n\r\n"),
]


@table(BAD)
def test_ambiguous_answer(over, origin, client, row):
    """RFC 9112 6.3: 502, and the connection ends."""
    region = origin(H1Origin, first_then_ok(row[0]), tls=False)
    one = client(over(region))
    got = ask(one)
    assert got.status == 502, (got.status, got.headers, got.body[:200])
    assert len(region.served) == 1
    check_not_reused(region, one)


BAD_CHUNKS = [
    *[(f"7.1-size-{name}", size + b"\r\nhello\r\n0\r\n\r\n") for name, size in (
        ("0x", b"0x5"), ("minus", b"-5"), ("blank", b"5 "), ("empty", b""), ("letters", b"g"),
        ("overflow", b"10000000000000005"), ("bare-lf", b"5\n"), ("bare-cr", b"5\r"), ("ext-lf", b"5;a\nb"),
        ("ext-long", b"5;" + b"a" * 300))],
    ("7.1-data-too-long", b"5\r\nhellox\r\n0\r\n\r\n"),
    ("7.1-data-bare-lf", b"5\r\nhello\n0\r\n\r\n"),
    ("2.2-last-bare-lf", b"5\r\nhello\r\n0\r\n\n"),
    ("2.2-last-cr-and-another-byte", b"5\r\nhello\r\n0\r\n\rX"),
    ("7.1.2-trailer-nul", b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"),
    ("7.1.2-trailer-fold", b"5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n"),
    ("7.1.2-trailer-blank-before-colon", b"5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n"),
    ("7.1.2-trailer-empty-name", b"5\r\nhello\r\n0\r\n: 1\r\n\r\n"),
]


def whole(one, kind, path="/x"):
    """The status of a whole answer; None when it was cut or reset."""
    if kind == "h2":
        got = one.post(path)
        return got.status if got.ended and got.reset is None else None
    try:
        return ask(one, path=path).status
    except (EOFError, ConnectionError, AssertionError):
        return None


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@table(BAD_CHUNKS)
def test_bad_chunks(over, origin, client, row, kind):
    """RFC 9112 7.1, 8: 502, or a cut when the head has gone; never a whole answer."""
    region = origin(H1Origin, first_then_ok(answer(b"Transfer-Encoding: chunked", body=row[0])), tls=False)
    proxy = over(region)
    assert whole(client(proxy, kind), kind) in (None, 502)
    check_not_reused(region, client(proxy))


# ---- HTTP/1.1: what stands behind or before an answer ----

SURPLUS = [
    ("6.3-content-length", "POST", OK + POISON, 200), ("6.3-one-byte", "POST", OK + b"x", 200),
    ("6.3-crlf", "POST", OK + b"\r\n", 200),
    ("6.3-chunked", "POST", answer(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n") + POISON, 200),
    ("6.3-204", "POST", answer(start=b"HTTP/1.1 204 No Content", body=POISON), 204),
    ("6.3-304", "GET", answer(b"Content-Length: 6", start=b"HTTP/1.1 304 Not Modified", body=b"poison" + POISON), 304),
    ("6.3-head", "HEAD", answer(b"Content-Length: 6", body=b"poison" + POISON), 200),
    ("6.3-empty", "POST", answer(b"Content-Length: 0", body=POISON), 200),
]


@table(SURPLUS)
def test_surplus(over, origin, client, row):
    """RFC 9112 6.3, 9.2: the answer stands; what follows it is never another request's, the connection ends."""
    method, data, status = row
    region = origin(H1Origin, first_then_ok(data), tls=False)
    one = client(over(region))
    got = ask(one, method)
    assert got.status == status
    assert got.body == (b"ok" if data.startswith(OK) or b"ok\r\n" in data else got.body) and b"poison" not in got.body
    check_not_reused(region, one)


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
def test_no_content_that_says_so(over, origin, client, kind):
    """RFC 9110 8.6: a 204 has no Content-Length; one of 0 is taken, and not passed on."""
    region = origin(H1Origin, first_then_ok(answer(b"Content-Length: 0", start=b"HTTP/1.1 204 X", body=b"")), tls=False)
    one = client(over(region), kind)
    got = ask(one)
    assert (got.status, got.get("content-length")) == (204, None)
    assert ask(one, path="/next").body == b"ok" and len({r.connection for r in region.served}) == 1


def test_answer_before_its_request(over, origin, client):
    """RFC 9112 9.2: what comes on an idle connection answers nothing; the connection ends."""
    socks = []

    def script(sock, request):
        socks.append(sock)
        sock.sendall(OK)
    region = origin(H1Origin, script, tls=False)
    one = client(over(region))
    assert ask(one).body == b"ok"
    socks[0].sendall(POISON)
    first = region.served[0].connection
    wait_until(lambda: first in region.ended, SECONDS, "the end of the connection")
    check_not_reused(region, one)


def test_endless_interim_answers(over, origin, client):
    """RFC 9110 15.2: interim answers are bounded."""
    sent = []

    def script(sock, request):
        if request.path == "/next":
            sock.sendall(OK)
            return
        for i in range(200000):
            sock.sendall(b"HTTP/1.1 102 Processing\r\nX-I: %d\r\n\r\n" % i)
            sent.append(i)
    region = origin(H1Origin, script, tls=False)
    proxy = over(region)
    with H1Client(proxy.port, seconds=60) as one:
        got = ask(one)
        assert 502 <= got.status <= 504
        assert len(got.informational) < 10000
    assert len(sent) < 200000
    check_not_reused(region, client(proxy))


# ---- Answers that break after their head ----

HEAD_1000 = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin"
HEAD_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"
BROKEN_H1 = [
    ("6.3-length-cut", HEAD_1000, b"", False), ("7.1-chunked-cut", HEAD_CHUNKED, b"", False),
    ("7.1-chunked-cut-in-chunk", HEAD_CHUNKED, b"5\r\nhe", False),
    ("7.1-chunked-cut-before-the-end", HEAD_CHUNKED, b"0\r\n", False),
    ("7.1-chunked-cut-in-trailers", HEAD_CHUNKED, b"0\r\nX-A: 1\r\n", False),
    ("7.1-bad-size", HEAD_CHUNKED, b"zz\r\nhello\r\n0\r\n\r\n", False),
    ("7.1-overflow", HEAD_CHUNKED, b"ffffffffffffffff1\r\nhello\r\n0\r\n\r\n", False),
    ("7.1-bare-lf", HEAD_CHUNKED, b"5\nhello\r\n0\r\n\r\n", False),
    ("7.1.2-bad-trailer", HEAD_CHUNKED, b"0\r\nX(A: 1\r\n\r\n", False),
    ("9.8-no-close-notify", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbegin", b"more", True),
]


class Gate:
    """Begins an answer, and breaks it once the client has seen its beginning."""

    def __init__(self, one, kind):
        self.one, self.kind, self.seen = one, kind, threading.Event()

    def request(self):
        if self.kind == "h2":
            sid = self.one.start("POST", "/x", body=b"{}")
            while self.one.streams[sid].received < 5:
                self.one.pump()
            self.seen.set()
            got = self.one.wait(sid, SECONDS)
            assert not got.ended and got.reset not in (None, 0, 7), (got.ended, got.reset, got.body)
            return
        self.one.send(b"POST /x HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 2\r\n\r\n{}")
        while b"begin" not in self.one.buffer:
            assert self.one._more()
        self.seen.set()
        with pytest.raises((EOFError, ConnectionError)):
            got = self.one.answer("POST")
            raise AssertionError(f"a whole answer: {got.status} {got.headers} {got.body}")


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@table(BROKEN_H1)
def test_broken_after_its_head(over, origin, client, row, kind):
    """RFC 9112 8, RFC 9113 8.1: a client must be able to tell that an answer is incomplete."""
    begin, then, tls = row
    gate = Gate(None, kind)

    def script(sock, request):
        if request.path == "/next":
            sock.sendall(OK)
            return True
        sock.sendall(begin)
        gate.seen.wait(SECONDS)
        sock.sendall(then)
        return False
    region = origin(H1Origin, script, tls=tls)
    proxy = over(region)
    gate.one = client(proxy, kind)
    gate.request()
    check_not_reused(region, client(proxy))


def raw(kind, flags, sid, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, sid) + payload


def lax(connection):
    """python3-h2 would not send what these tests send."""
    connection.h2.config.validate_outbound_headers = False
    connection.h2.config.normalize_outbound_headers = False
    return connection.h2


def end_short(connection, sid):
    connection.h2.end_stream(sid)
    connection.flush()


def send_more(connection, sid):
    connection.h2.send_data(sid, b"x" * 2000, end_stream=True)
    connection.flush()


def bad_trailers(connection, sid):
    lax(connection).send_headers(sid, [("X-Bad", "1")], end_stream=True)
    connection.flush()


def open_trailers(connection, sid):
    connection.sock.sendall(raw(1, 4, sid, b"\x00\x03x-a\x011"))


BROKEN_H2 = [
    ("8.1.1-too-short", end_short), ("8.1.1-too-long", send_more), ("8.2-bad-trailers", bad_trailers),
    ("8.1-trailers-without-end", open_trailers), ("6.4-reset", lambda c, sid: c.reset(sid, 2)),
    ("6.4-reset-no-error", lambda c, sid: c.reset(sid, 0)), ("5.4.1-closed", lambda c, sid: c.abort()),
    ("6.8-goaway-below", lambda c, sid: c.sock.sendall(raw(7, 0, 0, bytes(8)) + raw(0, 1, 99, b"x"))),
    ("5.4.1-frame-too-large", lambda c, sid: c.sock.sendall(raw(0, 0, sid, bytes(20000)))),
]


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@table(BROKEN_H2)
def test_h2_broken_after_its_head(over, origin, client, row, kind):
    """RFC 9113 8.1, 8.1.1: content that does not match its length, or breaks off, is never passed as whole."""
    gate = Gate(None, kind)

    def script(connection, request):
        connection.h2.send_headers(request.sid, [(":status", "200"), ("content-length", "1000")])
        connection.h2.send_data(request.sid, b"begin")
        connection.flush()
        gate.seen.wait(SECONDS)
        row[0](connection, request.sid)
    gate.one = client(over(origin(H2Origin, script, tls=False)), kind)
    gate.request()


# ---- HTTP/2: malformed answers (RFC 9113) ----

def h2_head(*extra, status="200"):
    first = [(":status", status)] if status is not None else []
    return [*first, *extra]


MALFORMED = [
    ("8.2.1-uppercase-name", h2_head(("X-Bad", "1"))), ("8.2.1-name-blank", h2_head(("x bad", "1"))),
    ("8.2.1-name-colon", h2_head(("x:bad", "1"))), ("8.2.1-name-crlf", h2_head(("x\r\nbad", "1"))),
    ("8.2.1-value-nul", h2_head(("x-a", "1\x002"))), ("8.2.1-value-cr", h2_head(("x-a", "1\r2"))),
    ("8.2.1-value-lf", h2_head(("x-a", "1\n2"))), ("8.2.1-value-crlf", h2_head(("x-a", "1\r\nx-b: 2"))),
    ("8.2.1-value-blank-before", h2_head(("x-a", " 1"))), ("8.2.1-value-blank-after", h2_head(("x-a", "1 "))),
    *[(f"8.2.2-{name}", h2_head((name, value))) for name, value in (
        ("connection", "close"), ("keep-alive", "1"), ("proxy-connection", "x"), ("transfer-encoding", "chunked"),
        ("upgrade", "x"), ("te", "gzip"))],
    ("9112-6.3-cl-twin", h2_head(("content_length", "2"))),
    ("9112-6.3-te-twin", h2_head(("transfer_encoding", "chunked"))),
    ("8.3.2-no-status", h2_head(("x-a", "1"), status=None)), ("8.3-status-twice", h2_head((":status", "200"))),
    ("8.3-status-late", [("x-a", "1"), (":status", "200")]), ("8.3-unknown-pseudo", h2_head((":x", "1"))),
    ("8.3-path", h2_head((":path", "/"))),
    *[(f"8.3.2-status-{status}", h2_head(status=status)) for status in (
        "99", "099", "1000", "2x0", "", "-20", "20 ", "000", "+20")],
    ("8.6-status-101", h2_head(status="101")),
    *[(f"8.1.1-content-length-{name}", h2_head(("content-length", value))) for name, value in (
        ("plus", "+2"), ("minus", "-2"), ("empty", ""), ("list", "2, 2"), ("letters", "2a"),
        ("overflow", "18446744073709551618"))],
    ("8.1.1-content-lengths-differ", h2_head(("content-length", "2"), ("content-length", "3"))),
    ("8.1-interim-ends", h2_head(status="103")),
]


@table(MALFORMED)
def test_h2_malformed_answer(over, origin, client, row):
    """RFC 9113 8.1.1: a malformed answer is not passed on: 502; other streams go on."""
    def script(connection, request):
        if request.path == "/next":
            connection.respond(request.sid, body=b"ok")
            return
        strict = lax(connection)
        if row[0] and row[0][0] == (":status", "103"):
            connection.sock.sendall(raw(1, 5, request.sid, b"\x08\x03103"))
            return
        strict.send_headers(request.sid, row[0])
        strict.send_data(request.sid, b"ok", end_stream=True)
        connection.flush()
    region = origin(H2Origin, script, tls=False)
    one = client(over(region))
    got = ask(one)
    assert got.status == 502, (got.status, got.headers, got.body[:100])
    assert ask(one, path="/next").body == b"ok"


def block(status=b"\x88"):
    return status + b"\x0f\x0d\x016"  # content-length: 6


H2_FRAMES = [
    ("5.1-data-on-idle", lambda sid: raw(0, 1, 99, b"poison")),
    ("5.1-headers-on-idle", lambda sid: raw(1, 4, 99, block())),
    ("5.1.1-headers-on-even", lambda sid: raw(1, 4, 2, block())),
    ("5.1-rst-on-idle", lambda sid: raw(3, 0, 99, bytes(4))),
    ("5.1-window-update-on-idle", lambda sid: raw(8, 0, 99, b"\0\0\0\1")),
    ("6.1-data-on-0", lambda sid: raw(0, 0, 0, b"poison")),
    ("8.1-data-before-headers", lambda sid: raw(0, 0, sid, b"poison")),
    ("8.4-push-promise", lambda sid: raw(5, 4, sid, b"\0\0\0\2\x82\x87\x84\x41\x01a")),
    ("6.5.2-enable-push", lambda sid: raw(4, 0, 0, struct.pack(">HI", 2, 1))),
    ("6.10-continuation-alone", lambda sid: raw(9, 4, sid, b"")),
    ("7541-2.3.3-index", lambda sid: raw(1, 4, sid, b"\x88\xff\x00")),
]


@table(H2_FRAMES)
def test_h2_broken_connection(over, origin, client, row):
    """RFC 9113 5.1, 5.4.1: such frames end the connection; nothing of them is an answer."""
    def script(connection, request):
        if request.path == "/next":
            connection.respond(request.sid, body=b"ok")
            return
        connection.sock.sendall(row[0](request.sid))
    region = origin(H2Origin, script, tls=False)
    one = client(over(region))
    got = ask(one)
    assert got.status == 502, (got.status, got.headers, got.body[:100])
    if row[0](1)[8:9] != b"\1":  # of the stream itself: its connection may go on
        check_not_reused(region, one)
    assert ask(one, path="/next").body == b"ok"

LATE = [
    ("data", lambda sid: raw(0, 0, sid, b"poison")), ("data-empty-end", lambda sid: raw(0, 1, sid)),
    ("headers", lambda sid: raw(1, 4, sid, block())), ("trailers", lambda sid: raw(1, 5, sid, b"\x00\x03x-a\x011")),
]


def whole_answer(sid):
    return raw(1, 4, sid, b"\x88") + raw(0, 1, sid, b"ok")


class Watched(H2Origin):
    """Notes the codes of the GOAWAYs that came."""

    def __init__(self, *args, **more):
        self.codes = []
        super().__init__(*args, **more)

    def _on(self, connection, running, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.codes.append(int(event.error_code))
        super()._on(connection, running, event)


@pytest.mark.parametrize("when", ["in-one-write", "byte-by-byte", "later"])
@table(LATE)
def test_h2_frames_on_closed_streams(over, origin, client, row, when):
    """RFC 9113 5.1: what comes behind END_STREAM is a connection error of type STREAM_CLOSED, and said so."""
    held = []

    def script(connection, request):
        if request.path == "/next":
            connection.respond(request.sid, body=b"ok")
        elif when == "in-one-write":
            connection.sock.sendall(whole_answer(request.sid) + row[0](request.sid))
        elif when == "byte-by-byte":
            for byte in whole_answer(request.sid) + row[0](request.sid):
                connection.sock.sendall(bytes([byte]))
        else:
            held.append(lambda: connection.sock.sendall(row[0](request.sid)))
            connection.sock.sendall(whole_answer(request.sid))
    region = origin(Watched, script, tls=False)
    one = client(over(region))
    got = ask(one)
    assert (got.status, got.body) == (200, b"ok"), "the answer was whole before"
    for send in held:
        send()
    wait_until(lambda: region.codes == [5], SECONDS, f"GOAWAY STREAM_CLOSED; {region.codes}")
    check_not_reused(region, one)


@table(LATE)
def test_h2_frames_behind_a_reset_of_the_regions(over, origin, client, row):
    """RFC 9113 5.1: after its RST_STREAM a peer sends nothing more on the stream."""
    def script(connection, request):
        if request.path == "/next":
            connection.respond(request.sid, body=b"ok")
        else:
            connection.sock.sendall(raw(3, 0, request.sid, b"\0\0\0\2") + row[0](request.sid))
    region = origin(Watched, script, tls=False)
    one = client(over(region))
    assert ask(one).status == 502
    wait_until(lambda: region.codes == [5], SECONDS, f"GOAWAY STREAM_CLOSED; {region.codes}")
    check_not_reused(region, one)


@table(LATE)
def test_h2_frames_that_cross_our_reset(over, origin, client, row):
    """RFC 9113 5.1: what the region sent before it knew of our RST_STREAM is ignored, with its HPACK state and its
    window; the connection goes on, also after many."""
    reset = []

    class Crossing(Watched):
        def _on(self, connection, running, event):
            # By its health checks it takes a second for an answer: to be silent for four is nothing odd then, and what
            # is silent for longer is closed instead.
            if isinstance(event, h2.events.StreamEnded) and running[event.stream_id].is_probe:
                time.sleep(1)
            super()._on(connection, running, event)
            if isinstance(event, h2.events.StreamReset):
                connection.sock.sendall(raw(1, 4, event.stream_id, b"\x88") + row[0](event.stream_id) * 3)
                reset.append(event.stream_id)

    region = origin(Crossing, lambda c, r: c.respond(r.sid, body=b"ok") if r.path == "/next" else None, tls=False)
    # Whoever is silent so long would be rescued from; and a probe that fails takes its connection with it.
    proxy = over(region, service={"retry": {"attempts": 1}, "health": {"interval": "24h", "timeout": "10m"}})
    one = client(proxy, "h2")
    for round_ in range(3):
        sids = [one.start("GET", "/never") for _ in range(60)]
        wait_until(lambda: len(region.served) >= 60 * (round_ + 1), SECONDS, "the requests")
        for sid in sids:
            one.conn.reset_stream(sid, 8)
        one.flush()
        wait_until(lambda: len(reset) >= 60 * (round_ + 1), SECONDS, "the resets")
    assert one.get("/next").body == b"ok"
    assert not region.codes, "no connection was given up"


def test_h2_initial_window_overflow(over, origin, client):
    """RFC 9113 6.9.2: SETTINGS that take an open stream's window beyond 2^31-1 end the connection."""
    def early(connection, request):
        if request.path != "/next":
            connection.sock.sendall(raw(8, 0, request.sid, struct.pack(">I", 2**31 - 1 - 65535))
                                    + raw(4, 0, 0, struct.pack(">HI", 4, 2 * 65535 + 1)))
    region = origin(H2Origin, lambda c, r: c.respond(r.sid, body=b"ok"), early=early, acknowledge=False, tls=False)
    one = client(over(region))
    got = one.request("POST", "/x", body=b"x" * 500000)
    assert got.status == 502, (got.status, got.headers, got.body[:100])
    assert ask(client(over(region)), path="/next").body == b"ok"
    broken = {r.connection for r in region.requests if r.path == "/x"}
    assert broken
    wait_until(lambda: broken <= set(region.ended), SECONDS, "the end of the broken connections")


# ---- Large heads and trailers ----

def many_fields(kib):
    """Of a KiB each; in no HPACK table twice."""
    return [(f"x-{i:03}", f"{i:03}" + "v" * 1015) for i in range(kib)]


def large_answers(origin, upstream, head, trailers=(), status=200):
    if upstream == "h2":
        return origin(H2Origin, lambda c, r: c.respond(r.sid, status, head if r.path == "/x" else (), b"ok",
                                                       trailers if r.path == "/x" else None), tls=False)

    def script(sock, request):
        lines = [f"{name}: {value}".encode() for name, value in head]
        end = b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers)
        start = b"HTTP/1.1 %d Large" % status
        sock.sendall(OK if request.path != "/x" else answer(
            b"Transfer-Encoding: chunked", *lines, start=start, body=b"2\r\nok\r\n0\r\n" + end + b"\r\n"))
    return origin(H1Origin, script, tls=False)


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@pytest.mark.parametrize("upstream", ["http/1.1", "h2"])
@pytest.mark.parametrize("kib", [15, 17, 40, 60])
def test_large_heads_and_trailers_pass(over, origin, client, kind, upstream, kib):
    """RFC 9110 5.4: what a region may send the client gets, and the connection goes on."""
    head, trailers = many_fields(kib), many_fields(min(kib, 40) // 2)
    region = large_answers(origin, upstream, head, trailers)
    one = client(over(region), kind)
    for _ in range(2):
        got = one.request("GET", "/x", [("te", "trailers")])
        assert (got.status, got.body) == (200, b"ok")
        assert [(n, v) for n, v in got.headers if n.startswith("x-0")] == head
        assert got.trailers == trailers
    assert one.request("GET", "/next").body == b"ok"


@pytest.mark.parametrize("upstream,kib", [("http/1.1", 70), ("h2", 150)])
@pytest.mark.parametrize("status", [200, 503], ids=["good", "put aside"])
def test_a_head_beyond_the_limit_is_a_bad_gateway(over, origin, client, upstream, kib, status):
    """RFC 9110 15.6.3; 503 is kept while another region is looked for, and its content with it."""
    region = large_answers(origin, upstream, many_fields(kib), status=status)
    proxy = over(region)
    assert client(proxy).request("GET", "/x").status == 502
    assert client(proxy).request("GET", "/next").body == b"ok"


# ---- Trailers ----

@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@pytest.mark.parametrize("upstream", ["http/1.1", "h2"])
@pytest.mark.parametrize("name", ["content-type", "set-cookie", "trailer", "content-encoding", "authorization", "host",
                                  "location", "cache-control", "www-authenticate"])
def test_trailers_are_filtered_and_passed(over, origin, client, kind, upstream, name):
    """RFC 9110 6.5.1: what frames, routes, controls or describes an answer is not taken from its trailers."""
    if upstream == "h2":
        region = origin(H2Origin, lambda c, r: c.respond(r.sid, body=b"ok", trailers=[
            ("x-sum", "7"), (name, "x"), ("x-b", "8")]), tls=False)
    else:
        region = origin(H1Origin, lambda s, r: s.sendall(answer(
            b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\nX-Sum: 7\r\n" + name.encode()
            + b": x\r\nX-B: 8\r\n\r\n")), tls=False)
    one = client(over(region), kind)
    got = one.request("GET", "/x", [("te", "trailers")])
    assert (got.status, got.body) == (200, b"ok")
    assert got.trailers == [("x-sum", "7"), ("x-b", "8")]


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
@pytest.mark.parametrize("upstream", ["http/1.1", "h2"])
@pytest.mark.parametrize("name", ["content-length", "content_length", "transfer_encoding"])
def test_framing_in_trailers(over, origin, client, kind, upstream, name):
    """RFC 9110 6.5.1: a framing field in trailers is taken off, or the answer is broken; it is never passed."""
    if upstream == "h2":
        region = origin(H2Origin, lambda c, r: c.respond(r.sid, body=b"ok", trailers=[(name, "9")]),
                        tls=False)
    else:
        region = origin(H1Origin, first_then_ok(answer(
            b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n" + name.encode() + b": 9\r\n\r\n")), tls=False)
    one = client(over(region), kind)
    try:
        got = one.request("GET", "/x", [("te", "trailers")])
        assert name not in dict(got.trailers)
    except (EOFError, ConnectionError):
        pass


@pytest.mark.parametrize("kind", [H1Origin, H2Origin])
@pytest.mark.parametrize("name", ["content-type", "authorization", "proxy-authorization", "trailer", "host", "cookie",
                                  "content-encoding", "content-range", "range", "expect", "max-forwards",
                                  "cache-control", "if-match", "forwarded", "x-forwarded-for", "content_length",
                                  "transfer_encoding"])
def test_trailers_of_h2_clients_are_filtered(over, origin, client, kind, name):
    """RFC 9110 6.5.1: the same for requests; a refusal is as good."""
    if kind is H2Origin:
        region = origin(kind, lambda c, r: c.respond(r.sid, body=b"ok"), tls=False)
    else:
        region = origin(kind, lambda s, r: s.sendall(OK), tls=False)
    got = client(over(region), "h2").request("POST", "/x", [], b"hello", [("x-sum", "7"), (name, "x"), ("x-b", "8")])
    if got.status == 200:
        assert region.served[-1].trailers == [("x-sum", "7"), ("x-b", "8")]
    else:
        assert got.status == 400 or got.reset == 1
