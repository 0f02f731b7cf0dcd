"""What the proxy is to a region: HTTP/2 and HTTP/1.1, TLS verification, names, base paths, GOAWAY, idle closes."""
import json
import threading

import pytest

import peers
from conftest import H1Origin, H2Origin
from lab import HOST, NAME, free_port, wait_until
from origin import close_cleanly

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def say_ok(connection, request):
    connection.respond(request.sid, body=b"ok")


def region(url, **more):
    return {"url": url, "host": NAME, **more}


def start_nginx(lab, body, tag="upstream"):
    port = free_port()
    text = body.replace("PORT", str(port))
    peers.start_nginx(lab, tag, text).wait_port(port)
    return port


@pytest.fixture(scope="session", autouse=True)
def readable(tmp_path_factory):
    """nginx's workers run as another user."""
    tmp_path_factory.getbasetemp().chmod(0o755)


# ---- Real servers ----

@pytest.mark.parametrize("protocol", ["auto", "h2", "http/1.1"])
def test_nginx(lab, start, h2, protocol):
    port = start_nginx(lab, 'server { listen 127.0.0.1:PORT ssl http2; location / { return 200 "$server_protocol $host '
                            '$ssl_server_name"; } }')
    proxy = start({"one": region(f"https://{HOST}:{port}", protocol=protocol)})
    client = h2(proxy)
    answer = client.get("/x")
    seen = "HTTP/1.1" if protocol == "http/1.1" else "HTTP/2.0"
    assert (answer.status, answer.body.decode()) == (200, f"{seen} {NAME} {NAME}")
    assert all(client.get(f"/{i}").status == 200 for i in range(50))


def test_nghttpd(lab, start, h2):
    port = free_port()
    root = lab.dir / "root"
    root.mkdir()
    (root / "file").write_bytes(b"n" * 300000)
    server = lab.start("nghttpd", ["nghttpd", "-a", HOST, "-d", root, "-m", "4", str(port), lab.certs.key(),
                                   lab.certs.cert()])
    server.wait_port(port)
    proxy = start({"one": region(f"https://{HOST}:{port}", protocol="h2")}, service={"health": {"path": "/file"}})
    client = h2(proxy)
    # Four streams a connection are allowed and fifty requested: none may be refused or lost.
    streams = [client.start("GET", "/file") for _ in range(50)]
    for sid in streams:
        answer = client.wait(sid)
        assert (answer.status, answer.reset, len(answer.body)) == (200, None, 300000)


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_keepalive_requests_lose_nothing(lab, start, h2, protocol):
    """nginx sends GOAWAY, or closes, after twenty requests."""
    port = start_nginx(lab, 'server { listen 127.0.0.1:PORT ssl http2; keepalive_requests 20; '
                            'location / { return 200 "ok"; } }')
    proxy = start({"one": region(f"https://{HOST}:{port}", protocol=protocol)})
    client = h2(proxy)
    for _ in range(20):
        streams = [client.start("GET" if i % 5 else "POST", f"/{i}", body=b"" if i % 5 else b"{}") for i in range(20)]
        assert [(client.wait(s).status, client.wait(s).reset) for s in streams] == [(200, None)] * 20


# ---- TLS towards a region ----

def expect_502(answer):
    assert answer.status == 502
    assert answer.get("content-type") == "application/problem+json"
    assert json.loads(answer.body)["status"] == 502


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_untrusted_certificate_is_502(lab, start, origin, h2, tmp_path, protocol):
    from lab import Certs
    strange = Certs(tmp_path / "strange", (NAME,))
    upstream = origin(H2Origin, say_ok, cert=(strange.cert(), strange.key()))
    proxy = start({"one": region(upstream.url, protocol=protocol)})
    expect_502(h2(proxy).get("/"))
    assert not upstream.requests


def test_wrong_name_is_502(start, origin, h2, certs):
    upstream = origin(H2Origin, say_ok, cert=(certs.cert("other.example.test"), certs.key("other.example.test")))
    expect_502(h2(start({"one": region(upstream.url)})).get("/"))
    assert not upstream.requests


def test_sni_may_differ_from_host(start, origin, h2, certs):
    upstream = origin(H2Origin, say_ok, cert=(certs.cert("other.example.test"), certs.key("other.example.test")))
    proxy = start({"one": region(upstream.url, sni="other.example.test")})
    assert h2(proxy).get("/").status == 200
    assert set(upstream.names) == {"other.example.test"}
    assert upstream.served[0].get(":authority") == NAME


def test_ip_literal_sends_no_sni_and_is_verified(start, origin, h2, certs):
    upstream = origin(H2Origin, say_ok, cert=(certs.cert("127.0.0.1"), certs.key("127.0.0.1")))
    proxy = start({"one": {"url": upstream.url}})
    assert h2(proxy).get("/").status == 200
    assert set(upstream.names) == {None}
    assert upstream.served[0].get(":authority") == f"127.0.0.1:{upstream.port}"


def test_region_without_the_asked_protocol_is_502(start, origin, h2):
    upstream = origin(H1Origin, lambda s, r: s.sendall(OK))
    expect_502(h2(start({"one": region(upstream.url, protocol="h2")})).get("/"))


def test_plain_text_where_tls_is_expected_is_502(start, origin, h2):
    upstream = origin(H1Origin, lambda s, r: s.sendall(OK), tls=False)
    expect_502(h2(start({"one": region(upstream.url.replace("http:", "https:"))})).get("/"))


def test_nobody_listens_is_502(start, h2):
    expect_502(h2(start({"one": region(f"https://{HOST}:{free_port()}")})).get("/"))


# ---- Names and paths ----

def test_host_of_each_region(start, origin, h2, certs):
    names = (NAME, "other.example.test")
    regions = [origin(H2Origin, say_ok, cert=(certs.cert(n), certs.key(n))) for n in names]
    proxy = start({n: {"url": r.url, "host": n} for n, r in zip(names, regions)},
                  service={"balance": {"policy": "weighted"}})
    client = h2(proxy)
    for _ in range(40):
        assert client.get("/").status == 200
    for name, one in zip(names, regions):
        assert one.served and {r.get(":authority") for r in one.served} == {name}


@pytest.mark.parametrize("kind", [H2Origin, H1Origin])
def test_base_path_before_the_path_and_off_the_location(start, origin, h2, kind):
    places = {
        "/prod/a": "/prod/b?x=1",
        "/prod/abs": "URL/prod/c",
        "/prod/host": f"https://{NAME}/prod/d",
        "/prod/else": "https://elsewhere.test/prod/e",
        "/prod/near": "/production",
    }

    def redirect(connection, request):
        where = places.get(request.path, "/").replace("URL", upstream.url)
        if kind is H2Origin:
            connection.respond(request.sid, 302, [("location", where), ("set-cookie", "a=1; Path=/prod; Secure")])
        else:
            connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nSet-Cookie: a=1; Path=/prod; Secure\r\n"
                               "Content-Length: 0\r\n\r\n".encode())

    upstream = origin(kind, redirect)
    client = h2(start({"one": region(upstream.url + "/prod")}))
    expected = {"/a": ["/b?x=1"], "/abs": [f"https://{NAME}/c", "/c"], "/host": [f"https://{NAME}/d", "/d"],
                "/else": ["https://elsewhere.test/prod/e"], "/near": ["/production"]}
    for path, places_then in expected.items():
        answer = client.get(path)
        assert answer.get("location") in places_then, path
        assert answer.get("set-cookie").lower().replace(" ", "") == "a=1;path=/;secure"
    served = [r.path for r in upstream.served if r.path != "/prod/health"]
    assert served == ["/prod" + p for p in expected]


@pytest.mark.parametrize("kind", [H2Origin, H1Origin])
def test_the_asterisk_goes_without_the_base_path(start, origin, h1, h2, kind):
    """RFC 9112 3.2.4, RFC 9113 8.3.1: * is no path. It asks for the server as a whole, and so does a URL without one."""
    upstream = origin(kind, say_ok if kind is H2Origin else lambda s, r: s.sendall(OK))
    proxy = start({"one": region(upstream.url + "/prod")})
    assert h2(proxy).request("OPTIONS", "*").status == 200
    for target in ("*", f"https://{NAME}", f"https://{NAME}/", f"https://{NAME}?x"):
        assert h1(proxy).request("OPTIONS", target).status == 200
    served = [r.path for r in upstream.served if r.method == "OPTIONS"]
    assert served == ["*", "*", "*", "/prod/", "/prod/?x"]


def test_health_goes_below_the_base_path(start, origin):
    upstream = origin(H1Origin, lambda s, r: s.sendall(OK))
    start({"one": region(upstream.url + "/prod")}, service={"health": {"interval": "200ms", "timeout": "200ms"}})
    wait_until(lambda: any(r.path == "/prod/health" for r in upstream.requests), 10, "a probe of /prod/health")


def test_region_headers_are_set(start, origin, h2):
    upstream = origin(H2Origin, say_ok)
    proxy = start({"one": region(upstream.url, headers={"x-api-key": "secret", "x-client": "edge"})})
    h2(proxy).get("/", [("x-client", "spoofed")])
    seen = upstream.served[-1]
    assert seen.get("x-api-key") == "secret"
    assert [v for k, v in seen.headers if k == "x-client"] == ["edge"]


# ---- Connections ----

def test_max_concurrent_streams_is_respected(start, origin, h2):
    """Answers larger than a window keep streams open. The limit binds once its SETTINGS are acknowledged."""
    most = []

    def at_the_head(connection, request):
        if connection.acknowledged:
            most.append(len(connection.pending) + 1)

    def long_answer(connection, request):
        connection.respond(request.sid, body=bytes(3 << 20))

    upstream = origin(H2Origin, long_answer, early=at_the_head, streams=3)
    client = h2(start({"one": region(upstream.url, protocol="h2")}, workers=1))
    for _ in range(3):
        for sid in [client.start("GET", f"/{i}") for i in range(10)]:
            answer = client.wait(sid)
            assert (answer.status, answer.reset, answer.received) == (200, None, 3 << 20)
    assert max(most) <= 3
    assert max(most) >= 2, "no two streams were open at once: this showed nothing"


def test_goaway_with_unprocessed_streams_is_retried_even_for_post(start, origin, h2):
    done = []

    def script(connection, request):
        if connection.number == first[0] and len(done) == 2:
            connection.goaway(request.sid - 2)
            return
        done.append(request.sid)
        connection.respond(request.sid, body=b"ok")

    first = [None]
    upstream = origin(H2Origin, script)
    client = h2(start({"one": region(upstream.url, protocol="h2")}, workers=1))
    client.post("/1")
    first[0] = upstream.served[0].connection
    client.post("/2")
    answer = client.post("/3")
    assert (answer.status, answer.reset) == (200, None)
    assert len(done) == 3


def test_refused_stream_is_retried_even_for_post(start, origin, h2):
    refused = []

    def script(connection, request):
        if not refused:
            refused.append(request.sid)
            connection.reset(request.sid, 7)
        else:
            connection.respond(request.sid, body=b"ok")

    upstream = origin(H2Origin, script)
    answer = h2(start({"one": region(upstream.url, protocol="h2")})).post("/")
    assert (answer.status, answer.reset, len(refused)) == (200, None, 1)


@pytest.mark.parametrize("body", [b"{}", b"x" * 300000], ids=["small", "large"])
def test_post_is_not_lost_to_an_idle_close(start, origin, h2, body):
    """The region closes a kept connection after each answer without having said so."""
    used = []

    def answer_and_close(sock, request):
        used.append(request.connection)
        sock.sendall(OK)
        return False

    upstream = origin(H1Origin, answer_and_close)
    client = h2(start({"one": region(upstream.url, protocol="http/1.1")}))
    for i in range(10):
        assert client.post(f"/{i}", body).status == 200
        wait_until(lambda: used[-1] in upstream.ended, 5, "the region's close")
    assert [r.path for r in upstream.served] == [f"/{i}" for i in range(10)], "each ran exactly once"


def test_answer_cut_in_the_middle_is_not_papered_over(start, origin, h2, h1):
    def cut(connection, request):
        connection.h2.send_headers(request.sid, [(":status", "200"), ("content-length", "1000")])
        connection.h2.send_data(request.sid, b"x" * 100)
        connection.reset(request.sid, 2)

    upstream = origin(H2Origin, cut)
    proxy = start({"one": region(upstream.url, protocol="h2")})
    answer = h2(proxy).get("/")
    assert answer.status in (0, 200), "the head may still have been in a buffer"
    assert not answer.ended and answer.reset not in (None, 0, 7)
    with pytest.raises((EOFError, ConnectionError)):
        h1(proxy).request("GET", "/")


@pytest.mark.parametrize("bad", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
])
def test_bad_answers_are_502(start, origin, h2, bad):
    upstream = origin(H1Origin, lambda s, r: s.sendall(bad))
    expect_502(h2(start({"one": region(upstream.url, protocol="http/1.1")})).post("/"))


# ---- Idle connections ----

def pool_of(upstream):
    """Numbers of the connections that are open now and not the prober's, which asks for /health alone."""
    probed = {r.connection for r in upstream.requests if r.is_probe}
    return set(range(1, upstream.accepted + 1)) - set(upstream.ended) - probed


def together(upstream, proxy, h1, count):
    """So many requests at once, each on a connection of its own."""
    gate = threading.Barrier(count, timeout=20)
    upstream.script = lambda sock, request: (gate.wait(), sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    clients = [h1(proxy) for _ in range(count)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n")
    assert [client.answer().status for client in clients] == [200] * count


def test_connections_are_opened_before_they_are_needed(start, origin, h2):
    """Each worker has one to each region; one that is lost is replaced, without a request."""
    upstream = origin(H2Origin, lambda c, r: c.respond(r.sid))
    proxy = start({"one": region(upstream.url, protocol="h2")}, workers=1)
    wait_until(lambda: len(upstream.requests) > 0 and len(pool_of(upstream)) == 1, 10, "the connection")
    first = pool_of(upstream)
    assert h2(proxy).get("/").status == 200
    assert {r.connection for r in upstream.served} == first, "the first request has not waited for a handshake"


def test_idle_connections_are_closed(start, origin, h1):
    """What a burst has left goes after the service's time; the last one is replaced."""
    upstream = origin(H1Origin, None)
    proxy = start({"one": region(upstream.url, protocol="http/1.1")}, workers=1,
                  service={"connection_idle_timeout": "1s"})
    together(upstream, proxy, h1, 4)
    used = {r.connection for r in upstream.served}
    assert len(used) == 4
    wait_until(lambda: used <= set(upstream.ended), 30, f"the end of {used}; ended {upstream.ended}")
    wait_until(lambda: proxy.region("one")["connections"] == 1, 10, "one in reserve")


def test_the_time_after_which_a_region_closes_is_learnt(start, origin, h1):
    """It closes idle connections after two seconds: twice, and then it is forestalled."""
    closed_by_region = []

    class Impatient(H1Origin):
        def serve(self, sock, number):
            sock.settimeout(2)
            try:
                super().serve(sock, number)
            except TimeoutError:
                closed_by_region.append(number)
                close_cleanly(sock)

    upstream = origin(Impatient, lambda s, r: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    proxy = start({"one": region(upstream.url, protocol="http/1.1")}, workers=1,
                  service={"health": {"interval": "1s"}})

    def forestalled():
        probed = {r.connection for r in upstream.requests if r.is_probe}
        return set(upstream.ended) - set(closed_by_region) - probed
    wait_until(forestalled, 20, "a connection that the proxy has closed first")
    wait_until(lambda: len(forestalled()) >= 2, 20, "the next one")
    assert len(closed_by_region) <= 3, closed_by_region
    assert h1(proxy).request("GET", "/").status == 200
