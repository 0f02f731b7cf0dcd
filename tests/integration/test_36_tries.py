"""More than one try: which of two answers wins, what per_try_timeout may end, and what is counted."""
import json
import threading
import time

import pytest

from conftest import H1Origin, H2Origin
from lab import HOST, NAME, free_port, wait_until
from test_08_retry import CALM, h1_status, over


def answering(status, headers=(), body=b"bad"):
    return lambda connection, request: connection.respond(request.sid, status, headers, body)


class Held:
    """A region whose answers wait for a word; for /drain it answers 409 at once."""

    def __init__(self, origin):
        self.go = threading.Event()

        def script(sock, request):
            if request.path != "/drain":
                assert self.go.wait(60)
            status, body = (409, b"drain") if request.path == "/drain" else (200, b"first")
            sock.sendall(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n%s" % (status, body))
        self.url = origin(H1Origin, script).url


# ---- What is counted ----

def test_what_ran_and_why_nothing_followed(start, lab, origin, emulator, h2):
    log = lab.path("access.log")
    first, second = origin(H1Origin, lambda s, r: h1_status(s, 503)), emulator("second")
    proxy = over(start, first.url, second.url, retry={"budget": 2})
    client = h2(proxy)
    assert client.get("/").status == 200
    assert client.post("/").status == 503
    assert proxy.metric("isochrone_attempts_executed_total", region="first", executed="maybe") == 2
    assert proxy.metric("isochrone_attempts_executed_total", region="second", executed="yes") == 1
    assert proxy.metric("isochrone_not_retried_total", service="orders", reason="unsafe") == 1
    assert proxy.metric("isochrone_not_retried_total") == 1, "one that another try mended needs no word"
    proxy.stop()
    refused = start({"one": f"https://{HOST}:{free_port()}"}, workers=1, access_log={"path": str(log)},
                    service={"health": CALM, "retry": {"attempts": 2}})
    assert h2(refused).post("/").status == 502
    assert refused.metric("isochrone_attempts_executed_total", region="one", executed="no") == 2
    assert refused.metric("isochrone_not_retried_total", reason="attempts") == 1
    wait_until(lambda: log.exists() and log.read_text().count("\n"), 10, "the line")
    line = json.loads(log.read_text().splitlines()[0])
    assert [a["executed"] for a in line["attempts"]] == ["no", "no"] and line["not_retried"] == "no attempt is left"
    assert line["retry_budget"] == 3, "tries of which nothing was sent are free"


def test_the_budget_is_seen_going_and_coming(start, lab, origin, h2):
    log = lab.path("access.log")
    bad = [origin(H1Origin, lambda s, r: h1_status(s, 409)) for _ in range(2)]
    proxy = start({f"r{i}": {"url": o.url, "host": NAME} for i, o in enumerate(bad)}, workers=1,
                  access_log={"path": str(log)},
                  service={"health": CALM, "retry": {"budget": 0, "statuses": [409]}})
    client = h2(proxy)
    assert proxy.metric("isochrone_retry_budget_tokens", service="orders") == 3
    for _ in range(6):
        assert client.get("/").status == 409
    assert proxy.metric("isochrone_retry_budget_tokens", service="orders") < 3
    refused = proxy.metric("isochrone_not_retried_total", reason="budget")
    assert refused > 0 and refused == proxy.metric("isochrone_retries_refused_total")
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 6, 10, "six lines")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line["not_retried"] == "the retry budget is used up" and line["retry_budget"] < 1 for line in lines)
    wait_until(lambda: proxy.metric("isochrone_retry_budget_tokens", service="orders") == 3, 10, "the budget to fill")


# ---- per_try_timeout ----

def test_per_try_timeout_ends_nothing_that_nothing_may_follow(start, origin, h2):
    """The budget is used up all the time: the slow answer is waited for and given."""
    slow = Held(origin)
    second = origin(H2Origin, lambda c, r: c.respond(r.sid, 409 if r.path == "/drain" else 200))
    proxy = over(start, slow.url, second.url, retry={"budget": 0, "statuses": [409], "per_try_timeout": "300ms"})
    client, drain = h2(proxy), h2(proxy)
    for _ in range(10):
        assert drain.get("/drain").status == 409
    sid, began = client.start("PUT", "/", body=b"{}"), time.monotonic()
    while time.monotonic() < began + 0.45:
        assert drain.get("/drain").status == 409
    slow.go.set()
    assert client.wait(sid).status == 200  # by the first; by the second if a token came just then


def test_per_try_timeout_asks_again_when_the_budget_has_filled(start, origin, emulator, h2):
    slow, second = Held(origin), emulator("second")
    proxy = over(start, slow.url, second.url, retry={"budget": 0, "statuses": [409], "per_try_timeout": "100ms"})
    client = h2(proxy)
    second.set(mode="status", status=409)
    for _ in range(10):
        client.get("/drain")
    second.set(mode="ok")
    answer = client.request("PUT", "/", body=b"{}")
    slow.go.set()
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")


def test_per_try_timeout_leaves_a_post_to_the_deadline(start, origin, emulator, h2):
    slow, second = Held(origin), emulator("second")
    client = h2(over(start, slow.url, second.url, retry={"per_try_timeout": "50ms"}, timeout="600ms"))
    began = time.monotonic()
    assert client.post("/").status == 504 and time.monotonic() - began >= 0.55
    slow.go.set()
    assert second.executed() == 0


# ---- Two at once ----

BAD = [(500, []), (503, []), (403, [("x-amzn-errortype", "ForbiddenException")]), (429, [])]


@pytest.mark.parametrize("status, headers", BAD)
def test_a_bad_head_does_not_win_a_hedge(start, origin, h2, status, headers):
    slow, second = Held(origin), origin(H2Origin, answering(status, headers))
    proxy = over(start, slow.url, second.url, hedge={"after": "30ms", "share": 1}, retry={"budget": 2})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: len(second.served) == 1, 10, "the hedge")
    wait_until(lambda: proxy.metric("isochrone_attempts_total", region="second") >= 1, 10, "its end")
    slow.go.set()
    answer = client.wait(sid)
    assert (answer.status, answer.body) == (200, b"first")


LARGE = b"x" * 50000


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("kind", ["h1", "h2"])
def test_a_bad_answer_too_large_to_keep_is_let_go(start, origin, h2, kind, known):
    slow = Held(origin)

    def script_h1(sock, request):
        if known:
            sock.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 50000\r\n\r\n" + LARGE)
        else:
            sock.sendall(b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n" + LARGE + b"\r\n0\r\n\r\n")

    def script_h2(connection, request):
        connection.respond(request.sid, 500, [("content-length", "50000")] if known else [], LARGE)
    second = origin(H1Origin, script_h1) if kind == "h1" else origin(H2Origin, script_h2)
    proxy = over(start, slow.url, second.url, hedge={"after": "30ms", "share": 1}, retry={"budget": 2, "attempts": 2})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: proxy.metric("isochrone_attempts_total", region="second", outcome="cancelled") >= 1, 10,
               "it to be let go")
    slow.go.set()
    answer = client.wait(sid)
    assert (answer.status, answer.body) == (200, b"first")
    assert client.get("/drain").status == 409, "the proxy goes on"


def test_a_listed_status_of_the_application_is_a_bad_head_too(start, origin, h2):
    slow, second = Held(origin), origin(H2Origin, answering(409))
    proxy = over(start, slow.url, second.url, hedge={"after": "30ms", "share": 1},
                 retry={"budget": 2, "attempts": 2, "statuses": [409]})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: proxy.metric("isochrone_attempts_total", region="second") >= 1, 10, "the hedge's end")
    slow.go.set()
    answer = client.wait(sid)
    assert (answer.status, answer.body) == (200, b"first")


def test_a_bad_head_is_given_when_the_other_brings_none(start, origin, h2):
    ended = threading.Event()

    def hang_up(connection, request):
        assert ended.wait(60)
        connection.reset(request.sid, 2)
    first, second = origin(H2Origin, hang_up), origin(H2Origin, answering(500))
    proxy = over(start, first.url, second.url, hedge={"after": "30ms", "share": 1},
                 retry={"budget": 2, "attempts": 2})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: proxy.metric("isochrone_attempts_total", region="second") >= 1, 10, "the hedge's end")
    ended.set()
    answer = client.wait(sid)
    assert (answer.status, answer.body) == (500, b"bad")


def test_the_apis_own_answer_wins(start, origin, h2):
    slow, second = Held(origin), origin(H2Origin, answering(404))
    client = h2(over(start, slow.url, second.url, hedge={"after": "30ms", "share": 1}, retry={"budget": 2}))
    assert client.get("/").status == 404
    slow.go.set()


@pytest.mark.parametrize("status", [500, 503])
def test_silent_and_bad_a_third_region_is_asked(start, origin, emulator, h2, status):
    silent, second, third = Held(origin), origin(H2Origin, answering(status)), emulator("third")
    proxy = start({"first": {"url": silent.url, "host": NAME}, "second": {"url": second.url, "host": NAME},
                   "third": third.url}, workers=1,
                  service={"balance": {"policy": "failover"}, "health": CALM, "timeout": "8s", "retry": {"budget": 2}})
    began = time.monotonic()
    answer = h2(proxy).get("/")
    silent.go.set()
    assert (answer.status, answer.get("x-emulated-region")) == (200, "third")
    assert time.monotonic() - began < 5
