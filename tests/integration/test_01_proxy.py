"""One region, every kind of message: HTTP/2 and HTTP/1.1 clients, over TLS and in cleartext, to HTTP/2 and HTTP/1.1."""
import hashlib
import socket
import ssl

import pytest

from conftest import H1Origin, H2Origin
from h1client import client_tls, connect
from lab import HOST, NAME, free_port
from origin import close_cleanly

EIGHT_MIB = bytes(range(256)) * (8 << 12)


def digest(data):
    return hashlib.sha256(data).hexdigest()


# Of an interim head, what is the connection's, the proxy's own or another message's must not go on.
ODD_HINTS = [("link", "</a.css>; rel=preload"), ("x-gw-type", "f3dd1cba-gw:THROTTLED"), ("x-taken-off", "1")]
ODD_H1_HINTS = [("Connection", "keep-alive, x-mine"), ("Keep-Alive", "timeout=5"), ("X-Mine", "1"), ("Upgrade", "h9"),
                ("Proxy-Connection", "close")]


def answer_h2(connection, request):
    """The region of most tests: the path says what it answers."""
    path, sid = request.path, request.sid
    if path.startswith("/status/"):
        connection.respond(sid, int(path.rsplit("/", 1)[1]))
    elif path == "/big":
        connection.respond(sid, body=EIGHT_MIB, headers=[("content-length", str(len(EIGHT_MIB)))])
    elif path == "/stream":
        connection.respond(sid, body=b"no length given")
    elif path == "/trailers":
        connection.respond(sid, body=b"with trailers", trailers=[("x-checksum", digest(b"with trailers"))])
    elif path == "/early-hints":
        connection.informational(sid, 103, [("link", "</a.css>; rel=preload")])
        connection.respond(sid, body=b"final")
    elif path == "/odd-hints":
        connection.informational(sid, 103, ODD_HINTS)
        connection.respond(sid, body=b"final")
    elif path == "/head":
        connection.respond(sid, headers=[("content-length", "12345")])
    else:
        text = f"{request.method} {digest(request.body)} {request.trailers}".encode()
        connection.respond(sid, body=text, headers=[("content-length", str(len(text))), ("x-seen", path)])


def answer_h1(sock, request):
    path = request.path
    if path.startswith("/status/"):
        code = path.rsplit("/", 1)[1]
        length = "" if code in ("204", "304") else "Content-Length: 0\r\n"
        sock.sendall(f"HTTP/1.1 {code} Fine\r\n{length}\r\n".encode())
    elif path == "/big":
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(EIGHT_MIB)}\r\n\r\n".encode() + EIGHT_MIB)
    elif path == "/stream":
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"9\r\nno length\r\n6\r\n given\r\n0\r\n\r\n")
    elif path == "/trailers":
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\nd\r\nwith trailers\r\n"
                     b"0\r\nx-checksum: " + digest(b"with trailers").encode() + b"\r\n\r\n")
    elif path == "/early-hints":
        sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                     b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal")
    elif path == "/odd-hints":
        fields = "".join(f"{k}: {v}\r\n" for k, v in [*ODD_HINTS, *ODD_H1_HINTS])
        sock.sendall(f"HTTP/1.1 103 Early Hints\r\n{fields}\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal".encode())
    elif path == "/head":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    elif path == "/until-close":
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
        return close_cleanly(sock)
    else:
        text = f"{request.method} {digest(request.body)} {request.trailers}".encode()
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nX-Seen: {path}\r\n\r\n".encode() + text)
    return True


@pytest.fixture(params=["h2", "http/1.1"])
def proxy(request, start, origin):
    """A proxy over one region that speaks this protocol."""
    kind, script = (H2Origin, answer_h2) if request.param == "h2" else (H1Origin, answer_h1)
    region = origin(kind, script)
    made = start({"one": region.url}, protocol=request.param, service={"marker": {"header": "x-gw-type", "secret": "f3dd1cba-gw:"}},
                 routes=[{"match": {"path": "/*"}, "service": "orders",
                          "response_headers": {"remove": ["x-taken-off"]}}])
    made.region_seen, made.upstream = region, request.param
    return made


# ---- The same through HTTP/2 ----

def test_h2_methods_and_bodies(proxy, h2):
    client = h2(proxy)
    for method, body in (("GET", b""), ("POST", b"{}"), ("PUT", b"x" * 100000), ("DELETE", b""), ("PATCH", b"p"),
                         ("OPTIONS", b"")):
        answer = client.request(method, "/echo?q=1", body=body)
        assert (answer.status, answer.body.decode()) == (200, f"{method} {digest(body)} []")
        assert answer.get("x-seen") == "/echo?q=1"


def test_h2_head(proxy, h2):
    answer = h2(proxy).request("HEAD", "/head")
    assert (answer.status, answer.get("content-length"), answer.body) == (200, "12345", b"")


@pytest.mark.parametrize("status", [200, 204, 301, 304, 404, 418])
def test_h2_statuses(proxy, h2, status):
    answer = h2(proxy).get(f"/status/{status}")
    assert (answer.status, answer.body, answer.ended) == (status, b"", True)


def test_h2_big_answer(proxy, h2):
    assert digest(h2(proxy).get("/big").body) == digest(EIGHT_MIB)


def test_h2_big_upload(proxy, h2):
    answer = h2(proxy).post("/echo", EIGHT_MIB)
    assert answer.body.decode() == f"POST {digest(EIGHT_MIB)} []"


def test_h2_answer_without_length(proxy, h2):
    assert h2(proxy).get("/stream").body == b"no length given"


def test_h2_response_trailers(proxy, h2):
    answer = h2(proxy).get("/trailers", [("te", "trailers")])
    assert answer.body == b"with trailers"
    assert ("x-checksum", digest(b"with trailers")) in answer.trailers


def test_h2_request_trailers(proxy, h2):
    h2(proxy).request("POST", "/echo", body=b"body", trailers=[("x-sum", "17")])
    seen = proxy.region_seen.served[-1]
    assert seen.body == b"body" and ("x-sum", "17") in seen.trailers


def test_h2_early_hints(proxy, h2):
    answer = h2(proxy).get("/early-hints")
    assert answer.body == b"final"
    assert [dict(i)[":status"] for i in answer.informational] == ["103"]
    assert dict(answer.informational[0])["link"] == "</a.css>; rel=preload"


def test_h2_interim_heads_are_filtered_too(proxy, h2):
    """RFC 9113 8.2.2, RFC 9110 7.6.1: of a 103 too; a malformed one would end the stream."""
    answer = h2(proxy).get("/odd-hints")
    assert (answer.status, answer.body, answer.reset) == (200, b"final", None)
    assert {k for k, _ in answer.informational[0]} <= {":status", "link", "via"}
    assert dict(answer.informational[0])["link"] == "</a.css>; rel=preload"


def test_h2_many_streams_at_once(proxy, h2):
    client = h2(proxy)
    streams = [client.start("POST", "/echo", body=str(i).encode() * 1000) for i in range(100)]
    for i, sid in enumerate(streams):
        assert client.wait(sid).body.decode() == f"POST {digest(str(i).encode() * 1000)} []"


def test_h2_cancelled_stream_leaves_the_others(proxy, h2):
    client = h2(proxy)
    cancelled, kept = client.start("GET", "/big"), client.start("GET", "/echo")
    client.conn.reset_stream(cancelled, 8)
    client.flush()
    assert client.wait(kept).status == 200
    assert client.get("/echo").status == 200


# ---- The same through HTTP/1.1 ----

def test_h1_methods_and_bodies(proxy, h1):
    client = h1(proxy)
    for method, body in (("GET", None), ("POST", b"{}"), ("PUT", b"x" * 100000), ("DELETE", None)):
        answer = client.request(method, "/echo", body=body)
        assert (answer.status, answer.body.decode()) == (200, f"{method} {digest(body or b'')} []")
        assert answer.reason, "an empty reason phrase breaks clients"


def test_h1_head_then_get_on_one_connection(proxy, h1):
    client = h1(proxy)
    answer = client.request("HEAD", "/head")
    assert (answer.status, answer.get("content-length")) == (200, "12345")
    assert client.request("GET", "/echo").status == 200


@pytest.mark.parametrize("status", [200, 204, 304, 404])
def test_h1_statuses(proxy, h1, status):
    client = h1(proxy)
    answer = client.request("GET", f"/status/{status}")
    assert answer.status == status
    if status == 204:
        assert answer.get("content-length") is None and answer.get("transfer-encoding") is None
    assert client.request("GET", "/echo").status == 200


def test_h1_big_both_ways(proxy, h1):
    client = h1(proxy)
    assert digest(client.request("GET", "/big").body) == digest(EIGHT_MIB)
    assert client.request("POST", "/echo", body=EIGHT_MIB).body.decode() == f"POST {digest(EIGHT_MIB)} []"


def test_h1_chunked_upload_with_trailers(proxy, h1):
    client = h1(proxy)
    client.send(b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n")
    assert client.answer().body.decode().startswith(f"POST {digest(b'abcde')}")
    seen = proxy.region_seen.served[-1]
    assert seen.body == b"abcde" and ("x-sum", "5") in seen.trailers


def test_h1_response_trailers_and_chunks(proxy, h1):
    client = h1(proxy)
    assert client.request("GET", "/stream").body == b"no length given"
    answer = client.request("GET", "/trailers", [("TE", "trailers")])
    assert answer.body == b"with trailers"
    assert ("x-checksum", digest(b"with trailers")) in answer.trailers


def test_h1_early_hints(proxy, h1):
    answer = h1(proxy).request("GET", "/early-hints")
    assert answer.body == b"final"
    assert [i.status for i in answer.informational] == [103]


def test_h1_interim_heads_are_filtered_too(proxy, h1):
    client = h1(proxy)
    for _ in range(2):
        answer = client.request("GET", "/odd-hints")
        assert (answer.status, answer.body) == (200, b"final")
        assert {k for k, _ in answer.informational[0].headers} <= {"link", "via"}


@pytest.mark.parametrize("field", ["Content-Length: 7", "Transfer-Encoding: chunked"])
def test_h1_no_framing_on_an_interim_head(start, origin, h1, field):
    """RFC 9110 8.6, RFC 9112 6.1: neither on a 1xx. A region that sends it anyway is not passed on, or is at fault."""
    def script(sock, request):
        sock.sendall(f"HTTP/1.1 103 Early Hints\r\n{field}\r\nLink: <a>\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal".encode())
    answer = h1(start({"one": {"url": origin(H1Origin, script).url, "host": NAME}})).request("GET", "/")
    assert answer.status in (200, 502)
    for interim in answer.informational:
        assert interim.get("content-length") is None and interim.get("transfer-encoding") is None


def test_h1_expect_continue(proxy, h1):
    client = h1(proxy)
    client.send(b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert client.head().status == 100
    client.send(b"body")
    assert client.answer("POST").body.decode() == f"POST {digest(b'body')} []"


def test_h1_pipelining_keeps_the_order(proxy, h1):
    client = h1(proxy)
    client.send(b"".join(b"GET /echo?%d HTTP/1.1\r\nHost: api.example.test\r\n\r\n" % i for i in range(20)))
    assert [client.answer().get("x-seen") for _ in range(20)] == [f"/echo?{i}" for i in range(20)]


def test_h1_one_byte_at_a_time(proxy, h1):
    client = h1(proxy)
    for byte in b"POST /echo HTTP/1.1\r\nHost: api.example.test\r\nContent-Length: 2\r\n\r\nhi":
        client.send(bytes([byte]))
    assert client.answer().body.decode() == f"POST {digest(b'hi')} []"


def test_h1_connection_close(proxy, h1):
    client = h1(proxy)
    answer = client.request("GET", "/echo", [("Connection", "close")])
    assert answer.status == 200 and answer.get("connection", "").lower() == "close"
    assert client.ended()


def test_h1_version_1_0(proxy, h1):
    client = h1(proxy)
    client.send(b"GET /stream HTTP/1.0\r\nHost: api.example.test\r\n\r\n")
    answer = client.head()
    assert answer.status == 200 and answer.get("transfer-encoding") is None
    while client._more():
        pass
    assert client.buffer == b"no length given"


def test_h1_upstream_body_until_close(proxy, h1, h2):
    path, body = ("/big", EIGHT_MIB) if proxy.upstream == "h2" else ("/until-close", b"until the end")
    assert h1(proxy).request("GET", path).body == body
    assert h2(proxy).get(path).body == body


@pytest.mark.parametrize("bad", [
    b"GET /echo HTTP/1.1\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    b"GET /echo HTTP/1.1\nHost: a\n\n",
    b"GET  /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    b"G\x01T /echo HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
])
def test_h1_ambiguity_is_refused(proxy, h1, bad):
    client = h1(proxy)
    client.send(bad)
    answer = client.head()
    assert 400 <= answer.status <= 501 and answer.status != 404
    while client._more():
        pass
    assert not proxy.region_seen.served or proxy.region_seen.served[-1].body == b""


@pytest.mark.parametrize("path", ["/%00", "/a%0", "/%zz", "/a\x7f"])
def test_bad_paths_are_refused(proxy, h1, h2, path):
    client = h1(proxy)
    client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert client.head().status == 400
    answer = h2(proxy).get(path)
    assert answer.status == 400 or answer.reset == 1
    assert not proxy.region_seen.served


# ---- Fields ----

def test_hop_by_hop_fields_stay_here(proxy, h1):
    h1(proxy).request("GET", "/echo", [("Connection", "x-mine, keep-alive"), ("X-Mine", "1"), ("Keep-Alive", "9"),
                                       ("Proxy-Connection", "x"), ("TE", "gzip"), ("X-Kept", "yes")])
    names = {k for k, _ in proxy.region_seen.served[-1].headers}
    assert not names & {"x-mine", "keep-alive", "proxy-connection"}
    assert "x-kept" in names


def test_request_id_is_kept_or_made(proxy, h2):
    client = h2(proxy)
    client.get("/echo", [("x-request-id", "mine-42")])
    client.get("/echo")
    first, second = [r.get("x-request-id") for r in proxy.region_seen.served[-2:]]
    assert first == "mine-42" and second and second != first


def test_cookies_of_h2_are_joined_for_h1(proxy, h2):
    h2(proxy).get("/echo", [("cookie", "a=1"), ("cookie", "b=2")])
    cookies = [v for k, v in proxy.region_seen.served[-1].headers if k == "cookie"]
    assert "; ".join(cookies) == "a=1; b=2"
    assert proxy.upstream == "h2" or len(cookies) == 1


# ---- Listeners ----

def test_cleartext_both_protocols_on_one_port(start, origin, h1, h2):
    region = origin(H2Origin, answer_h2)
    port = free_port()
    proxy = start({"one": region.url}, protocol="h2", port=port,
                  listeners=[{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"]}])
    assert h1(proxy, tls=False).request("GET", "/echo").status == 200
    assert h2(proxy, ca=None).get("/echo").status == 200


def test_cleartext_upstream(start, origin, h2):
    region = origin(H1Origin, answer_h1, tls=False)
    proxy = start({"one": region.url})
    assert h2(proxy).post("/echo", b"abc").body.decode() == f"POST {digest(b'abc')} []"


def test_alpn(proxy, certs):
    for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["http/1.1", "h2"], "h2")):
        with connect(proxy.port, client_tls(certs.ca, offered), NAME) as sock:
            assert sock.selected_alpn_protocol() == chosen
    with connect(proxy.port, client_tls(certs.ca, None), NAME) as sock:
        assert sock.selected_alpn_protocol() is None
        sock.sendall(b"GET /echo HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")


def test_alpn_without_a_common_protocol_is_refused(proxy, certs):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(proxy.port, client_tls(certs.ca, ["spdy/3"]), NAME).close()


def names_shown(port, sni):
    """The DNS names of the certificate that is shown for an SNI; it is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection((HOST, port), 10)
    with context.wrap_socket(raw, server_hostname=sni) as sock:
        return sock.getpeercert(True)


def test_sni_picks_the_certificate(start, origin, certs):
    region = origin(H1Origin, answer_h1)
    port = free_port()
    pairs = ["api.example.test", "other.example.test", "*.wild.example.test"]
    start({"one": region.url}, port=port, listeners=[{
        "address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"],
        "tls": {"certificates": [{"cert": str(certs.cert(n)), "key": str(certs.key(n))} for n in pairs]}}])
    der = {n: ssl.PEM_cert_to_DER_cert(certs.cert(n).read_text()) for n in pairs}
    for sni, expected in (("api.example.test", 0), ("other.example.test", 1), ("OTHER.example.test", 1),
                          ("a.wild.example.test", 2), ("a.b.wild.example.test", 0), ("wild.example.test", 0),
                          ("unknown.test", 0), (None, 0)):
        assert names_shown(port, sni) == der[pairs[expected]], sni


def test_tls_1_1_is_refused(proxy):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(proxy.port, context, NAME).close()


def test_no_route_is_a_problem_document(start, origin, h2):
    region = origin(H2Origin, answer_h2)
    proxy = start({"one": region.url}, protocol="h2",
                  routes=[{"match": {"host": NAME, "path": "/orders/*"}, "service": "orders"}])
    client = h2(proxy)
    assert client.get("/orders").status == 200
    assert client.get("/orders/1?x=y").status == 200
    answer = client.get("/ordersx")
    assert (answer.status, answer.get("content-type")) == (404, "application/problem+json")
