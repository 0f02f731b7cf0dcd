"""Proxy-Status (RFC 9209): why there is no better answer, and where a request has been when that is asked for."""
import re

import pytest

from conftest import H1Origin, H2Origin
from lab import HOST, NAME, free_port
from test_08_retry import CALM, h1_status, over

ASK = ("want-proxy-status", "?1")


def told(answer):
    """The members' parameters: a strict reader of what is sent."""
    value = answer.get("proxy-status")
    assert re.fullmatch(r'isochrone(; [a-z-]+=([a-z_]+|[0-9]+|"([ !#-\[\]-~]|\\["\\])*"))*', value), value
    return {name: text.strip('"') for name, text in
            re.findall(r'; ([a-z-]+)=("(?:[^"\\]|\\.)*"|[^;]*)', value)}


def one_region(start, region, **service):
    return start({"one": {"host": NAME, **region}}, workers=1, service={"health": CALM, **service})


class Silent(H1Origin):
    """Accepts, and never shakes hands."""
    def serve(self, sock, number):
        while sock.recv(4096):
            pass


def test_refused(start, h2):
    answer = h2(one_region(start, {"url": f"https://{HOST}:{free_port()}"})).post("/")
    assert answer.status == 502
    assert told(answer) == {"error": "connection_refused", "next-hop": "one", "details": "the region cannot be reached"}


def test_no_name(start, h2):
    answer = h2(one_region(start, {"url": "https://nowhere.invalid"})).post("/")
    assert (answer.status, told(answer)["error"]) == (502, "dns_error")


def test_connect_timeout(start, origin, h2):
    silent = origin(Silent, None, tls=False)
    answer = h2(one_region(start, {"url": silent.url.replace("http:", "https:")}, connect_timeout="200ms",
                           retry={"attempts": 1})).post("/")
    assert (answer.status, told(answer)["error"]) == (502, "connection_timeout")


def test_a_certificate_that_will_not_do(start, origin, h2):
    one = origin(H1Origin, None)
    answer = h2(one_region(start, {"url": one.url, "host": "stranger.example.test"})).post("/")
    assert (answer.status, told(answer)["error"]) == (502, "tls_certificate_error")
    one.errors.clear()


class Plain(H1Origin):
    """Speaks no TLS, and says so."""
    def serve(self, sock, number):
        sock.recv(4096)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        sock.recv(4096)


def test_no_tls_at_all(start, origin, h2):
    one = origin(Plain, None, tls=False)
    answer = h2(one_region(start, {"url": one.url.replace("http:", "https:")}, retry={"attempts": 1})).post("/")
    assert (answer.status, told(answer)["error"]) == (502, "tls_protocol_error")


@pytest.mark.parametrize("script, error", [
    (lambda c, r: c.reset(r.sid, 8), "connection_terminated"),
    (lambda c, r: c.abort(), "connection_terminated"),
    (lambda c, r: None, "http_response_timeout")], ids=["reset", "abort", "hang"])
def test_after_it_was_sent(start, origin, h2, script, error):
    answer = h2(one_region(start, {"url": origin(H2Origin, script).url}, timeout="500ms")).post("/")
    assert answer.status == (504 if error.endswith("timeout") else 502)
    assert (told(answer)["error"], told(answer)["next-hop"]) == (error, "one")


def test_malformed(start, origin, h2):
    one = origin(H1Origin, lambda s, r: s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"))
    answer = h2(one_region(start, {"url": one.url})).post("/")
    assert (answer.status, told(answer)["error"]) == (502, "http_protocol_error")


def test_half_an_answer_that_was_put_aside(start, origin, h2):
    """A 503 was to be kept in case nothing better comes, and broke off: its status is told."""
    def script(sock, request):
        sock.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\nhalf")
        return False
    answer = h2(one_region(start, {"url": origin(H1Origin, script).url}, retry={"budget": 2, "attempts": 2})).get("/")
    if answer.status == 502:
        assert (told(answer)["error"], told(answer)["received-status"]) == ("http_response_incomplete", "503")
    else:
        assert answer.status in (0, 503), "it was given before it broke"


@pytest.mark.parametrize("method, path, status, error", [("GET", "/other", 404, "destination_not_found"),
                                                         ("TRACE", "/here/1", 405, "http_request_error")])
def test_without_a_region(start, emulator, h2, method, path, status, error):
    proxy = start({"one": emulator("one").url}, workers=1, service={"health": CALM},
                  routes=[{"match": {"path": "/here/*"}, "service": "orders"}])
    answer = h2(proxy).request(method, path)
    assert (answer.status, told(answer)["error"]) == (status, error)


def test_grpc_says_it_too(start, h2):
    proxy = one_region(start, {"url": f"https://{HOST}:{free_port()}"})
    answer = h2(proxy).request("POST", "/pkg.Svc/M", [("content-type", "application/grpc"), ("te", "trailers")], b"\0\0\0\0\0")
    assert (answer.status, answer.get("grpc-status")) == (200, "14")
    assert told(answer)["error"] == "connection_refused"


# ---- When it is asked for ----

def test_nobody_is_told_unasked(start, emulator, h2):
    client = h2(over(start, emulator("first").url, emulator("second").url))
    assert client.get("/", [ASK]).get("proxy-status") is None


@pytest.mark.parametrize("setting, headers, says", [("asked", [], False), ("asked", [("want-proxy-status", "?0")], False),
                                                    ("asked", [ASK], True), ("always", [], True)])
def test_a_good_answer_tells_where_it_has_been(start, emulator, h2, setting, headers, says):
    second = emulator("second")
    client = h2(over(start, f"https://{HOST}:{free_port()}", second.url, proxy_status=setting))
    answer = client.post("/", headers=headers)
    assert answer.status == 200
    if not says:
        assert answer.get("proxy-status") is None
        return
    assert told(answer) == {"next-hop": "second", "received-status": "200", "attempts": "2", "details":
                            "first: connect_failure, ran no; second: status 200, ran yes, for connect"}


def test_a_bad_answer_tells_why_it_stands(start, origin, h2):
    first, second = (origin(H1Origin, lambda s, r: h1_status(s, 503)) for _ in range(2))
    client = h2(over(start, first.url, second.url, proxy_status="always"))
    said = told(client.post("/"))
    assert said["received-status"] == "503" and said["attempts"] == "1"
    assert "not tried again: it may have run and is not idempotent" in said["details"]


def test_a_route_decides_for_itself(start, emulator, h2):
    one = emulator("one")
    client = h2(start({"one": one.url}, workers=1, service={"health": CALM, "proxy_status": "always"},
                      routes=[{"match": {"path": "/quiet"}, "service": "orders", "proxy_status": "errors"},
                              {"match": {"path": "/*"}, "service": "orders"}]))
    assert client.get("/quiet").get("proxy-status") is None
    assert told(client.get("/"))["next-hop"] == "one"


def test_a_regions_own_stays_in_front(start, origin, h2):
    one = origin(H1Origin, lambda s, r: h1_status(s, 200, "Proxy-Status: CDN; hit\r\n"))
    client = h2(one_region(start, {"url": one.url}, proxy_status="always"))
    answer = client.get("/")
    assert [v.split(";")[0] for k, v in answer.headers if k == "proxy-status"] == ["CDN", "isochrone"]
