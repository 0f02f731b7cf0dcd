"""Peers that are slow on purpose lose their connection; those that are merely slow keep it.

Limits are small here (a second each), so a slow sender is one that has not ended after two or three seconds.
"""
import contextlib
import socket
import ssl
import threading
import time

import pytest

from attacker import (CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PING, POST, PREFACE, RST_STREAM,
                      SETTINGS, Attacker, cuts, ended, frame, head, update, wait_cut)
from h1client import client_tls, connect
from lab import HOST, NAME, LabError, free_port, wait_until

EVERY_S = 0.1
TIMES = {"header_timeout": "1s", "handshake_timeout": "1s", "rate_window": "1s"}
RATE = 2000  # bytes a second
LIMITS = {**TIMES, "body_rate": f"{RATE}B"}


@pytest.fixture
def proxy(start, emulator):
    return start({"one": emulator("one").url}, workers=1, limits=LIMITS)


@pytest.fixture
def clear(start, emulator):
    """The same without TLS."""
    port = free_port()
    listener = {"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"]}
    return start({"one": emulator("one").url}, workers=1, limits=LIMITS, port=port, listeners=[listener])


def tls(proxy, certs, *alpn, receive_buffer=None):
    return connect(proxy.port, client_tls(certs.ca, list(alpn)), NAME, receive_buffer=receive_buffer)


class Drip:
    """What became of a slow sender: the seconds until the peer's end (None: it never came) and what it said."""

    def __init__(self, sock, pieces, seconds=8):
        self.answer, self.seconds, self.sent = b"", None, 0
        began = time.monotonic()
        pieces = iter(pieces)
        try:
            while time.monotonic() - began < seconds:
                piece = next(pieces, None)
                if piece:
                    sock.sendall(piece)
                    self.sent += len(piece)
                if self._listen(sock):
                    self.seconds = time.monotonic() - began
                    return
        except OSError:
            self.seconds = time.monotonic() - began

    def _listen(self, sock):
        """Paces the sender; true at the peer's end."""
        until = time.monotonic() + EVERY_S
        while (left := until - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                return True
            if not data:
                return True
            self.answer += data
        return False

    def ended_between(self, least, most):
        assert self.seconds is not None, f"never ended; {self.sent} bytes sent, answer {self.answer[:100]}"
        assert least <= self.seconds <= most, f"after {self.seconds:.2f} s, answer {self.answer[:100]}"
        return self


def single(data):
    return (data[i:i + 1] for i in range(len(data)))


def client_hello(certs):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = client_tls(certs.ca, ["h2"]).wrap_bio(incoming, outgoing, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


# ---- Before the first request ----

def test_handshake_byte_by_byte(proxy, certs, slow):
    """Single bytes do not start the clock again."""
    with connect(proxy.port) as sock:
        Drip(sock, single(client_hello(certs))).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"handshake_timeout"})


def test_handshake_that_stops_half_way(proxy, certs, slow):
    with connect(proxy.port) as sock:
        Drip(sock, [client_hello(certs)]).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"handshake_timeout"})


def test_silence_after_accept(proxy, slow):
    with connect(proxy.port) as sock:
        Drip(sock, []).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"handshake_timeout"})


@pytest.mark.parametrize("alpn", [["h2"], ["http/1.1"], []], ids=["h2", "h1", "none"])
def test_silence_after_the_handshake(proxy, certs, slow, alpn):
    with tls(proxy, certs, *alpn) as sock:
        Drip(sock, []).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"header_timeout"})


def test_silence_in_clear(clear, slow):
    with connect(clear.port) as sock:
        Drip(sock, []).ended_between(0.8, 2 + slow)
    wait_cut(clear, {"header_timeout"})


def test_slow_preface(proxy, certs, slow):
    with tls(proxy, certs, "h2") as sock:
        Drip(sock, single(PREFACE)).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"header_timeout"})


def test_preface_that_stops_half_way(proxy, certs, slow):
    with tls(proxy, certs, "h2") as sock:
        Drip(sock, [PREFACE[:10]]).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"header_timeout"})


@pytest.mark.parametrize("stop", [2, 10])
def test_slow_preface_in_clear(clear, slow, stop):
    with connect(clear.port) as sock:
        Drip(sock, single(PREFACE[:stop])).ended_between(0.8, 3 + slow)
    wait_cut(clear, {"header_timeout"})


# ---- Heads ----

SLOW_HEAD = f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX-Long: {'a' * 200}".encode()


def is_408_or_nothing(answer):
    return not answer or answer.startswith(b"HTTP/1.1 408 ")


def test_slow_head_over_h1(proxy, certs, slow):
    with tls(proxy, certs, "http/1.1") as sock:
        drip = Drip(sock, single(SLOW_HEAD)).ended_between(0.8, 2 + slow)
    assert is_408_or_nothing(drip.answer), drip.answer
    wait_cut(proxy, {"header_timeout"})


def test_slow_head_in_clear(clear, slow):
    with connect(clear.port) as sock:
        drip = Drip(sock, single(SLOW_HEAD)).ended_between(0.8, 3 + slow)
    assert is_408_or_nothing(drip.answer), drip.answer
    wait_cut(clear, {"header_timeout"})


def test_slow_head_after_a_whole_request(proxy, h1, slow):
    client = h1(proxy)
    assert client.request("GET", "/").status == 200
    drip = Drip(client.sock, single(SLOW_HEAD)).ended_between(0.8, 2 + slow)
    assert is_408_or_nothing(drip.answer), drip.answer
    wait_cut(proxy, {"header_timeout"})


def test_empty_lines_before_a_head(proxy, certs, slow):
    """They are allowed before a request line, and are no request."""
    with tls(proxy, certs, "http/1.1") as sock:
        Drip(sock, (b"\r\n" for _ in range(100))).ended_between(0, 2 + slow)


def h2_socket(proxy, certs):
    sock = tls(proxy, certs, "h2")
    sock.sendall(PREFACE + frame(SETTINGS))
    return sock


@pytest.mark.parametrize("rest", [
    [],
    [frame(CONTINUATION, 0, 1, b"")] * 60,
    [frame(CONTINUATION, 0, 1, b"\0\1a\1b")] * 60,
    [frame(CONTINUATION, END_HEADERS, 1, b"x" * 200)[:9], *single(b"x" * 100)],
], ids=["silence", "empty", "tiny", "unfinished"])
def test_header_block_that_never_ends(proxy, certs, slow, rest):
    with h2_socket(proxy, certs) as sock:
        Drip(sock, [frame(HEADERS, END_STREAM, 1, GET), *rest]).ended_between(0.4, 2 + slow)
    wait_cut(proxy, {"header_timeout", "continuation"})


def test_headers_frame_that_never_ends(proxy, certs, slow):
    whole = frame(HEADERS, END_STREAM | END_HEADERS, 1, GET + b"\0\1a\x64" + b"b" * 100)
    with h2_socket(proxy, certs) as sock:
        Drip(sock, [whole[:12], *single(whole[12:60])]).ended_between(0.8, 2 + slow)
    wait_cut(proxy, {"header_timeout"})


def test_header_block_that_never_ends_beside_an_answer(proxy, certs, slow):
    """A request that runs is no excuse for one that never comes."""
    with h2_socket(proxy, certs) as sock:
        sock.sendall(frame(HEADERS, END_HEADERS, 1, POST))
        Drip(sock, [frame(HEADERS, END_STREAM, 3, GET)]).ended_between(0.8, 3 + slow)
    wait_cut(proxy, {"header_timeout"})


# ---- Bodies ----

POST_HEAD = f"POST / HTTP/1.1\r\nHost: {NAME}\r\n"
LONG = POST_HEAD.encode() + b"Content-Length: 100000\r\n\r\n"
CHUNKED = POST_HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("opening,piece", [(LONG, b"x"), (LONG, b""), (CHUNKED, b"1\r\nx\r\n"), (CHUNKED, b"0")],
                         ids=["bytes", "silence", "chunks", "chunk-size"])
def test_slow_body_over_h1(proxy, certs, slow, opening, piece):
    with tls(proxy, certs, "http/1.1") as sock:
        drip = Drip(sock, [opening, *[piece] * 60]).ended_between(0.8, 4 + slow)
    assert drip.answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")) or not drip.answer, drip.answer[:100]
    if piece != b"0":
        wait_cut(proxy, {"body_rate"})


@pytest.mark.parametrize("piece", [frame(DATA, 0, 1, b"x"), frame(DATA, 0, 1, b"x") + frame(PING, 0, 0, b"12345678"),
                                   b""], ids=["bytes", "pings", "silence"])
def test_slow_body_over_h2(proxy, certs, slow, piece):
    """The stream or the connection ends."""
    with h2_socket(proxy, certs) as sock:
        drip = Drip(sock, [frame(HEADERS, END_HEADERS, 1, POST), *[piece] * 60])
    assert drip.seconds is not None or frame(RST_STREAM, 0, 1)[3:9] in drip.answer, drip.answer[-100:]
    drip.ended_between(0.8, 4 + slow)
    wait_cut(proxy, {"body_rate"})


def test_short_bodies_one_after_the_other_over_h2(proxy, certs):
    """Whenever it is looked at, one is waited for; but each comes within a third of the window."""
    pieces = [frame(HEADERS, END_HEADERS, 1, POST)]
    for stream in range(1, 31, 2):
        pieces += [b"", b"", frame(DATA, END_STREAM, stream, b"x") + frame(HEADERS, END_HEADERS, stream + 2, POST)]
    with h2_socket(proxy, certs) as sock:
        drip = Drip(sock, pieces, seconds=5)
    assert drip.seconds is None and drip.sent == sum(map(len, pieces)), (drip.seconds, drip.answer[-100:])
    assert not cuts(proxy)


def test_body_at_twice_the_rate_over_h1(proxy, h1):
    client, total = h1(proxy), 4 * 2 * RATE
    client.send(POST_HEAD.encode() + f"Content-Length: {total}\r\n\r\n".encode())
    step = int(2 * RATE * EVERY_S)
    for _ in range(total // step):
        client.send(b"x" * step)
        time.sleep(EVERY_S)
    assert client.answer("POST").status == 200
    assert not cuts(proxy)


def test_body_at_twice_the_rate_over_h2(proxy, h2):
    client, step = h2(proxy), int(2 * RATE * EVERY_S)
    sid = client.start("POST", "/", end=False)
    for _ in range(40):
        client.send(sid, b"x" * step, end=False)
        time.sleep(EVERY_S)
    client.send(sid, b"", end=True)
    assert client.wait(sid).status == 200
    assert not cuts(proxy)


def test_a_region_that_answers_late_is_not_the_clients_fault(start, emulator, h1, h2):
    """The request is whole and nothing waits for the client."""
    proxy = start({"one": emulator("one", delay_ms=3500).url}, workers=1, limits=LIMITS)
    first, second = h2(proxy), h1(proxy)
    sid = first.start("POST", "/", body=b"{}")
    assert second.request("POST", "/", body=b"{}").status == 200
    assert first.wait(sid).status == 200
    assert not cuts(proxy)


# ---- Readers ----

BIG = 48 << 20
BIG_GET = head(b"GET", f"/?bytes={BIG}".encode())


def read_slowly(sock, per_second, seconds):
    """Reads at a pace; (whether the peer ended the connection, bytes of content read a second)."""
    began, got, over = time.monotonic(), 0, False
    while not over and (spent := time.monotonic() - began) < seconds:
        sock.settimeout(EVERY_S)
        try:
            data = sock.recv(max(1, min(1 << 20, int(per_second * spent) - got)))
            got, over = got + len(data), not data
        except TimeoutError:
            continue  # nothing has come: that is not this reader's pace
        except OSError:
            over = True
        time.sleep(EVERY_S / 5)
    return over, got / (time.monotonic() - began)


def ask_over_h1(proxy, certs, receive_buffer=4096):
    sock = tls(proxy, certs, "http/1.1", receive_buffer=receive_buffer)
    sock.sendall(f"GET /?bytes={BIG} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    return sock


def ask_over_h2(proxy, certs, receive_buffer=4096):
    """With windows that take all of the answer: what holds it up is the socket."""
    sock = tls(proxy, certs, "h2", receive_buffer=receive_buffer)
    sock.sendall(PREFACE + frame(SETTINGS, 0, 0, b"\0\4" + (1 << 30).to_bytes(4, "big")) + update(0, 1 << 30) +
                 frame(HEADERS, END_HEADERS | END_STREAM, 1, BIG_GET))
    return sock


@pytest.mark.parametrize("ask", [ask_over_h1, ask_over_h2])
@pytest.mark.parametrize("pace", [0, RATE // 20], ids=["not", "slowly"])
def test_slow_reader_is_cut(proxy, certs, slow, ask, pace):
    with ask(proxy, certs):
        if pace:
            with ask(proxy, certs) as sock:
                thread = threading.Thread(target=read_slowly, args=(sock, pace, 6 + 2 * slow))
                thread.start()
                wait_until(lambda: cuts(proxy).get("read_rate", 0) >= 2, 6 + 2 * slow, "both readers' cuts")
                thread.join()
        wait_cut(proxy, {"read_rate"}, 6 + 2 * slow)


@pytest.mark.parametrize("ask", [ask_over_h1, ask_over_h2])
@pytest.mark.parametrize("rate,buffer", [(8_000, 4096), (100_000, 65536)], ids=["8kB", "100kB"])
def test_reader_at_twice_the_rate_is_not_cut(start, emulator, certs, ask, rate, buffer):
    """The kernel asks for more in lumps of a third of its buffer, a megabyte here: that is no pause of the reader's.

    Measured with SIOCOUTQ the same reader is steady: its own buffer opens several times in each window.
    """
    proxy = start({"one": emulator("one").url}, workers=1, limits={**TIMES, "body_rate": f"{rate}B"})
    with ask(proxy, certs, buffer) as sock:
        over, pace = read_slowly(sock, 2 * rate, 6)
        assert not over and not cuts(proxy), (over, pace, cuts(proxy))
        assert pace > 1.5 * rate, f"{pace:.0f} bytes a second: the test itself was too slow"


def test_reader_far_above_the_usual_rate_is_not_cut(start, emulator, certs):
    """Eighty times the default rate, with the default window, from the buffers that a kernel gives by itself."""
    proxy = start({"one": emulator("one").url}, workers=1)
    with ask_over_h1(proxy, certs, None) as sock:
        over, pace = read_slowly(sock, 20_000, 32)
        assert not over and not cuts(proxy), (over, pace, cuts(proxy))


class Heads:
    """Asks over h2 for answers without content, heads of 8 KiB each, at most 50 at once."""

    def __init__(self, start, emulator, certs, rate=RATE, receive_buffer=4096, **limits):
        values = {f"x-{i}": str(i) * 2000 for i in range(4)}
        routes = [{"respond": {"status": 204}, "response_headers": {"set": values}}]
        self.proxy = start({"one": emulator("one").url}, workers=1, routes=routes,
                           limits={**TIMES, "body_rate": f"{rate}B", **limits})
        self.sock = tls(self.proxy, certs, "h2", receive_buffer=receive_buffer)
        self.sock.sendall(PREFACE + frame(SETTINGS))
        self.next = 1

    def ask(self):
        ids = range(self.next, self.next + 100, 2)
        self.next += 100
        self.sock.sendall(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, sid, GET) for sid in ids))

    def waiting(self):
        """Of all that was asked for: what has not been answered, whether it has been read or not."""
        return self.next // 2 - self.proxy.metric("isochrone_requests_total")

    def fill(self):
        """Asks until answers wait for the reader, or the connection has been cut for that."""
        while not stands_still(self.waiting) and not cuts(self.proxy):
            assert self.next < 200_000, "all of it went somewhere, though nobody reads"
            self.ask()


def stands_still(count):
    """Whether a number that falls comes to rest before it is zero."""
    last = count()
    while last > 0:
        try:
            wait_until(lambda before=last: count() < before, 0.5, "one less")
        except LabError:
            return True
        last = count()
    return False


def test_heads_that_nobody_takes(start, emulator, certs, slow):
    """Answers without content are answers: who takes none of them is cut."""
    heads = Heads(start, emulator, certs)
    with heads.sock:
        heads.fill()
        wait_cut(heads.proxy, {"read_rate"}, 4 + 2 * slow)
        wait_until(lambda: heads.waiting() == 0, 5, "the streams' end")


def test_heads_taken_at_twice_the_rate(start, emulator, certs):
    """Always as many wait as before: it is what is taken that counts, not what is left."""
    rate = 100_000
    heads = Heads(start, emulator, certs, rate, 65536, rate_window="2s")
    with heads.sock:
        heads.fill()
        first, began, over, got = heads.next, time.monotonic(), False, 0
        while not over and (spent := time.monotonic() - began) < (6 if heads.next > first else 20):
            over, pace = read_slowly(heads.sock, 2 * rate, 0.5)
            got += pace * 0.5
            if not over and heads.waiting() < 50:
                heads.ask()
        assert not over and not cuts(heads.proxy), (over, got, cuts(heads.proxy))
        assert heads.next > first and got > 1.2 * rate * spent, f"{got:.0f} bytes: the test itself was too slow"


class Windows:
    """A reader over h2 that opens its windows by so much at each step, and takes what comes at once."""

    def __init__(self, proxy, certs, by, more=b"", steps=50, every=EVERY_S):
        zero = b"\0\4" + (1000).to_bytes(4, "big")
        with Attacker(proxy.port, certs.ca, zero) as client:
            client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, BIG_GET))
            for _ in range(steps):
                client.send((update(1, by) + update(0, by) if by else b"") + more)
                if client.wait_end(every):
                    break
            self.ended, self.data_bytes, self.goaway = client.ended, client.data_bytes, client.goaway


def test_window_that_stays_shut(proxy, certs):
    assert Windows(proxy, certs, 0).ended
    wait_cut(proxy, {"read_rate"})


def test_window_opened_at_half_the_rate(proxy, certs):
    assert Windows(proxy, certs, int(RATE * EVERY_S / 4)).ended
    wait_cut(proxy, {"read_rate"})


def test_window_opened_at_twice_the_rate(proxy, certs):
    client = Windows(proxy, certs, int(RATE * EVERY_S * 2))
    assert not client.ended and client.data_bytes > 3 * RATE and not cuts(proxy)


def test_pings_are_no_reading(start, emulator, certs):
    """Their answers fill the wire above the rate, the answer that waits does not move."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={**TIMES, "body_rate": "240B"})
    assert Windows(proxy, certs, 0, frame(PING, 0, 0, b"12345678") * 8).ended
    wait_cut(proxy, {"read_rate"})


def test_frames_of_one_byte_are_no_reading(start, emulator, certs):
    """Twenty bytes a second in twenty frames: it is the content that counts, not what frames and TLS add."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={**TIMES, "body_rate": "240B"})
    assert Windows(proxy, certs, 1, steps=100, every=0.05).ended
    wait_cut(proxy, {"read_rate"})


# ---- Idle and too many ----

@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_idle_connection_is_closed(start, emulator, h1, h2, slow, protocol):
    proxy = start({"one": emulator("one").url}, workers=1, limits={"keepalive_timeout": "1s"})
    client = {"h1": h1, "h2": h2}[protocol](proxy)
    assert client.request("GET", "/").status == 200
    Drip(client.sock, []).ended_between(0.8, 2 + slow)
    assert not cuts(proxy), "idleness is no offence"


def refused(proxy):
    return proxy.metric("isochrone_connections_refused_total")


def open_from(proxy, certs, address):
    """A TLS connection from this address that has had an answer; None: it was closed before."""
    sock = socket.socket()
    try:
        sock.bind((address, 0))
        sock.settimeout(10)
        sock.connect((HOST, proxy.port))
        secure = client_tls(certs.ca, ["http/1.1"]).wrap_socket(sock, server_hostname=NAME)
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        if secure.recv(12) == b"HTTP/1.1 200":
            return secure
        secure.close()
    except OSError:
        sock.close()
    return None


def fill(proxy, certs, count, addresses):
    made = [open_from(proxy, certs, address) for _, address in zip(range(count), addresses)]
    assert all(made) and refused(proxy) == 0
    return made


def close_all(socks):
    for sock in socks:
        sock.close()


def test_connections_of_one_client(start, emulator, certs):
    """Over all workers; another address has slots of its own."""
    proxy = start({"one": emulator("one").url}, workers=2, limits={"connections_per_client": 3})
    made = fill(proxy, certs, 3, [HOST] * 3)
    with connect(proxy.port) as sock:
        assert ended(sock, 5), "the fourth is let in"
    assert refused(proxy) == 1
    made.append(open_from(proxy, certs, "127.0.0.2"))
    assert made[-1], "another address is refused as well"
    made.pop(0).close()
    made.append(wait_until(lambda: open_from(proxy, certs, HOST), 10, "a free slot"))
    close_all(made)
    assert not cuts(proxy)


def test_refused_connections_leave_no_trace(start, emulator, certs):
    """A hundred refusals and a hundred that were never finished take no slot away."""
    proxy = start({"one": emulator("one").url}, workers=2, limits={"connections_per_client": 3})
    made = fill(proxy, certs, 3, [HOST] * 3)
    for _ in range(100):
        with connect(proxy.port) as sock:
            assert ended(sock, 5)
    assert refused(proxy) == 100
    close_all(made)
    made = [wait_until(lambda: open_from(proxy, certs, HOST), 10, "a free slot") for _ in range(3)]
    close_all(made)
    for _ in range(100):
        connect(proxy.port).close()
    made = [wait_until(lambda: open_from(proxy, certs, HOST), 10, "a free slot") for _ in range(3)]
    close_all(made)


def test_connections_of_a_worker(start, emulator, certs):
    """Whoever they come from."""
    proxy = start({"one": emulator("one").url}, workers=1, limits={"connections": 3})
    made = fill(proxy, certs, 3, [HOST, "127.0.0.2", "127.0.0.3"])
    with connect(proxy.port) as sock:
        assert ended(sock, 5), "the fourth is let in"
    assert refused(proxy) == 1
    made.pop().close()
    made.append(wait_until(lambda: open_from(proxy, certs, HOST), 10, "a free slot"))
    close_all(made)
