"""HTTP/1.1 requests that are answered before all of their content has come: the connection goes on, or says that it ends."""
import pytest

import peers
from attacker import wait_cut
from h1client import H1Client, connect
from lab import HOST, NAME, free_port

EARLY = """
server {
    listen 127.0.0.1:PORT;
    location / { return 200 "early"; }
}
"""
KIB = 1024
GET = f"GET /early HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()


def post(path, *fields, version="1.1"):
    return "\r\n".join([f"POST {path} HTTP/{version}", f"Host: {NAME}", *fields, "", ""]).encode()


@pytest.fixture
def proxy(start, lab, tmp_path_factory):
    """In clear; /early is answered by the proxy itself, the rest by a real nginx that waits for no content either."""
    tmp_path_factory.getbasetemp().chmod(0o755)  # nginx's workers run as another user
    region, port = free_port(), free_port()
    peers.start_nginx(lab, "early", EARLY.replace("PORT", str(region))).wait_port(region)
    return start({}, port=port, workers=1, listeners=[{"address": f"{HOST}:{port}"}],
                 services={"orders": {"regions": {"one": {"url": f"http://{HOST}:{region}"}}, "health": {"path": "/"}}},
                 routes=[{"service": "orders"}, {"match": {"path": "/early"}, "respond": {"status": 200, "body": "early"}}],
                 limits={"body_rate": "1KiB", "rate_window": "1s"})


paths = pytest.mark.parametrize("path", ["/early", "/region"])


@paths
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_the_rest_is_taken_and_the_next_request_answered(proxy, path, version):
    """RFC 9112 9.3: a server that keeps the connection reads the whole content or closes."""
    keep = ["Connection: keep-alive"] if version == "1.0" else []
    with H1Client(proxy.port) as client:
        for _ in range(3):
            client.send(post(path, f"Content-Length: {100 * KIB}", *keep, version=version) + b"x" * 10)
            answer = client.answer("POST")
            assert (answer.status, answer.body) == (200, b"early")
            assert answer.get("connection") == ("keep-alive" if version == "1.0" else None)
            client.send(b"x" * (100 * KIB - 10))
        client.send(GET)
        assert client.answer().body == b"early"


@paths
def test_chunks_and_trailers_are_taken_too(proxy, path):
    with H1Client(proxy.port) as client:
        client.send(post(path, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        assert client.answer("POST").body == b"early"
        client.send(b"5\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n" + GET + GET)
        assert [client.answer().body for _ in range(2)] == [b"early", b"early"]


@paths
def test_a_long_rest_is_not_waited_for(proxy, path):
    """RFC 9112 9.6: who will not read on says so with `close`."""
    with H1Client(proxy.port) as client:
        client.send(post(path, f"Content-Length: {1024 * KIB}") + b"x" * 10)
        answer = client.answer("POST")
        assert (answer.status, answer.body, answer.get("connection")) == (200, b"early", "close")
        assert client.ended()


@paths
def test_chunks_without_end_are_cut(proxy, path):
    with H1Client(proxy.port) as client:
        client.send(post(path, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        assert client.answer("POST").body == b"early"
        piece = b"%x\r\n%s\r\n" % (16 * KIB, b"x" * 16 * KIB)
        for _ in range(17):  # one more than is waited for
            client.send(piece)
        assert client.ended()


def test_content_that_waits_for_a_100_may_never_come(proxy):
    """RFC 9110 10.1.1: after a final answer it may be sent or not, so the connection cannot go on."""
    with H1Client(proxy.port) as client:
        client.send(post("/early", "Content-Length: 5", "Expect: 100-continue"))
        answer = client.answer("POST")
        assert (answer.status, answer.get("connection")) == (200, "close")
        assert client.ended()


@paths
def test_a_rest_that_does_not_come_is_cut(proxy, path):
    with H1Client(proxy.port) as client:
        client.send(post(path, "Content-Length: 10000") + b"x" * 10)
        assert client.answer("POST").body == b"early"
        wait_cut(proxy, {"body_rate"})
        assert client.ended()


@paths
def test_a_malformed_rest_ends_the_connection(proxy, path):
    with H1Client(proxy.port) as client:
        client.send(post(path, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        assert client.answer("POST").body == b"early"
        client.send(b"-5\r\nworld\r\n0\r\n\r\n" + GET)
        assert client.ended()


def test_a_client_that_ends_in_the_middle(proxy):
    sock = connect(proxy.port)
    sock.sendall(post("/early", "Content-Length: 100") + b"x" * 10)
    assert b"early" in sock.recv(65536)
    sock.close()
    with H1Client(proxy.port) as client:
        client.send(GET)
        assert client.answer().body == b"early"
