"""The plan of attempts: the marker, 421, 425, pauses and Retry-After, large bodies, the shared budget, hedges."""
import pathlib
import subprocess
import threading
import time
from email.utils import formatdate

import pytest

from conftest import H1Origin, H2Origin
from lab import NAME, find_binary, wait_until
from test_08_retry import CALM, h1_status, over

SECRET = "f3dd1cba-gw:"
MARKER = {"header": "X-Gw-Type", "secret": SECRET}


def answers(code, more=""):
    return lambda sock, request: h1_status(sock, code, more)


def marked(code, kind, secret=SECRET):
    return answers(code, f"X-Gw-Type: {secret}{kind}\r\n")


# ---- What the marker makes certain ----

@pytest.mark.parametrize("code, kind, again", [
    (429, "THROTTLED", True), (500, "AUTHORIZER_FAILURE", True), (418, "THROTTLED", True),
    (429, "QUOTA_EXCEEDED", False), (504, "INTEGRATION_TIMEOUT", False), (500, "DEFAULT_5XX", False),
    (403, "ACCESS_DENIED", False)])
def test_marker_decides_for_a_post(start, origin, emulator, h2, code, kind, again):
    first, second = origin(H1Origin, marked(code, kind)), emulator("second")
    answer = h2(over(start, first.url, second.url, marker=MARKER)).post("/")
    assert (answer.status, second.executed()) == ((200, 1) if again else (code, 0))
    assert answer.get("x-gw-type") is None, "it holds the secret"


@pytest.mark.parametrize("secret", ["", "f3dd1cba-gw", "guess"])
def test_a_forged_marker_decides_nothing(start, origin, emulator, h2, secret):
    first, second = origin(H1Origin, marked(429, "THROTTLED", secret)), emulator("second")
    answer = h2(over(start, first.url, second.url, marker=MARKER)).post("/")
    assert (answer.status, second.executed(), answer.get("x-gw-type")) == (429, 0, None)


def test_without_the_setting_the_field_is_like_any_other(start, origin, emulator, h2):
    first, second = origin(H1Origin, marked(429, "THROTTLED")), emulator("second")
    answer = h2(over(start, first.url, second.url)).post("/")
    assert (answer.status, second.executed(), answer.get("x-gw-type")) == (429, 0, SECRET + "THROTTLED")


# ---- 421 and 425 ----

@pytest.mark.parametrize("kind", [H1Origin, H2Origin])
def test_misdirected_goes_on_by_another_connection(start, origin, h2, kind):
    """One region: the same one again, at once, but never on the connection that will not do."""
    seen = []

    def script_h1(sock, request):
        seen.append(sock.getpeername())
        h1_status(sock, 421 if len(seen) == 1 else 200)

    def script_h2(connection, request):
        seen.append(connection.sock.getpeername())
        connection.respond(request.sid, status=421 if len(seen) == 1 else 200)
    one = origin(kind, script_h1 if kind is H1Origin else script_h2)
    client = h2(start({"one": {"url": one.url, "host": NAME}}, workers=1, service={"health": CALM}))
    assert client.post("/").status == 200
    assert len(seen) == 2 and seen[0] != seen[1]


def test_too_early_is_tried_again_but_for_who_was_early(start, origin, emulator, h2):
    first, second = origin(H1Origin, answers(425)), emulator("second")
    client = h2(over(start, first.url, second.url))
    assert client.post("/").status == 200 and second.executed() == 1
    assert client.post("/", headers=[("early-data", "1")]).status == 425 and second.executed() == 1


@pytest.mark.parametrize("code", [421, 425])
@pytest.mark.parametrize("name", ["x-amzn-RequestId", "x-amz-apigw-id", "apigw-requestid"])
def test_what_a_function_says_proves_nothing(start, origin, emulator, h2, code, name):
    """API Gateway has put its id on the answer, so the function has run, or may have."""
    first, second = origin(H1Origin, answers(code, f"{name}: 1-2-3\r\n")), emulator("second")
    client = h2(over(start, first.url, second.url, retry={"budget": 2}))
    assert client.post("/").status == code and second.executed() == 0
    assert client.request("PUT", "/", body=b"{}").status == 200 and second.executed() == 1


# ---- The same region again ----

def test_listed_statuses_of_the_application(start, origin, emulator, h2):
    first, second = origin(H1Origin, answers(409)), emulator("second")
    client = h2(over(start, first.url, second.url, retry={"statuses": [409]}))
    assert client.get("/").status == 200
    assert client.post("/").status == 409 and second.executed() == 1


def one_region(start, origin, script, **service):
    one = origin(H1Origin, script)
    return one, start({"one": {"url": one.url, "host": NAME}}, workers=1,
                      service={"health": CALM, "retry": {"budget": 2}, **service})


def test_retry_after_is_waited_for(start, origin, h2):
    times = []

    def script(sock, request):
        times.append(time.monotonic())
        h1_status(sock, 503 if len(times) == 1 else 200, "Retry-After: 1\r\n")
    one, proxy = one_region(start, origin, script)
    assert h2(proxy).get("/").status == 200
    assert len(times) == 2 and times[1] - times[0] >= 1


def test_retry_after_may_be_a_date(start, origin, h2):
    times = []

    def script(sock, request):
        times.append(time.time())
        h1_status(sock, 503 if len(times) == 1 else 200, f"Retry-After: {formatdate(time.time() + 2, usegmt=True)}\r\n")
    one, proxy = one_region(start, origin, script)
    assert h2(proxy).get("/").status == 200
    assert len(times) == 2 and times[1] >= int(times[0] + 2)


@pytest.mark.parametrize("policy, first, seconds", [("failover", 503, 5), ("failover", 503, 60), ("failover", 429, 5),
                                                    ("latency", 503, 5), ("latency", 503, 60)])
def test_retry_after_holds_for_its_region_alone(start, origin, h2, policy, first, seconds):
    """RFC 9110 10.2.3: one region asks for time, the other has failed by chance. The third try is that one's, at once."""
    asked = []

    def script(name):
        def answer(sock, request):
            asked.append(name)
            if name == "slow":
                h1_status(sock, first, f"Retry-After: {seconds}\r\n")
            else:
                h1_status(sock, 503 if asked.count(name) % 2 else 200)
        return answer
    regions = {n: {"url": origin(H1Origin, script(n)).url, "host": NAME} for n in ("slow", "well")}
    for _ in range(2 if policy == "failover" else 8):
        # A proxy that knows nothing yet: what the first tries of others have met must not decide where this one's go.
        proxy = start(regions, workers=1, service={"balance": {"policy": policy}, "health": CALM, "retry": {"budget": 2}})
        del asked[:]
        began = time.monotonic()
        assert h2(proxy).get("/").status == 200, asked
        assert time.monotonic() - began < 3 and asked.count("slow") == 1, asked
        proxy.stop()


def test_the_region_that_asks_for_less_is_waited_for(start, origin, h2):
    times = {"first": [], "second": []}

    def script(name, seconds):
        def answer(sock, request):
            times[name].append(time.monotonic())
            h1_status(sock, 503 if len(times[name]) == 1 else 200, f"Retry-After: {seconds}\r\n")
        return answer
    first, second = origin(H1Origin, script("first", 20)), origin(H1Origin, script("second", 1))
    proxy = start({"first": {"url": first.url, "host": NAME}, "second": {"url": second.url, "host": NAME}}, workers=1,
                  service={"balance": {"policy": "failover"}, "health": CALM, "retry": {"budget": 2}})
    assert h2(proxy).get("/").status == 200
    assert len(times["first"]) == 1 and len(times["second"]) == 2
    assert 1 <= times["second"][1] - times["second"][0] < 10


def test_retry_after_of_a_throttle_keeps_the_excess_away(start, origin, emulator, h2):
    """Across requests: a region refuses once, for 30 s. What it has taken goes on, and its limit is not tried out."""
    def script(connection, request):
        refused = request.get("x-over") is not None
        connection.respond(request.sid, 429 if refused else 200, [("retry-after", "30")] if refused else [])
    first, second = origin(H2Origin, script), emulator("second")
    proxy = over(start, first.url, second.url, retry={"budget": 2})
    client = h2(proxy)
    for _ in range(300):
        assert client.get("/").status == 200
    assert client.get("/", [("x-over", "1")]).status == 200  # by the other region
    limit = wait_until(lambda: proxy.region("first")["limit"], 20, "a limit")
    until, before = time.monotonic() + 4, len(first.served)
    while time.monotonic() < until:
        assert client.get("/").status == 200
    assert proxy.region("first")["limit"] == limit
    assert len(first.served) - before > limit, "it is in use all the time"


def test_retry_after_of_one_clients_quota_keeps_nobody_away(start, origin, h2):
    """Across requests: a 429 with an API key asks that client alone for time."""
    def script(connection, request):
        over_quota = request.get("x-api-key") == "k1"
        connection.respond(request.sid, 429 if over_quota else 200, [("retry-after", "60")] if over_quota else [])
    first, second = origin(H2Origin, script), origin(H2Origin, script)
    client = h2(over(start, first.url, second.url, retry={"budget": 2}))
    for _ in range(20):
        refused = client.get("/", [("x-api-key", "k1")])
        assert (refused.status, refused.get("retry-after")) == (429, "60")
        assert client.get("/", [("x-api-key", "k2")]).status == 200
    assert len(first.served) == 40 and not second.served


@pytest.mark.parametrize("value", ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-1"])
def test_retry_after_that_asks_for_nothing(start, origin, h2, value):
    seen = []

    def script(sock, request):
        seen.append(1)
        h1_status(sock, 503 if len(seen) == 1 else 200, f"Retry-After: {value}\r\n")
    one, proxy = one_region(start, origin, script)
    began = time.monotonic()
    assert h2(proxy).get("/").status == 200 and time.monotonic() - began < 2


def test_retry_after_beyond_the_deadline_is_the_clients(start, origin, h2, lab):
    log = lab.path("access.log")
    one = origin(H1Origin, answers(503, "Retry-After: 20\r\n"))
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1, access_log={"path": str(log)},
                  service={"health": CALM, "timeout": "5s"})
    began = time.monotonic()
    answer = h2(proxy).get("/")
    assert (answer.status, answer.get("retry-after"), len(one.served)) == (503, "20", 1)
    assert time.monotonic() - began < 3
    wait_until(lambda: log.exists() and "beyond the deadline" in log.read_text(), 10, "the reason in the log")


def test_pauses_differ_and_stay_below_their_bounds(start, origin, h2):
    """Full jitter: up to 50 ms, then up to 100 ms; 25 and 50 ms in the mean."""
    times = []

    def script(sock, request):
        times.append(time.monotonic())
        h1_status(sock, 503)
    one, proxy = one_region(start, origin, script)
    client = h2(proxy)
    for _ in range(24):
        assert client.get("/").status == 503
    assert len(times) == 72
    firsts = [times[i + 1] - times[i] for i in range(0, 72, 3)]
    seconds = [times[i + 2] - times[i + 1] for i in range(0, 72, 3)]
    assert max(firsts) < 0.25 and max(seconds) < 0.3
    assert max(firsts + seconds) - min(firsts + seconds) > 0.01, "no jitter"
    # Of 24 draws: five standard deviations (of 14 and 29 ms) of the mean below it.
    assert sum(firsts) / 24 > 0.010 and sum(seconds) / 24 > 0.020, (firsts, seconds)


def test_a_try_given_up_is_paused_after_too(start, origin, h2):
    """per_try_timeout ends it before the region has said anything: full jitter before the same region is asked again."""
    times = []

    def script(connection, request):
        times.append(time.monotonic())
        if len(times) % 2 == 0:
            connection.respond(request.sid)
    one = origin(H2Origin, script)
    client = h2(start({"one": {"url": one.url, "host": NAME}}, workers=1, service={
        "health": CALM, "retry": {"budget": 2, "attempts": 2, "per_try_timeout": "60ms"}}))
    for _ in range(24):
        assert client.get("/").status == 200
    pauses = [times[i + 1] - times[i] - 0.06 for i in range(0, 48, 2)]
    assert len(times) == 48 and sum(pauses) / 24 > 0.010, pauses


def test_a_throttled_region_is_not_asked_again(start, origin, h2):
    one, proxy = one_region(start, origin, answers(429))
    assert h2(proxy).get("/").status == 429
    assert len(one.served) == 1


def test_a_throttled_request_tries_what_is_out(start, origin, h2):
    """One region is ejected, the only other one is at its limit: better asked whether it is well again than refused."""
    codes = {"first": 200, "second": 503}
    made = {n: origin(H1Origin, lambda sock, request, n=n: h1_status(sock, codes[n])) for n in codes}
    proxy = start({n: {"url": o.url, "host": NAME} for n, o in made.items()}, workers=1,
                  service={"health": CALM, "retry": {"budget": 2}, "balance": {"policy": "weighted"}})
    client = h2(proxy)
    wait_until(lambda: client.get("/").status and proxy.region("second")["state"] == "ejected", 20, "the ejection")
    codes.update(first=429, second=200)
    assert client.get("/").status == 200


def test_attempts_of_the_route(start, origin, h2):
    first, second = (origin(H1Origin, answers(503)) for _ in range(2))
    proxy = start({"first": {"url": first.url, "host": NAME}, "second": {"url": second.url, "host": NAME}}, workers=1,
                  service={"health": CALM, "retry": {"budget": 2}},
                  routes=[{"match": {"path": "/once"}, "service": "orders", "retry": {"attempts": 1}},
                          {"match": {"path": "/*"}, "service": "orders"}])
    client = h2(proxy)
    assert client.get("/once").status == 503 and len(first.served) + len(second.served) == 1
    assert client.get("/").status == 503 and len(first.served) + len(second.served) == 4


# ---- Bodies ----

def test_large_bodies_may_be_refused(start, origin, emulator, h2):
    one = emulator("one")
    client = h2(start({"one": one.url}, service={"health": CALM,
                                                 "retry": {"body_limit": "16KiB", "large_body": "refuse"}}))
    assert client.request("PUT", "/", body=b"x" * 16384).status == 200
    assert client.request("PUT", "/", [("content-length", "16385")], body=b"x" * 16385).status == 413
    assert client.request("PUT", "/", body=b"x" * 50000).status == 413, "its length was not told before"
    assert one.executed() == 1


def test_replay_memory_is_for_all_together_and_given_back(start, origin, h2):
    """40 KiB a request and 100 KiB in all: the third is not kept, and streams through."""
    held = threading.Event()

    def hold(connection, request):
        assert held.wait(60)
        connection.reset(request.sid, 7)
    one = origin(H2Origin, hold)
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1, limits={"replay_memory": "100KiB"},
                  service={"health": CALM, "retry": {"attempts": 2}})
    clients = [h2(proxy) for _ in range(3)]
    sids = [c.start("PUT", "/", body=b"x" * 40960) for c in clients]
    # What fills most of a chunk is charged as the chunk that it holds.
    wait_until(lambda: 81920 <= proxy.metric("isochrone_replay_bytes") <= 102400, 10, "two bodies in memory")
    held.set()
    for client, sid in zip(clients, sids):
        assert client.wait(sid, 30).status in (0, 502)
    wait_until(lambda: proxy.metric("isochrone_replay_bytes") == 0, 10, "the memory back")


def test_small_frames_are_charged_as_what_they_hold(start, origin, h2):
    """60 KiB in frames of 1 KiB: not sixty chunks of 16 KiB, and the account says what there is."""
    held = threading.Event()

    def hold(connection, request):
        assert held.wait(60)
        connection.respond(request.sid, body=bytes(request.body))
    proxy = start({"one": {"url": origin(H2Origin, hold).url, "host": NAME}}, workers=1, service={"health": CALM})
    client = h2(proxy)
    sid = client.start("PUT", "/", body=b"", end=False)
    for i in range(60):
        client.send(sid, bytes([i]) * 1024, end=i == 59)
    wait_until(lambda: proxy.metric("isochrone_replay_bytes") == 61440, 10, "the body in memory")
    held.set()
    assert client.wait(sid).body == b"".join(bytes([i]) * 1024 for i in range(60))
    assert proxy.metric("isochrone_replay_bytes") == 0


@pytest.mark.parametrize("service, headers", [({"retry": {"large_body": "refuse"}}, []),
                                              ({"idempotency": {"store": True}}, [("idempotency-key", "k")])])
def test_full_replay_memory_is_not_the_clients_fault(start, origin, h2, service, headers):
    """What is kept is full: a small body that had to be kept gets 503, and is welcome when there is room again."""
    held = threading.Event()

    def hold(connection, request):
        if request.path == "/held":
            assert held.wait(60)
        connection.respond(request.sid)
    one = origin(H2Origin, hold)
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1, limits={"replay_memory": "50KiB"},
                  service={"health": CALM, **service})
    first, client = h2(proxy), h2(proxy)
    sid = first.start("PUT", "/held", body=b"x" * 40960)
    wait_until(lambda: proxy.metric("isochrone_replay_bytes") >= 40960, 10, "the first body in memory")
    answer = client.post("/", b"y" * 12000, headers)
    assert (answer.status, b"memory" in answer.body) == (503, True)
    held.set()
    assert first.wait(sid).status == 200
    wait_until(lambda: proxy.metric("isochrone_replay_bytes") == 0, 10, "the memory back")
    assert client.post("/", b"y" * 12000, headers).status == 200


# ---- The budget ----

@pytest.mark.parametrize("workers", [1, 4])
def test_the_budget_is_one_for_all_workers(start, origin, h2, workers):
    """600 requests on 12 connections, all fail: a fifth of them, three a second and three more are tried again."""
    bad = [origin(H1Origin, answers(503)) for _ in range(2)]
    proxy = start({f"r{i}": {"url": o.url, "host": NAME} for i, o in enumerate(bad)}, workers=workers,
                  service={"health": CALM})
    began = time.monotonic()
    clients = [h2(proxy) for _ in range(12)]
    for _ in range(5):
        sids = [(c, c.start("GET", "/")) for c in clients for _ in range(10)]
        for client, sid in sids:
            assert client.wait(sid, 60).status == 503
    seconds = time.monotonic() - began
    tries = sum(len(o.served) for o in bad) - 600
    fair = 120 + 3 * seconds
    assert 0.9 * fair - 4 * 4 <= tries <= 1.1 * fair + 3, (tries, fair)
    assert proxy.metric("isochrone_retries_refused_total") > 0


def test_who_leaves_before_the_next_try_pays_for_none(start, origin, h2):
    """Retry-After (RFC 9110 10.2.3) is waited for: clients that leave meanwhile do not use up the others' budget."""
    one = origin(H2Origin, lambda connection, request: connection.respond(request.sid, 503, [("retry-after", "20")]))
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1,
                  service={"health": CALM, "retry": {"budget": 0, "attempts": 2}})
    client = h2(proxy)
    for i in range(1, 21):
        sids = [client.start("GET", "/") for _ in range(2)]
        wait_until(lambda: proxy.metric("isochrone_attempts_total", region="one") == 2 * i, 10, "two pauses")
        for sid in sids:
            client.conn.reset_stream(sid, 8)
        client.flush()
        wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "their ends")
    assert proxy.metric("isochrone_retries_refused_total") == 0 and len(one.served) == 40


# ---- Hedges ----

def test_a_hedge_wins_and_is_counted(start, emulator, h2):
    slow, fast = emulator("first", 2000), emulator("second", 5)
    proxy = over(start, slow.url, fast.url, hedge={"after": "100ms", "share": 1}, retry={"budget": 2})
    client = h2(proxy)
    began = time.monotonic()
    answer = client.get("/")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")
    assert 0.1 <= time.monotonic() - began < 1.5
    assert proxy.metric("isochrone_retries_total", reason="hedge") == 1
    assert proxy.metric("isochrone_extra_executions_total") == 1
    assert fast.executed() == 1


def test_a_hedges_loser_is_cancelled_at_its_region(start, origin, emulator, h2):
    """RFC 9113 7: CANCEL, the stream is no longer needed. The region hears of it, and the connection goes on."""
    slow, fast = origin(H2Origin, lambda connection, request: None), emulator("second", 5)
    client = h2(over(start, slow.url, fast.url, hedge={"after": "30ms", "share": 1}, retry={"budget": 2}))
    answer = client.get("/")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")
    wait_until(lambda: slow.resets, 10, "the loser's end")
    assert slow.resets == [(slow.served[0].sid, 8)]


def test_what_was_rescued_is_cancelled_at_its_region(start, origin, emulator, h2):
    """By RST_STREAM, or with its connection, which is silent and has nothing else to do."""
    slow, fast = origin(H2Origin, lambda connection, request: None), emulator("second", 5)
    answer = h2(over(start, slow.url, fast.url, retry={"budget": 2})).get("/")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second")
    wait_until(lambda: slow.resets or slow.served[0].connection in slow.ended, 10, "the loser's end")
    assert [code for _, code in slow.resets] in ([], [8])


def test_no_hedge_for_what_must_not_run_twice(start, emulator, h2):
    slow, fast = emulator("first", 400), emulator("second", 5)
    client = h2(over(start, slow.url, fast.url, hedge={"after": "50ms", "share": 1}, retry={"budget": 2}))
    for method in ("POST", "PUT"):
        answer = client.request(method, "/", body=b"{}")
        assert (answer.status, answer.get("x-emulated-region")) == (200, "first")
    assert fast.executed() == 0


def test_hedges_are_capped(start, emulator, h2):
    slow, fast = emulator("first", 300), emulator("second", 5)
    client = h2(over(start, slow.url, fast.url, hedge={"after": "20ms", "share": 0.05}, retry={"budget": 2}))
    sids = [client.start("GET", "/") for _ in range(80)]
    assert all(client.wait(sid, 30).status == 200 for sid in sids)
    assert 1 <= fast.executed() <= 0.05 * 80 + 2


def test_a_hedge_that_finds_no_region_costs_none(start, emulator, h2):
    """Eight requests pay for two hedges; while nobody else is up, none is made and none may be lost."""
    slow, fast = emulator("first", 300), emulator("second", 5)
    fast.set(mode="status", status=503, health="same")
    proxy = over(start, slow.url, fast.url, hedge={"after": "20ms", "share": 0.25}, retry={"budget": 2},
                 health={"interval": "500ms"})
    proxy.wait_states({"first": "healthy", "second": "unhealthy"})
    client = h2(proxy)
    sids = [client.start("GET", "/") for _ in range(8)]
    assert all(client.wait(sid, 30).status == 200 for sid in sids)
    assert fast.executed() == 0 and proxy.metric("isochrone_retries_total", reason="hedge") == 0
    fast.set(mode="ok", health="ok")
    proxy.wait_states({"second": "healthy"})
    answer = client.get("/")
    assert (answer.status, answer.get("x-emulated-region")) == (200, "second"), "a quarter of a hedge was not enough"


# ---- The page ----

def test_the_table_in_the_docs_is_the_codes(lab):
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "retries.md").read_text()
    table = subprocess.run([find_binary(), "schema", "retries"], check=True, capture_output=True, text=True,
                           timeout=30).stdout
    assert len(table) > 2000 and table in page, "make it anew: isochrone schema retries"
