"""What may be tried again is, in another region; a POST that may have run is not, in any of these schedules."""
import json
import threading

import pytest

from conftest import H1Origin, H2Origin
from lab import HOST, NAME, free_port, wait_until
from origin import reset_tcp

CALM = {"interval": "60s", "timeout": "1s"}  # probes must not decide what these tests look at


def over(start, first, second, protocol="auto", **service):
    """A proxy that asks the first region, then the second."""
    return start({"first": {"url": first, "host": NAME, "protocol": protocol}, "second": second}, workers=1,
                 service={"balance": {"policy": "failover"}, "health": CALM, **service})


def h1_status(sock, code, more=""):
    sock.sendall(f"HTTP/1.1 {code} X\r\nContent-Length: 4\r\n{more}\r\nbody".encode())


# How a region fails a request: (name, kind, script, has it run?)
def h1_close_before_the_answer(sock, request):
    return False


def h1_reset_before_the_answer(sock, request):
    reset_tcp(sock)
    return False


def h1_half_a_head(sock, request):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    return False


def h2_reset(code):
    return lambda connection, request: connection.reset(request.sid, code)


def h2_goaway_above(connection, request):
    connection.goaway(request.sid)  # this stream may have been processed
    connection.abort()


MAYBE = [("h1 close", H1Origin, h1_close_before_the_answer), ("h1 reset", H1Origin, h1_reset_before_the_answer),
         ("h1 half a head", H1Origin, h1_half_a_head), ("h2 internal error", H2Origin, h2_reset(2)),
         ("h2 cancel", H2Origin, h2_reset(8)), ("h2 abort", H2Origin, lambda c, r: c.abort()),
         ("h2 goaway at the stream", H2Origin, h2_goaway_above)]
IDS = [name for name, _, _ in MAYBE]


@pytest.mark.parametrize("kind, script", [m[1:] for m in MAYBE], ids=IDS)
def test_get_that_may_have_run_is_tried_elsewhere(start, origin, emulator, h2, kind, script):
    first, second = origin(kind, script), emulator("second")
    answer = h2(over(start, first.url, second.url)).get("/", [("x-request-id", "g")])
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")
    assert len(first.served) == 1 and second.executions() == {"g": 1}


@pytest.mark.parametrize("kind, script", [m[1:] for m in MAYBE], ids=IDS)
def test_post_that_may_have_run_is_not_tried_again(start, origin, emulator, h2, kind, script):
    first, second = origin(kind, script), emulator("second")
    answer = h2(over(start, first.url, second.url)).post("/", headers=[("x-request-id", "p")])
    assert answer.status == 502 and answer.reset is None
    assert len(first.served) == 1, "sent to the same region twice"
    assert second.executed() == 0, "sent to another region"


@pytest.mark.parametrize("kind, script", [m[1:] for m in MAYBE], ids=IDS)
def test_put_that_may_have_run_is_tried_elsewhere(start, origin, emulator, h2, kind, script):
    first, second = origin(kind, script), emulator("second")
    assert h2(over(start, first.url, second.url)).request("PUT", "/", body=b"{}").status == 200
    assert second.executed() == 1


def test_post_with_a_half_sent_body(start, origin, emulator, h2):
    """The region resets at the head, while the body still comes: some of it was sent, so it may have run."""
    first = origin(H2Origin, None, early=lambda c, r: c.reset(r.sid, 2))
    second = emulator("second")
    client = h2(over(start, first.url, second.url))
    sid = client.start("POST", "/", body=b"half", end=False)
    answer = client.wait(sid)
    assert answer.status == 502 or answer.reset is not None
    assert answer.reset != 7, "REFUSED_STREAM would make a client send it again"
    assert second.executed() == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_stream_goes_elsewhere_whatever_the_method(start, origin, emulator, h2, method):
    first, second = origin(H2Origin, h2_reset(7)), emulator("second")
    answer = h2(over(start, first.url, second.url)).request(method, "/", body=b"{}" if method == "POST" else b"")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")
    assert second.executed() == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_listener_goes_elsewhere_whatever_the_method(start, emulator, h2, method):
    second = emulator("second")
    answer = h2(over(start, f"https://{HOST}:{free_port()}", second.url)).request(method, "/", body=b"")
    assert (answer.status, second.executed()) == (200, 1)


def test_a_100_of_the_second_try(start, origin, h1):
    """RFC 9110 10.1.1: the first try ends without one, and the client does not send its body before it comes."""
    second = origin(H1Origin, lambda s, r: h1_status(s, 200))
    client = h1(over(start, f"https://{HOST}:{free_port()}", second.url))
    client.send(b"POST / HTTP/1.1\r\nHost: api.example.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert client.head().status == 100
    client.send(b"hello")
    answer = client.answer("POST")
    assert (answer.status, answer.informational, second.served[0].body) == (200, [], b"hello")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_third_try_goes_to_a_region_that_is_out(start, origin, emulator, h2, method):
    """The only one that is up is gone, the other one was ejected a moment ago, and would answer."""
    well = threading.Event()
    first, second = origin(H1Origin, lambda sock, _: h1_status(sock, 200 if well.is_set() else 503)), emulator("second")
    proxy = over(start, first.url, second.url)
    client = h2(proxy)
    wait_until(lambda: client.get("/").status == 200 and proxy.region("first")["state"] == "ejected", 10, "its ejection")
    well.set()
    second.kill()
    answers = [client.request(method, "/", body=b"{}" if method == "POST" else b"") for _ in range(3)]
    assert proxy.region("first")["state"] == "ejected" and proxy.region("second")["state"] != "ejected", "the last one stays"
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"body")] * 3


def test_stalled_handshake_goes_elsewhere_within_the_connect_timeout(start, origin, emulator, h2):
    """The region accepts and never shakes hands."""
    class Silent(H1Origin):
        def serve(self, sock, number):
            while sock.recv(4096):
                pass
    first, second = origin(Silent, None, tls=False), emulator("second")
    proxy = over(start, first.url.replace("http:", "https:"), second.url, connect_timeout="300ms")
    assert h2(proxy).post("/").status == 200
    assert second.executed() == 1


@pytest.mark.parametrize("status, method, again", [
    (502, "GET", True), (503, "GET", True), (504, "GET", True), (503, "PUT", True), (503, "DELETE", True),
    (503, "POST", False), (500, "GET", False), (404, "GET", False), (501, "GET", False), (503, "PATCH", False),
])
def test_statuses(start, origin, emulator, h2, status, method, again):
    first, second = origin(H1Origin, lambda s, r: h1_status(s, status)), emulator("second")
    answer = h2(over(start, first.url, second.url)).request(method, "/", body=b"{}" if method[0] == "P" else b"")
    if again:
        assert (answer.status, second.executed()) == (200, 1)
    else:
        assert (answer.status, answer.body, second.executed()) == (status, b"body", 0)


def test_last_answer_comes_through_when_tries_run_out(start, origin, h2):
    first = origin(H1Origin, lambda s, r: h1_status(s, 503, "X-Which: first\r\n"))
    second = origin(H1Origin, lambda s, r: h1_status(s, 503, "X-Which: second\r\nRetry-After: 0\r\n"))
    answer = h2(over(start, first.url, second.url)).get("/")
    assert (answer.status, answer.body) == (503, b"body")
    assert answer.get("x-which") in ("first", "second")
    assert 2 <= len(first.served) + len(second.served) <= 3


def test_attempts_bound_the_tries(start, origin, h2):
    seen = [origin(H1Origin, lambda s, r: h1_status(s, 503)) for _ in range(5)]
    proxy = start({f"r{i}": {"url": o.url, "host": NAME} for i, o in enumerate(seen)},
                  service={"health": CALM, "retry": {"attempts": 2}})
    assert h2(proxy).get("/").status == 503
    assert sum(len(o.served) for o in seen) == 2


def test_route_may_say_that_post_is_idempotent(start, origin, emulator, h2):
    first, second = origin(H2Origin, h2_reset(2)), emulator("second")
    proxy = start({"first": first.url, "second": second.url}, workers=1,
                  service={"balance": {"policy": "failover"}, "health": CALM},
                  routes=[{"match": {"path": "/safe/*"}, "service": "orders", "idempotent": True},
                          {"match": {"path": "/*"}, "service": "orders"}])
    client = h2(proxy)
    assert client.post("/safe/1").status == 200
    assert second.executed() == 1


def test_body_is_replayed_whole(start, origin, emulator, h2):
    first, second = origin(H2Origin, h2_reset(7)), origin(H2Origin, lambda c, r: c.respond(r.sid, body=r.body))
    body = bytes(range(256)) * 200  # 50 KiB: below the limit of 64 KiB
    answer = h2(over(start, first.url, second.url)).request("PUT", "/", body=body)
    assert answer.status == 200 and answer.body == body


def test_body_over_the_limit_is_not_replayed(start, origin, emulator, h2):
    first, second = origin(H2Origin, h2_reset(2)), emulator("second")
    proxy = over(start, first.url, second.url, retry={"body_limit": "16KiB"})
    answer = h2(proxy).request("PUT", "/", body=b"x" * 200000)
    assert answer.status == 502 or answer.reset not in (None, 7)
    assert second.executed() == 0


def test_per_try_timeout(start, emulator, h2):
    first, second = emulator("first", 5000), emulator("second")
    proxy = over(start, first.url, second.url, retry={"per_try_timeout": "200ms"})
    answer = h2(proxy).request("PUT", "/", body=b"{}")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")


def test_deadline_is_504(start, emulator, h2):
    proxy = start({"one": emulator("one", 60000).url}, service={"timeout": "500ms", "health": CALM})
    answer = h2(proxy).post("/")
    assert (answer.status, answer.get("content-type")) == (504, "application/problem+json")


def test_no_retry_after_the_first_byte(start, origin, emulator, h2):
    def cut(connection, request):
        connection.h2.send_headers(request.sid, [(":status", "200")])
        connection.h2.send_data(request.sid, b"begun")
        connection.reset(request.sid, 2)
    first, second = origin(H2Origin, cut), emulator("second")
    answer = h2(over(start, first.url, second.url)).get("/")
    assert answer.status in (0, 200) and answer.reset not in (None, 0, 7) and second.executed() == 0


# ---- Under load, by the regions' own count ----

SCHEDULES = ["killed", "reset", "refuse", "hang"]


@pytest.mark.parametrize("fault", SCHEDULES)
def test_no_post_runs_twice_under_load(start, emulator, h2, fault):
    """Four hundred POSTs on four connections while one of two regions fails in the middle and comes back."""
    regions = {n: emulator(n, 20) for n in ("one", "two")}
    proxy = start({n: r.url for n, r in regions.items()}, workers=1,
                  service={"health": {"interval": "500ms", "timeout": "400ms"}, "timeout": "3s"})
    proxy.wait_states({n: "healthy" for n in regions})
    counts, statuses, clients = {}, {}, [h2(proxy) for _ in range(4)]
    half = threading.Barrier(5)

    def send(number, client):
        for i in range(10):
            if i == 5:
                half.wait(60)
            streams = {f"{fault}-{number}-{i}-{k}": None for k in range(10)}
            for name in streams:
                streams[name] = client.start("POST", "/", [("x-request-id", name)], b"{}")
            for name, sid in streams.items():
                answer = client.wait(sid, 60)
                statuses[name] = (answer.status, answer.reset)

    threads = [threading.Thread(target=send, args=pair, daemon=True) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    half.wait(60)
    if fault == "killed":
        regions["one"].kill()
    else:
        regions["one"].set(mode=fault)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if fault != "killed":
        regions["one"].set(mode="ok")
    for region in regions.values():
        for name, n in region.executions().items():
            counts[name] = counts.get(name, 0) + n
    assert len(statuses) == 400
    twice = {name: n for name, n in counts.items() if n > 1}
    assert not twice, twice
    refused = [name for name, (_, reset) in statuses.items() if reset == 7 and counts.get(name)]
    assert not refused, "REFUSED_STREAM for a POST that ran: a client would send it again"
    lost = [name for name, (status, _) in statuses.items() if status == 200 and not counts.get(name)]
    assert not lost
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the last exchange's end")


def test_outage_of_all_regions_is_not_amplified(start, origin, h2):
    """Every region answers 503: attempts stay within 1.2 of the requests plus the bucket and its trickle."""
    seen = [origin(H2Origin, lambda c, r: c.respond(r.sid, 503, body=b"down")) for _ in range(2)]
    proxy = start({f"r{i}": {"url": o.url, "host": NAME, "protocol": "h2"} for i, o in enumerate(seen)}, workers=1,
                  service={"health": CALM})
    client = h2(proxy)
    for _ in range(10):
        streams = [client.start("GET", "/") for _ in range(50)]
        assert {client.wait(s).status for s in streams} == {503}
    attempts = sum(len(o.served) for o in seen)
    # One second of income is the cap: 0.2 x 500 tokens at most if all came within it, and 3 a second of trickle.
    assert 500 <= attempts <= 500 * 1.2 + 100 + 3 * 30, attempts


def test_bodies_that_nobody_took_leave_the_connection_its_window(start, h2):
    """RFC 9113 section 5.2: what a stream that has ended left unread is still counted against its connection."""
    proxy = start({"gone": f"https://{HOST}:{free_port()}"}, workers=1, service={"health": CALM, "retry": {"attempts": 1}})
    client = h2(proxy)
    for _ in range(60):  # of 50 kB each, where the window is a megabyte
        assert client.conn.outbound_flow_control_window >= 50000
        answer = client.post("/", b"x" * 50000)
        assert answer.status == 502 and answer.reset is None, answer.reset


def test_problem_document_of_502(start, h2):
    proxy = start({"one": {"url": f"https://{HOST}:{free_port()}", "host": NAME}})
    answer = h2(proxy).post("/")
    problem = json.loads(answer.body)
    assert problem["status"] == 502 and problem["title"]
    assert answer.get("proxy-status", "").startswith("isochrone")
