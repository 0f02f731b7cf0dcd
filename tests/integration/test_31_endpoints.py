"""Connections and addresses of one region: what ails one of them is not held against the region."""
import json
import threading
import time

import pytest

import named
from conftest import H2Origin
from lab import NAME, wait_until
from product import SLOW

FAST = {"interval": "300ms", "timeout": "250ms"}


class Holding:
    """A region's script: answers at once, or keeps what comes while `hold` is set."""

    def __init__(self):
        self.hold, self.held, self.connections, self.lock = False, [], {}, threading.Lock()

    def __call__(self, connection, request):
        self.connections[connection.number] = connection
        with self.lock:
            if self.hold:
                self.held.append((connection, request))
                return
        connection.respond(request.sid, 200, [("x-emulated-region", "near")])

    def release(self):
        with self.lock:
            self.hold = False
            for connection, request in self.held:
                connection.respond(request.sid, 200, [("x-emulated-region", "near")])
            self.held = []


def ask(client, n=1):
    return [client.wait(s) for s in [client.start("GET", "/orders") for _ in range(n)]]


def warm(client, n=100):
    """Until it is known how fast the near region is, and it gets what comes."""
    def settled():
        return all(a.get("x-emulated-region") == "near" for _ in range(n // 10) for a in ask(client, 10))
    wait_until(settled, 20 * SLOW, "all requests at the near region")


@pytest.fixture
def ten(start, origin, emulator, h2):
    """Ten requests wait at the near region, on one connection: the proxy, the region, its script, the client, streams."""
    def begin(health):
        script = Holding()
        near = origin(H2Origin, script)
        proxy = start({"near": {"url": near.url, "host": NAME}, "far": {"url": emulator("far", 80).url, "host": NAME}},
                      workers=1, service={"health": health})
        proxy.wait_states({"near": "healthy", "far": "healthy"})
        client = h2(proxy)
        warm(client)
        script.hold = True
        sids = [client.start("GET", "/orders") for _ in range(10)]
        wait_until(lambda: len(script.held) >= 10, 5 * SLOW, "ten requests in flight")
        return proxy, near, script, client, sids
    return begin


def test_a_dead_connection_with_ten_streams_ejects_nobody(ten):
    proxy, near, script, client, sids = ten(FAST)
    connections = {c for c, _ in script.held}
    assert len(connections) == 1
    script.hold = False
    connections.pop().abort()
    assert [client.wait(s).status for s in sids] == [200] * 10
    seen = {proxy.region("near")["state"]}
    until = time.monotonic() + 1
    answers = []
    while time.monotonic() < until:
        answers += ask(client)
        seen.add(proxy.region("near")["state"])
    assert "ejected" not in seen and "unhealthy" not in seen, (seen, proxy.region("near"))
    assert proxy.region("near")["outcomes"]["reset"] == 10
    assert all(a.status == 200 for a in answers)
    assert sum(a.get("x-emulated-region") == "near" for a in answers) > len(answers) / 2


def test_rescues_from_one_connection_eject_nobody(ten):
    """It is silent, its requests are rescued: that is one failure, and another connection takes its place."""
    proxy, near, script, client, sids = ten({"interval": "10s"})
    silent = script.held[0][0].number
    script.hold = False
    answers = [client.wait(s) for s in sids]
    assert [a.status for a in answers] == [200] * 10
    assert any(a.get("x-emulated-region") == "far" for a in answers)
    region = proxy.region("near")
    assert region["outcomes"]["timeout"] > 3 and region["state"] != "ejected", region
    count = len(near.served)
    wait_until(lambda: ask(client) and len(near.served) > count + 20, 10 * SLOW, "the region in use")
    assert silent not in {r.connection for r in near.served[count:]}
    assert proxy.region("near")["state"] != "ejected"


def test_a_slow_request_is_pinged_once(start, origin, h2):
    """3 s on a region of a few milliseconds: one PING in 10 s, and what comes meanwhile goes on another connection."""
    script = Holding()
    near = origin(H2Origin, script)
    proxy = start({"near": {"url": near.url, "host": NAME}}, workers=1, service={"health": {"interval": "10s"}})
    proxy.wait_states({"near": "healthy"})
    client = h2(proxy)
    ask(client, 50)
    script.hold = True
    slow = client.start("POST", "/orders")
    wait_until(lambda: script.held, 5 * SLOW, "the slow request")
    busy = script.held[0][0]
    script.hold = False
    wait_until(lambda: busy.pings == 1, 5 * SLOW, "its PING")
    until = time.monotonic() + 3
    before = len(near.served)
    while time.monotonic() < until:
        assert ask(client)[0].status == 200
        assert busy.pings == 1
    others = {r.connection for r in near.served[before + 1:]}
    assert busy.number not in others, (busy.number, others)
    script.release()
    assert client.wait(slow).status == 200
    assert {c.pings for c in script.connections.values()} <= {0, 1}
    # It has answered: it is as good as any other.
    assert ask(client)[0].status == 200


# ---- one of two addresses, under load ----

RATE = 150 if SLOW > 1 else 300
BAD, GOOD = "127.0.0.2", "127.0.0.3"
FAULTS = {
    "dead": (lambda e: e.kill(), lambda e: e.restart()),
    "hangs": (lambda e: e.pause(), lambda e: e.resume()),
    "503": (lambda e: e.set(mode="status", status=503, health="same"), lambda e: e.set(mode="ok")),
    "503_but_its_health": (lambda e: e.set(mode="status", status=503), lambda e: e.set(mode="ok")),
    "slow": (lambda e: e.set(delay_ms=e.delay_ms + 200), lambda e: e.set(delay_ms=e.delay_ms)),
}


@pytest.fixture
def site(lab, start):
    def begin(**more):
        return named.Site(lab, start, named.Dnsmasq(lab), [BAD, GOOD], [BAD, GOOD], near=15, delay=150,
                          workers=2, **more)
    return begin


@pytest.mark.parametrize("fault", FAULTS)
def test_one_of_two_addresses_is_unwell_under_load(lab, site, fault):
    """No client error, the region stays in use by the other address, and the bad one is back when it is well."""
    begin, heal = FAULTS[fault]
    log = lab.path("access.log")
    made = site(access_log={"path": str(log)})
    proxy, bad = made.proxy, made.emulators[BAD]
    load = named.Steady(lab, proxy, 6 + 12 * (2 if SLOW > 1 else 1), RATE)
    load.until(2)
    assert min(e.executed() for e in made.emulators.values()) > RATE / 20, "both addresses carry the load"
    states = set()

    def look():
        states.add(proxy.region("named")["state"])

    begin(bad)
    load.until(3.5, look)
    settled, offset = len(bad.executions()), len(log.read_text())
    load.until(6, look)
    late = bad.executed() if fault != "hangs" else settled
    lines = [json.loads(x) for x in log.read_text()[offset:].splitlines() if x.endswith("}")]
    at_bad = sum(a["endpoint"].startswith(f"{BAD}:") for x in lines for a in x["attempts"])
    seen = made.endpoint(BAD)
    heal(bad)
    assert load.until(load.seconds - 1, lambda: bad.executed() > late + RATE / 5), f"it comes back: {proxy.region('named')}"
    result = load.end()
    assert [x for x in result if x["status"] != 200] == []
    assert not states & {"ejected", "unhealthy"}, states
    assert at_bad <= 0.03 * len(lines) + 2, (at_bad, len(lines), seen)
    during = [x for x in result if 3500 < x["start_ms"] < 6000]
    assert sum(x["region"] == "far" for x in during) < 0.2 * len(during), (fault, proxy.region("named"))
    assert (seen["slower"] if fault == "slow" else seen["ejected"]), seen


@pytest.mark.parametrize("fault, retry", [("503_but_its_health", {}), ("hangs", {"per_try_timeout": "150ms"})])
def test_the_next_try_goes_to_the_other_address(lab, start, h2, fault, retry):
    """A bad status and per_try_timeout: of two addresses the one that failed the request does not get it again."""
    begin, heal = FAULTS[fault]
    log = lab.path("access.log")
    made = named.Site(lab, start, named.Dnsmasq(lab), [BAD, GOOD], [BAD, GOOD], workers=1, access_log={"path": str(log)},
                      service={"health": {"interval": "60s"}, "retry": {"attempts": 2, "budget": 2, **retry}},
                      routes=[{"match": {"path": "/*"}, "service": "orders", "regions": ["named"]}])
    client = h2(made.proxy)
    wait_until(lambda: ask(client, 10) and all(e.executed() > 10 for e in made.emulators.values()), 10 * SLOW, "both in use")
    begin(made.emulators[BAD])
    made.emulators[GOOD].set(delay_ms=60)  # requests wait there: the bad one seems to be freer
    statuses = [a.status for _ in range(2) for a in ask(client, 6)]
    heal(made.emulators[BAD])
    wait_until(lambda: made.proxy.metric("isochrone_retries_total") and log.read_text().count("\n") ==
               made.proxy.metric("isochrone_requests_total"), 10 * SLOW, "the lines")
    failed = [[a["endpoint"].split(":")[0] for a in json.loads(x)["attempts"]] for x in log.read_text().splitlines()]
    assert {tuple(x) for x in failed if x[0] == BAD and len(x) > 1} == {(BAD, GOOD)}, failed
    assert statuses == [200] * 12


def test_the_parts_of_the_time_are_told_apart(start, origin, emulator, h2, lab):
    """DNS, connect, TLS and first byte of a probe; of traffic connect, TLS and the whole; the network's round trip."""
    made = named.Site(lab, start, named.Dnsmasq(lab), [GOOD], [GOOD], near=40, workers=1)
    client = h2(made.proxy)
    ask(client, 20)

    def told():
        region = made.proxy.region("named")
        return region if region["total_ms"]["p50"] and region["endpoints"][0]["estimate_ms"] else None

    region = wait_until(told, 10 * SLOW, "the times")
    assert region["connect_ms"]["p50"] > 0 and region["tls_ms"]["p50"] > 0 and region["total_ms"]["p50"] >= 40, region
    assert region["rtt_ms"] is not None and region["rtt_ms"] < 20 * SLOW < 40 * SLOW, region
    assert region["endpoints"][0]["rtt_ms"] == region["rtt_ms"] and region["endpoints"][0]["estimate_ms"] >= 40
    assert made.proxy.metric("isochrone_region_rtt_seconds", region="named") > 0
    first = region["probe"]
    assert first["ttfb_ms"] >= 0 and {"dns_ms", "connect_ms", "tls_ms"} <= set(first)
    assert first["dns_ms"] > 0
