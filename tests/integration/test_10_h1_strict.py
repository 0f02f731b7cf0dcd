"""HTTP/1.1 clients that break a rule of RFC 9112 are refused, their connection ends, and no region ever hears of it.

Each rule is sent in one piece and once more byte by byte. Behind every bad message stands a whole request for
/smuggled: a proxy that lost count of the bytes would pass it on.
"""
import threading

import pytest

import lab as labs
import product
from conftest import H1Origin
from h1client import H1Client
from lab import HOST, NAME, free_port

HEADER_BYTES, HEADER_COUNT = 16 * 1024, 50
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: api.example.test\r\n\r\n"
SLICE = 2048  # of what is too long to be sent byte by byte


class Region(H1Origin):
    """Keeps apart what came whole (`complete`) and what only began."""

    def __init__(self, lab):
        self.complete, self.lock = [], threading.Lock()
        super().__init__(lab, self.reply, tls=False)

    def reply(self, sock, request):
        with self.lock:
            self.complete.append(request)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Site:
    """One proxy in clear over one region, for all tests of this file."""

    def __init__(self, lab):
        port = free_port()
        self.region = Region(lab)
        self.proxy = product.Isochrone.over(
            lab, {"one": self.region.url}, protocol="http/1.1", port=port,
            listeners=[{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"]}],
            limits={"header_bytes": f"{HEADER_BYTES // 1024}KiB", "header_count": HEADER_COUNT,
                    "header_timeout": "5s"})
        self.marks = 0

    def client(self):
        return H1Client(self.proxy.port, seconds=5 * product.SLOW)

    def heads_since(self, start):
        """What the region has seen since; a request of our own on another connection closes the list."""
        self.marks += 1
        mark = f"/mark-{self.marks}"
        with self.client() as client:
            assert client.request("GET", mark).status == 200
        seen = self.region.served[start:]
        return [r for r in seen if r.path != mark]


@pytest.fixture(scope="module")
def site(tmp_path_factory, certs):
    with labs.Lab(tmp_path_factory.mktemp("h1strict")) as lab:
        lab._certs = certs
        made = Site(lab)
        yield made
        made.proxy.stop()
        made.region.close()
        assert not made.region.errors, made.region.errors


def push(client, data, split):
    """Sends; the proxy may close in the middle, what it said before is read all the same."""
    step = len(data) if not split else 1 if len(data) <= SLICE else len(data) // SLICE + 1
    try:
        for at in range(0, len(data), step):
            client.send(data[at:at + step])
    except (BrokenPipeError, ConnectionResetError):
        pass


def rest(client):
    """All bytes until the connection ends; a connection that stays open is an error."""
    try:
        while client._more():
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        raise AssertionError(f"the connection stays open; so far {client.buffer[:300]!r}") from None
    return client.buffer


def refused(site, data, split, statuses=(400,), body_began=False):
    start, whole = len(site.region.served), len(site.region.complete)
    with site.client() as client:
        push(client, data + SMUGGLED, split)
        text = rest(client)
        assert text.startswith(b"HTTP/1.1 "), f"no answer: {text[:200]!r}"
        answer = client.answer()
        assert answer.status in statuses, f"{answer.status} {answer.headers} {answer.body[:200]}"
        assert client.buffer == b"", f"something behind the answer: {client.buffer[:200]!r}"
    seen = site.heads_since(start)
    if body_began:  # its head was right and may have been passed on; the whole request never is
        assert [r.path for r in seen] in ([], ["/x"])
        seen = [r for r in site.region.complete[whole:] if not r.path.startswith("/mark-")]
    assert not seen, [(r.method, r.path, r.headers, bytes(r.body)) for r in seen]


def message(*lines, start=b"GET /x HTTP/1.1", host=b"Host: api.example.test", body=b""):
    return b"\r\n".join([start, *([host] if host else []), *lines]) + b"\r\n\r\n" + body


def post(*lines, body=b"hello", **more):
    return message(*lines, start=b"POST /x HTTP/1.1", body=body, **more)


def chunked(body, *lines):
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


both_ways = pytest.mark.parametrize("split", [False, True], ids=["whole", "bytes"])


def table(rows):
    return pytest.mark.parametrize("data", [row[1] for row in rows], ids=[row[0] for row in rows])


# ---- Framing: RFC 9112 section 6, RFC 9110 section 8.6 ----

FRAMING = [
    ("6.1-cl-and-te", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("6.1-te-and-cl", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n")),
    ("6.1-cl-0-and-te", post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("6.3-cl-differs", post(b"Content-Length: 5", b"Content-Length: 6")),
    ("6.3-cl-twice", post(b"Content-Length: 5", b"Content-Length: 5")),
    ("6.3-cl-list-equal", post(b"Content-Length: 5, 5")),
    ("6.3-cl-list-differs", post(b"Content-Length: 5, 6")),
    *[(f"9110-8.6-cl-{name}", post(b"Content-Length:" + value)) for name, value in (
        ("plus", b" +5"), ("minus", b" -5"), ("minus-0", b" -0"), ("blank-inside", b" 5 5"), ("tab-inside", b" 5\t5"),
        ("empty", b""), ("blanks", b"  "), ("comma", b" 5,"), ("leading-comma", b" ,5"), ("hex", b" 0x5"),
        ("hex-digit", b" a"), ("fraction", b" 5.0"), ("exponent", b" 5e0"), ("quoted", b' "5"'), ("letters", b" 5a"),
        ("vertical-tab", b" 5\x0b"), ("nbsp", b" 5\xa0"))],
    *[(f"6.1-te-{name}", post(b"Transfer-Encoding:" + value, body=b"5\r\nhello\r\n0\r\n\r\n")) for name, value in (
        ("chunked-twice", b" chunked, chunked"), ("not-last", b" chunked, gzip"), ("empty", b""),
        ("only-comma", b" ,"), ("vertical-tab", b" \x0bchunked"), ("parameter", b" chunked;q=1"),
        ("quoted", b' "chunked"'), ("blank-inside", b" chun ked"), ("semicolon", b" chunked;"))],
    ("6.1-te-twice", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    ("6.1-te-twice-other", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n")),
    ("6.1-te-in-1.0", message(b"Transfer-Encoding: chunked", start=b"POST /x HTTP/1.0", body=b"0\r\n\r\n")),
    ("6.3-cl-twin", post(b"Content_Length: 5")),
    ("6.3-te-twin", post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n")),
]


@both_ways
@table(FRAMING)
def test_framing(site, data, split):
    """RFC 9112 6.1 to 6.3: no doubt about where a message ends."""
    refused(site, data, split)


@both_ways
@table([("2^63", b"9223372036854775808"), ("2^64", b"18446744073709551616"), ("2^64+5", b"18446744073709551621"),
        ("30-digits", b"1" + b"0" * 28 + b"5")])
def test_content_length_overflow(site, data, split):
    """RFC 9112 6.3, 9110 8.6: large numbers never wrap; 413 is as good."""
    refused(site, post(b"Content-Length: " + data), split, (400, 413))


@both_ways
@pytest.mark.parametrize("coding", ["gzip", "xchunked", "identity", "gzip, chunked", "chunkedx", "x chunked"])
def test_other_transfer_coding(site, coding, split):
    """RFC 9112 6.1: a coding that is not understood is 501, one that does not end in chunked is 400."""
    body = b"5\r\nhello\r\n0\r\n\r\n"
    refused(site, post(b"Transfer-Encoding: " + coding.encode(), body=body), split, (400, 501))


# ---- Field lines: RFC 9112 sections 2.2 and 5, RFC 9110 section 5 ----

CONTROLS = [(f"{c:02x}", bytes([c])) for c in (*range(0x00, 0x09), 0x0b, 0x0c, *range(0x0e, 0x20), 0x7f)]
FIELDS = [
    ("5.2-obs-fold-blank", message(b"X-A: 1\r\n 2")),
    ("5.2-obs-fold-tab", message(b"X-A: 1\r\n\t2")),
    ("5.2-obs-fold-empty", message(b"X-A: 1\r\n ")),
    ("5.2-obs-fold-te", post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n")),
    ("2.2-blank-before-first", message(host=None, start=b"GET /x HTTP/1.1\r\n Host: api.example.test")),
    ("2.2-tab-before-first", message(host=None, start=b"GET /x HTTP/1.1\r\n\tX-A: 1\r\nHost: api.example.test")),
    ("5.1-blank-before-colon", message(b"X-A : 1")),
    ("5.1-tab-before-colon", message(b"X-A\t: 1")),
    ("5.1-blank-before-colon-cl", post(b"Content-Length : 5")),
    ("5.1-blank-before-colon-te", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    ("5-empty-name", message(b": 1")),
    ("5-no-colon", message(b"X-A")),
    *[(f"9110-5.1-name-{ord(c):02x}", message(b"X" + c.encode("latin-1") + b"A: 1"))
      for c in ' ()<>@,;\\"/[]?={}\x80\xff'],
    ("2.2-bare-lf-request-line", message(start=b"GET /x HTTP/1.1\nX-A: 1")),
    ("2.2-bare-lf-field", message(b"X-A: 1\nX-B: 2")),
    ("2.2-bare-lf-all", b"GET /x HTTP/1.1\nHost: api.example.test\n\n"),
    ("2.2-bare-lf-at-the-end", b"GET /x HTTP/1.1\r\nHost: api.example.test\r\n\n"),
    ("2.2-bare-lf-before-crlf", b"GET /x HTTP/1.1\r\nHost: api.example.test\n\r\n"),
    ("2.2-bare-lf-first", b"\n" + message()),
    ("2.2-bare-cr-request-line", message(start=b"GET /x\rHTTP/1.1")),
    ("2.2-bare-cr-ends-request-line", b"GET /x HTTP/1.1\rHost: api.example.test\r\n\r\n"),
    ("2.2-bare-cr-in-name", message(b"X\rA: 1")),
    ("2.2-bare-cr-in-value", message(b"X-A: 1\r2")),
    ("2.2-bare-cr-ends-field", message(b"X-A: 1\rX-B: 2")),
    ("2.2-bare-cr-before-crlf", message(b"X-A: 1\r")),
    ("2.2-bare-cr-first", b"\r" + message()),
    ("2.2-bare-cr-after-colon", message(b"X-A:\r 1")),
    ("2.2-cr-cr-at-the-end", b"GET /x HTTP/1.1\r\nHost: api.example.test\r\r\n\r\n"),
]


@both_ways
@table(FIELDS)
def test_field_lines(site, data, split):
    """RFC 9112 2.2, 5: each line is name, colon, value, CR LF."""
    refused(site, data, split)


@both_ways
@table(CONTROLS)
@pytest.mark.parametrize("place", ["9110-5.1-name", "9110-5.5-value", "3.2-target", "9110-9.1-method", "3.2-host"])
def test_control_characters(site, data, place, split):
    """RFC 9110 5.1, 5.5, 9.1, RFC 9112 3.2: NUL, controls and DEL are nowhere in a head."""
    refused(site, {
        "9110-5.1-name": message(b"X" + data + b"A: 1"),
        "9110-5.5-value": message(b"X-A: 1" + data + b"2"),
        "3.2-target": message(start=b"GET /x" + data + b"y HTTP/1.1"),
        "9110-9.1-method": message(start=b"G" + data + b"T /x HTTP/1.1"),
        "3.2-host": message(host=b"Host: api" + data + b".example.test"),
    }[place], split, (400, 501) if place == "9110-9.1-method" else (400,))


# ---- Request line: RFC 9112 sections 2.3 and 3 ----

REQUEST_LINES = [
    *[(f"3.2-target-{name}", message(start=b"GET " + target + b" HTTP/1.1")) for name, target in (
        ("blank", b"/x y"), ("fragment", b"/x#y"), ("utf-8", "/xé".encode()), ("ff", b"/x\xff"),
        ("empty", b""), ("asterisk-get", b"*"), ("no-slash", b"x"), ("authority-get", b"api.example.test:443"),
        ("dots", b"../x"), ("query-only", b"?x"), ("ftp", b"ftp://api.example.test/x"),
        ("no-authority", b"http:///x"), ("one-slash", b"http:/x"), ("user", b"http://u@api.example.test/x"),
        ("other-host", b"http://other.example.test/x"), ("other-port", b"http://api.example.test:81/x"),
        ("absolute-fragment", b"http://api.example.test/x#y"))],
    ("3-two-blanks", message(start=b"GET  /x HTTP/1.1")),
    ("3-two-blanks-before-version", message(start=b"GET /x  HTTP/1.1")),
    ("3-leading-blank", message(start=b" GET /x HTTP/1.1")),
    ("3-trailing-blank", message(start=b"GET /x HTTP/1.1 ")),
    ("3-tabs", message(start=b"GET\t/x\tHTTP/1.1")),
    ("3-form-feed", message(start=b"GET /x\x0cHTTP/1.1")),
    ("3.2.4-options-asterisk-path", message(start=b"OPTIONS *x HTTP/1.1")),
]


@both_ways
@table(REQUEST_LINES)
def test_request_line(site, data, split):
    """RFC 9112 3, 3.2: one blank between the parts, and a target of a known form that agrees with Host."""
    refused(site, data, split)


@both_ways
@table([(v.decode(), v) for v in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/1", b"HTTP/11", b"HTTP/1.",
                                  b"http/1.1", b"Http/1.1", b"HTTP/0.9", b"HTTP/3.0", b"HTTP 1.1", b"HTTPS/1.1",
                                  b"HTTP/01.1", b"HTTP/+1.1", b"HTTP/1.1x", b"HTTP/1,1", b"ICE/1.0", b"RTSP/1.0",
                                  b"H")])
def test_version(site, data, split):
    """RFC 9112 2.3: HTTP-version is case-sensitive, one digit each; others are 400 or 505."""
    refused(site, message(start=b"GET /x " + data), split, (400, 505))


@both_ways
@table([("source-ice", b"SOURCE /x ICE/1.0"), ("setup-rtsp", b"SETUP /x RTSP/1.0")])
def test_other_protocols(site, data, split):
    """RFC 9112 2.3: HTTP-name is HTTP, whatever the method."""
    refused(site, message(start=data), split, (400, 501, 505))


@both_ways
def test_http_0_9(site, split):
    """RFC 9112 3: a request line without a version is invalid."""
    refused(site, b"GET /x\r\n", split, (400, 505))
    refused(site, b"GET /x \r\n", split, (400, 505))


@both_ways
@table([(f"{c[0]:02x}", c) for c in (b"(", b")", b"<", b"@", b",", b";", b"\\", b'"', b"/", b"[", b"?", b"=", b"{",
                                     b"\x80", b"\xff", b":")])
def test_method_token(site, data, split):
    """RFC 9110 9.1: a method is a token."""
    refused(site, message(start=b"G" + data + b"T /x HTTP/1.1"), split, (400, 501))


@both_ways
def test_connect(site, split):
    """RFC 9110 9.3.6: tunnels are not offered."""
    start = b"CONNECT api.example.test:443 HTTP/1.1"
    refused(site, message(start=start, host=b"Host: api.example.test:443"), split, (400, 405, 501))


# ---- Host: RFC 9112 section 3.2 ----

HOSTS = [
    ("missing", None), ("twice", b"Host: api.example.test\r\nHost: api.example.test"),
    ("twice-other", b"Host: api.example.test\r\nHost: other.example.test"),
    *[(name, b"Host: " + value) for name, value in (
        ("empty-with-port", b":80"), ("user", b"u@api.example.test"), ("user-password", b"u:p@api.example.test"),
        ("port-letters", b"api.example.test:http"), ("port-0", b"api.example.test:0"),
        ("port-65536", b"api.example.test:65536"), ("port-wraps", b"api.example.test:4294967376"),
        ("port-sign", b"api.example.test:+80"), ("two-ports", b"api.example.test:80:80"),
        ("blank", b"api example.test"), ("tab", b"api\texample.test"), ("slash", b"api.example.test/x"),
        ("query", b"api.example.test?x"), ("fragment", b"api.example.test#x"), ("backslash", b"api.example.test\\x"),
        ("scheme", b"http://api.example.test"), ("open-bracket", b"[::1"), ("close-bracket", b"::1]"),
        ("empty-brackets", b"[]"), ("bad-ipv6", b"[1:2]"), ("after-bracket", b"[::1]x"), ("bare-ipv6", b"::1"),
        ("percent", b"api%zz.example.test"), ("percent-nul", b"api%00.example.test"), ("quote", b'"api.example.test"'),
        ("angle", b"<api.example.test>"), ("non-ascii", "ápi.example.test".encode()), ("caret", b"a^b"),
        ("pipe", b"a|b"), ("brace", b"a{b}"), ("backtick", b"a`b"))],
]


@both_ways
@table(HOSTS)
def test_host(site, data, split):
    """RFC 9112 3.2, RFC 3986 3.2: exactly one Host, and it is a host with perhaps a port."""
    refused(site, message(host=data), split)


# ---- Chunked coding: RFC 9112 section 7.1 ----

LAST = b"0\r\n\r\n"
CHUNKS = [
    *[(f"7.1-size-{name}", b"5\r\nhello\r\n" + size + b"\r\nhello\r\n" + LAST) for name, size in (
        ("0x", b"0x5"), ("plus", b"+5"), ("minus", b"-5"), ("blank-before", b" 5"), ("blank-after", b"5 "),
        ("tab-after", b"5\t"), ("blank-inside", b"0 5"), ("empty", b""), ("letters", b"g"),
        ("2^64+5", b"10000000000000005"), ("2^68", b"100000000000000000"), ("30-digits", b"5" + b"0" * 28 + b"5"),
        ("underscore", b"0_5"),
        ("fraction", b"5.0"), ("comma", b"5,"), ("h", b"5h"), ("nul", b"5\x00"), ("control", b"5\x0b"),
        ("quoted", b'"5"'), ("ext-only", b";a=b"))],
    ("7.1-size-2^64", b"10000000000000000\r\nhello\r\n" + LAST),
    ("7.1-size-all-f", b"ffffffffffffffff0\r\nhello\r\n" + LAST),
    ("7.1.1-ext-long", b"5;" + b"a" * 300 + b"\r\nhello\r\n" + LAST),
    ("7.1.1-ext-long-value", b"5;a=" + b"b" * 300 + b"\r\nhello\r\n" + LAST),
    ("7.1.1-ext-long-quoted", b'5;a="' + b"b" * 300 + b'"\r\nhello\r\n' + LAST),
    ("7.1.1-ext-long-second", b"5\r\nhello\r\n5;" + b"a" * 300 + b"\r\nhello\r\n" + LAST),
    ("7.1.1-ext-long-last", b"5\r\nhello\r\n0;" + b"a" * 300 + b"\r\n\r\n"),
    ("7.1.1-ext-lf", b"5;a\nb\r\nhello\r\n" + LAST),
    ("7.1.1-ext-cr", b"5;a\rb\r\nhello\r\n" + LAST),
    ("7.1.1-ext-quoted-lf", b'5;a="\n"\r\nhello\r\n' + LAST),
    ("7.1.1-ext-quoted-cr", b'5;a="\r"\r\nhello\r\n' + LAST),
    ("7.1.1-ext-nul", b"5;a=\x00\r\nhello\r\n" + LAST),
    ("7.1.1-ext-del", b"5;a=\x7f\r\nhello\r\n" + LAST),
    ("7.1.1-ext-control", b"5;a=\x01\r\nhello\r\n" + LAST),
    ("7.1.1-ext-no-name", b"5;=a\r\nhello\r\n" + LAST),
    ("7.1.1-ext-no-value", b"5;a=\r\nhello\r\n" + LAST),
    ("2.2-size-bare-lf", b"5\nhello\r\n" + LAST),
    ("2.2-size-bare-cr", b"5\rhello\r\n" + LAST),
    ("2.2-size-cr-cr", b"5\r\r\nhello\r\n" + LAST),
    ("7.1-data-bare-lf", b"5\r\nhello\n" + LAST),
    ("7.1-data-bare-cr", b"5\r\nhello\r" + LAST),
    ("7.1-data-too-long", b"5\r\nhellox\r\n" + LAST),
    ("7.1-data-too-short", b"5\r\nhell\r\n" + LAST),
    ("7.1-data-no-crlf", b"5\r\nhello" + LAST),
    ("2.2-last-bare-lf", b"5\r\nhello\r\n0\n\r\n"),
    ("2.2-last-bare-lf-end", b"5\r\nhello\r\n0\r\n\n"),
    ("2.2-last-cr-and-another-byte", b"5\r\nhello\r\n0\r\n\rX"),
    ("2.2-last-bare-cr-end", b"5\r\nhello\r\n0\r\n\r"),
    ("2.2-trailers-cr-and-another-byte", b"5\r\nhello\r\n0\r\nX-A: 1\r\n\rX"),
    ("2.2-trailers-bare-lf-end", b"5\r\nhello\r\n0\r\nX-A: 1\r\n\n"),
    ("7.1.2-trailer-bare-lf", b"5\r\nhello\r\n0\r\nX-A: 1\n\r\n"),
    ("7.1.2-trailer-bare-lf-inside", b"5\r\nhello\r\n0\r\nX-A: 1\nX-B: 2\r\n\r\n"),
    ("7.1.2-trailer-bare-cr", b"5\r\nhello\r\n0\r\nX-A: 1\r2\r\n\r\n"),
    ("7.1.2-trailer-nul", b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n"),
    ("7.1.2-trailer-control", b"5\r\nhello\r\n0\r\nX-A: \x01\r\n\r\n"),
    ("7.1.2-trailer-del", b"5\r\nhello\r\n0\r\nX-A: \x7f\r\n\r\n"),
    ("7.1.2-trailer-name", b"5\r\nhello\r\n0\r\nX(A: 1\r\n\r\n"),
    ("7.1.2-trailer-name-nul", b"5\r\nhello\r\n0\r\nX\x00A: 1\r\n\r\n"),
    ("7.1.2-trailer-empty-name", b"5\r\nhello\r\n0\r\n: 1\r\n\r\n"),
    ("7.1.2-trailer-no-colon", b"5\r\nhello\r\n0\r\nX-A\r\n\r\n"),
    ("7.1.2-trailer-blank-before-colon", b"5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n"),
    ("7.1.2-trailer-fold", b"5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n"),
    ("7.1.2-trailer-fold-first", b"5\r\nhello\r\n0\r\n X-A: 1\r\n\r\n"),
]


@both_ways
@table(CHUNKS)
def test_chunks(site, data, split):
    """RFC 9112 7.1: a body in a broken chunked coding never becomes a whole request."""
    refused(site, chunked(data), split, body_began=True)


# ---- Sizes: RFC 6585 section 5, RFC 9112 section 3 ----

SIZES = [
    ("6585-5-too-many-fields", message(*[b"X-%d: 1" % i for i in range(HEADER_COUNT + 1)])),
    ("6585-5-one-long-value", message(b"X-A: " + b"a" * HEADER_BYTES)),
    ("6585-5-one-long-name", message(b"X" * HEADER_BYTES + b": 1")),
    ("6585-5-many-long", message(*[b"X-%d: %s" % (i, b"a" * 1000) for i in range(HEADER_BYTES // 1000 + 1)])),
]


@both_ways
@table(SIZES)
def test_too_large_a_head(site, data, split):
    """RFC 6585 5: 431."""
    refused(site, data, split, (431,))


@both_ways
def test_too_long_a_target(site, split):
    """RFC 9112 3: 414; 431 says the same of the whole head."""
    refused(site, message(start=b"GET /" + b"x" * HEADER_BYTES + b" HTTP/1.1"), split, (414, 431))


@both_ways
@table([("many", b"".join(b"X-%d: 1\r\n" % i for i in range(HEADER_COUNT + 1))),
        ("long", b"X-A: " + b"a" * HEADER_BYTES + b"\r\n")])
def test_too_large_trailers(site, data, split):
    """RFC 6585 5: trailers are bounded too; the request never becomes whole."""
    refused(site, chunked(b"5\r\nhello\r\n0\r\n" + data + b"\r\n"), split, (400, 431), body_began=True)


# ---- What is right must work ----

def passed(site, data, split=False, **more):
    """Sent and answered with 200; returns what the region saw."""
    start = len(site.region.complete)
    with site.client() as client:
        push(client, data, split)
        answer = client.answer(**more)
        assert (answer.status, answer.body) == (200, b"ok"), (answer.status, answer.headers, answer.body[:300])
        assert client.request("GET", "/next").status == 200, "the connection goes on"
    seen = site.region.complete[start:]
    assert [r.path for r in seen[1:]] == ["/next"]
    return seen[0]


GOOD = [
    ("3.2.2-absolute", message(start=b"GET http://api.example.test/x?y HTTP/1.1"), "/x?y"),
    ("3.2.2-absolute-case", message(start=b"GET http://API.example.TEST/x HTTP/1.1"), "/x"),
    ("9110-4.2.3-scheme-case", message(start=b"GET HTTP://api.example.test/x HTTP/1.1"), "/x"),
    ("3.2.2-absolute-no-path", message(start=b"GET http://api.example.test HTTP/1.1"), "/"),
    ("3.2.2-absolute-query-only", message(start=b"GET http://api.example.test?y=1 HTTP/1.1"), "/?y=1"),
    ("2.2-crlf-first", b"\r\n" + message(), "/x"),
    ("5.1-tab-ows", message(b"X-A:\t1\t", host=b"Host:\tapi.example.test\t "), "/x"),
    ("5.1-no-ows", message(b"X-A:1", host=b"Host:api.example.test"), "/x"),
    ("3.2-host-case", message(host=b"hOST: API.Example.TEST"), "/x"),
    ("3.2-host-port", message(host=b"Host: api.example.test:8443"), "/x"),
    ("3.2-host-empty-port", message(host=b"Host: api.example.test:"), "/x"),
    ("3.2-host-ipv6", message(host=b"Host: [::1]:80"), "/x"),
    ("9110-5.5-obs-text", message(b"X-A: \xe9"), "/x"),
    ("9110-5.5-empty-value", message(b"X-A:"), "/x"),
    ("9110-8.6-cl-zeros", post(b"Content-Length: 0005"), "/x"),
    ("6.1-te-case", post(b"tRANSFER-eNCODING: Chunked", body=b"5\r\nhello\r\n0\r\n\r\n"), "/x"),
    ("7.1-lower-hex", chunked(b"a\r\n0123456789\r\n0\r\n\r\n"), "/x"),
    ("7.1-upper-hex", chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), "/x"),
    ("7.1-leading-zeros", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), "/x"),
    ("7.1.1-ext", chunked(b'5;a=b\r\nhello\r\n0;z\r\n\r\n'), "/x"),
    ("7.1.1-ext-quoted", chunked(b'5;a="b;c d"\r\nhello\r\n0\r\n\r\n'), "/x"),
    ("7.1.1-ext-quoted-pair", chunked(b'5;a="b\\"c"\r\nhello\r\n0\r\n\r\n'), "/x"),
    ("7.1.1-ext-name-behind-value", chunked(b"5;a=b;c\r\nhello\r\n0\r\n\r\n"), "/x"),
    ("7.1.1-ext-bws", chunked(b"5 ; a = b\r\nhello\r\n0\r\n\r\n"), "/x"),
]


@both_ways
@pytest.mark.parametrize("data,path", [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_good(site, data, path, split):
    """What RFC 9112 allows is passed on, and the connection goes on."""
    seen = passed(site, data, split)
    assert seen.path == path
    assert bytes(seen.body) == (b"" if seen.method == "GET" else b"0123456789" if b"0123" in data else b"hello")


@both_ways
@pytest.mark.parametrize("chunks", [True, False], ids=["chunked", "length"])
def test_an_upgrade_with_content_is_passed_over(site, chunks, split):
    """RFC 9110 7.8, RFC 9112 6: the content is the request's own, neither a tunnel's bytes nor the next request."""
    asks = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED) if chunks else SMUGGLED
    framing = b"Transfer-Encoding: chunked" if chunks else b"Content-Length: %d" % len(SMUGGLED)
    seen = passed(site, message(*asks, framing, body=body), split)
    assert (seen.path, bytes(seen.body), seen.get("upgrade")) == ("/x", SMUGGLED, None)


@both_ways
def test_options_asterisk(site, split):
    """RFC 9112 3.2.4: OPTIONS * reaches the region in this form or is answered here."""
    with site.client() as client:
        push(client, message(start=b"OPTIONS * HTTP/1.1"), split)
        assert client.answer().status in (200, 204)
        assert client.request("GET", "/next").status == 200


@both_ways
def test_empty_line_between_requests(site, split):
    """RFC 9112 2.2: old clients send CR LF behind a body; it is not the next request."""
    with site.client() as client:
        push(client, post(b"Content-Length: 5", body=b"hello\r\n") + message(), split)
        assert [client.answer().status for _ in range(2)] == [200, 200]


@both_ways
@pytest.mark.parametrize("name", ["Host", "Connection", "Authorization", "Content-Type", "Content-Encoding", "Trailer",
                                  "TE", "Upgrade", "Keep-Alive", "Cookie", "Cache-Control", "Expect", "Max-Forwards",
                                  "Range", "Content-Range", "If-Match", "Proxy-Authorization", "Forwarded",
                                  "X-Forwarded-For"])
def test_forbidden_trailers_are_filtered(site, name, split):
    """RFC 9110 6.5.1: what frames, routes, proves, or changes a request is not taken from trailers."""
    seen = passed(site, chunked(b"5\r\nhello\r\n0\r\nX-Sum: 7\r\n" + name.encode() + b": x\r\nX-B: 8\r\n\r\n"), split)
    assert (bytes(seen.body), seen.trailers) == (b"hello", [("x-sum", "7"), ("x-b", "8")])


@both_ways
@pytest.mark.parametrize("line", [b"Content-Length: 99", b"Transfer-Encoding: chunked", b"Content_Length: 99",
                                  b"Transfer_Encoding: chunked"])
def test_framing_in_trailers(site, line, split):
    """RFC 9110 6.5.1: a framing field of trailers is taken off or the request is refused; it never frames anything."""
    start = len(site.region.complete)
    with site.client() as client:
        push(client, chunked(b"5\r\nhello\r\n0\r\n" + line + b"\r\nX-B: 8\r\n\r\n") + SMUGGLED, split)
        assert client.answer().status in (200, 400)
    for seen in site.region.complete[start:]:
        assert seen.path == "/smuggled" or (bytes(seen.body), seen.trailers) == (b"hello", [("x-b", "8")])


def test_trailers_byte_by_byte_within_limits(site):
    """RFC 9112 2.2: how TCP cuts a message must not matter; trailers far below the limit pass in any pieces."""
    value = "v" * 3000
    data = chunked(b"5\r\nhello\r\n0\r\nX-A: " + value.encode() + b"\r\nX-B: 1\r\n\r\n")
    with site.client() as client:
        for at in range(len(data)):
            client.send(data[at:at + 1])
        assert client.answer().status == 200
    assert site.region.complete[-1].trailers == [("x-a", value), ("x-b", "1")]


@both_ways
def test_close_ends_the_connection(site, split):
    """RFC 9112 9.6: what is pipelined behind `Connection: close` is never processed."""
    start = len(site.region.served)
    with site.client() as client:
        push(client, message(b"Connection: close") + SMUGGLED, split)
        rest(client)
        answer = client.answer()
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert client.buffer == b""
    assert [r.path for r in site.heads_since(start)] == ["/x"]


@both_ways
@table([("plain", b"Connection: keep-alive"), ("in-a-list", b"Connection: x, Keep-Alive")])
def test_keep_alive_in_1_0(site, data, split):
    """RFC 9112 9.3: HTTP/1.0 goes on only when asked to; a proxy that does not must close."""
    with site.client() as client:
        push(client, message(data, start=b"GET /x HTTP/1.0"), split)
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"ok")
        if answer.get("connection", "").lower() == "close":
            assert client.ended()
        else:
            assert answer.get("connection", "").lower() == "keep-alive", "an HTTP/1.0 client must be told"
            assert client.request("GET", "/next").status == 200


@both_ways
def test_1_0_ends_the_connection(site, split):
    """RFC 9112 9.3: without keep-alive, HTTP/1.0 ends after one answer."""
    start = len(site.region.served)
    with site.client() as client:
        push(client, message(start=b"GET /x HTTP/1.0") + SMUGGLED, split)
        rest(client)
        assert client.answer().status == 200 and client.buffer == b""
    assert [r.path for r in site.heads_since(start)] == ["/x"]


@both_ways
def test_100_continue(site, split):
    """RFC 9110 10.1.1: the 100 comes before the body is sent, and the body is then passed on."""
    start = len(site.region.complete)
    with site.client() as client:
        push(client, post(b"Content-Length: 5", b"Expect: 100-continue", body=b""), split)
        assert client.head().status == 100
        push(client, b"hello", split)
        assert client.answer("POST").status == 200
    assert bytes(site.region.complete[start].body) == b"hello"


def test_no_100_for_1_0(site):
    """RFC 9110 10.1.1: an HTTP/1.0 client must not be sent a 100."""
    with site.client() as client:
        client.send(post(b"Content-Length: 5", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
        answer = client.answer("POST")
        assert (answer.status, answer.informational) == (200, [])
