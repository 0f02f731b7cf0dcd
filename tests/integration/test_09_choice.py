"""Which region is asked: the fastest by latency, the first by failover, by weight; never one that is down."""
import json
import threading
import time

import pytest

import faults
from conftest import H1Origin
from lab import NAME, wait_until

FAST = {"interval": "300ms", "timeout": "250ms"}


@pytest.fixture
def trio(start, emulator):
    """A proxy over three regions with a policy."""
    def begin(policy, delays=(10, 40, 120), regions=None, **service):
        made = {n: emulator(n, d) for n, d in zip(("near", "middle", "far"), delays)}
        proxy = start({n: {"url": r.url, "host": NAME, **(regions or {}).get(n, {})} for n, r in made.items()},
                      service={"health": FAST, "balance": {"policy": policy}, **service})
        proxy.wait_states({n: "healthy" for n in made})
        return proxy, made
    return begin


def spread(client, count):
    """How many of `count` requests each region answered; twenty at a time."""
    seen = {}
    for _ in range(count // 20):
        for sid in [client.start("GET", "/") for _ in range(20)]:
            answer = client.wait(sid)
            assert answer.status == 200
            name = answer.get("x-emulated-region")
            seen[name] = seen.get(name, 0) + 1
    return seen


def test_latency_prefers_the_nearest(trio, h2):
    proxy, _ = trio("latency")
    client = h2(proxy)
    wait_until(lambda: spread(client, 40).get("near", 0) >= 36, 15, "nearly all requests at the nearest")
    seen = spread(client, 400)
    assert seen["near"] >= 360, seen
    wait_until(lambda: proxy.shares()["near"] > 0.9, 5, f"its share in /status; {proxy.shares()}")


def test_latency_shares_between_equals(trio, h2):
    proxy, _ = trio("latency", (20, 20, 20))
    client = h2(proxy)
    spread(client, 400)
    seen = spread(client, 600)
    assert min(seen.get(n, 0) for n in ("near", "middle", "far")) >= 60, seen


def test_latency_follows_a_change(trio, h2):
    proxy, regions = trio("latency")
    client = h2(proxy)
    spread(client, 200)
    regions["near"].set(delay_ms=200)
    wait_until(lambda: spread(client, 40).get("middle", 0) >= 36, 15, "the traffic to move")
    regions["near"].set(delay_ms=10)
    wait_until(lambda: spread(client, 40).get("near", 0) >= 30, 30, "the traffic to come back")


def test_mean_over_regions_far_apart(lab, slow):
    """10, 40 and 120 ms: 10 are possible."""
    result = faults.run(lab, None, faults.Plan(seconds=5, gets=150, posts=15), delays=faults.APART)
    assert not result.failed("GET") and not result.failed("POST")
    assert result.mean_ms <= 13 * slow, (result.summary, result.status)


def test_a_slower_region_is_still_probed_not_starved(trio, h2):
    proxy, regions = trio("latency")
    client = h2(proxy)
    spread(client, 200)
    before = proxy.metric("isochrone_probe_total", region="far")
    wait_until(lambda: proxy.metric("isochrone_probe_total", region="far") >= before + 3, 10, "probes of the far region")
    assert proxy.region("far")["state"] == "healthy"


def test_what_nobody_measures_is_explored(start, emulator, h2):
    """Probes are capped to two and one each half minute: one safe request in two hundred measures the far region."""
    regions = {n: emulator(n, d) for n, d in (("near", 5), ("far", 150))}
    proxy = start({n: {"url": r.url, "host": NAME} for n, r in regions.items()},
                  service={"health": {"interval": "100ms", "timeout": "90ms", "path": "/health", "probes_per_hour": 120}})
    client = h2(proxy)
    began = proxy.status()["uptime_s"]
    spread(client, 400)
    wait_until(lambda: proxy.status()["uptime_s"] > began + 1, 10, "the last probe to be old")

    def count(method):
        return [client.wait(sid).get("x-emulated-region") for _ in range(100)
                for sid in [client.start(method, "/") for _ in range(20)]].count("far")
    assert 1 <= count("GET") <= 40, "ten of two thousand, give or take"
    assert count("POST") <= 2, "what is not safe explores nothing"


def test_what_must_not_run_twice_avoids_a_region_that_has_just_failed(trio, h2):
    """One 503 is not enough to eject it: GETs go on, and are tried again elsewhere; POSTs go elsewhere for a second."""
    proxy, regions = trio("latency", (20, 20, 20))
    client = h2(proxy)
    spread(client, 60)

    def places(method, n):
        return [client.wait(sid).get("x-emulated-region") for sid in [client.start(method, "/") for _ in range(n)]]
    wait_until(lambda: set(places("POST", 20)) == set(regions), 20, "POSTs everywhere")
    regions["near"].set(mode="status", status=503)
    wait_until(lambda: places("GET", 1) and proxy.metric("isochrone_retries_total", reason="status"), 10, "the failure")
    regions["near"].set(mode="ok")
    assert proxy.region("near")["state"] != "ejected"
    assert set(places("POST", 40)) == {"middle", "far"}
    wait_until(lambda: "near" in places("POST", 20), 20, "it to be trusted again")


def test_what_must_not_run_twice_goes_where_more_is_heard(start, emulator, h2, slow):
    """Of two regions that are equally good, while one has more requests since its last answer: it may have stopped."""
    regions = {n: emulator(n, 700 * slow) for n in ("one", "two")}
    proxy = start({n: r.url for n, r in regions.items()}, workers=1, service={"health": {"interval": "10s", "timeout": "9s"}})
    proxy.wait_states({n: "healthy" for n in regions})
    client = h2(proxy)
    spread(client, 40)
    posts = 0
    for _ in range(40):
        before = {n: r.state()["requests"] for n, r in regions.items()}
        gets = [client.start("GET", "/") for _ in range(20)]

        def waiting():
            now = {n: r.state()["requests"] - before[n] for n, r in regions.items()}
            return now if sum(now.values()) == 20 else None
        count = wait_until(waiting, 5, "twenty requests to arrive")
        less, more = sorted(count, key=count.get)
        sids = [client.start("POST", "/") for _ in range(max(count[more] - count[less] - 2, 0))]
        assert all(client.wait(sid).get("x-emulated-region") == less for sid in sids), (count, len(sids))
        assert all(client.wait(sid).status == 200 for sid in gets)
        posts += len(sids)
        if posts >= 12:
            return
    raise AssertionError(f"only {posts} POSTs had a choice")


def test_what_may_run_twice_avoids_a_silent_region_for_one_as_good(start, emulator, lab, h2):
    """Before it is suspect: what is sent to the region that has stopped after half of that time would be rescued."""
    log = lab.path("choices.log")
    regions = {n: emulator(n, 700) for n in ("one", "two")}
    proxy = start({n: r.url for n, r in regions.items()}, workers=1, access_log={"path": str(log), "decisions": 1},
                  service={"health": {"interval": "10s", "timeout": "9s"}})
    proxy.wait_states({n: "healthy" for n in regions})
    client = h2(proxy)
    spread(client, 40)
    regions["one"].pause()
    sids = [client.start("GET", "/") for _ in range(20)]

    def spared():
        sids.append(client.start("GET", "/"))
        choices = [json.loads(line)["decision"] for line in log.read_text().splitlines()]
        return [c for c in choices if c["wary"] and not c["suspect"]]
    choices = wait_until(spared, 10, "a choice that spares it", every=0.05)
    regions["one"].resume()
    assert all((c["wary"], c["pick"]) == (1, 1) for c in choices), choices
    assert all(client.wait(sid).status == 200 for sid in sids)


def test_failover_uses_the_first_that_is_up(trio, h2):
    proxy, regions = trio("failover", (60, 5, 5))
    client = h2(proxy)
    assert spread(client, 100) == {"near": 100}
    regions["near"].set(mode="status", status=503)
    proxy.wait_states({"near": ("unhealthy", "ejected")})
    assert spread(client, 100) == {"middle": 100}
    regions["middle"].set(mode="status", status=503)
    proxy.wait_states({"middle": ("unhealthy", "ejected")})
    assert spread(client, 100) == {"far": 100}
    regions["near"].set(mode="ok")
    wait_until(lambda: spread(client, 20).get("near", 0) == 20, 30, "the first to be used again")


def test_priority_overrides_the_order(trio, h2):
    proxy, _ = trio("failover", (5, 5, 5), {"near": {"priority": 2}, "middle": {"priority": 1}, "far": {"priority": 0}})
    assert spread(h2(proxy), 60) == {"far": 60}


def test_weighted(trio, h2):
    proxy, _ = trio("weighted", (5, 5, 5), {"near": {"weight": 70}, "middle": {"weight": 30}, "far": {"weight": 0}})
    seen = spread(h2(proxy), 2000)
    # Binomial with n = 2000, p = 0.7: a standard deviation of 20.5; five of them.
    assert abs(seen["near"] - 1400) < 103 and "far" not in seen, seen


def test_everything_down_fails_open(trio, h2):
    proxy, regions = trio("latency", (5, 5, 5))
    for region in regions.values():
        region.set(mode="status", status=503, health="same")
    proxy.wait_states({n: ("unhealthy", "ejected") for n in regions})
    client = h2(proxy)
    assert client.get("/").status == 503
    for region in regions.values():
        region.set(mode="status", status=503)
        region.set(mode="ok")
    assert client.get("/").status == 200, "it is asked although no probe has said so yet"


def test_route_limits_the_regions(start, emulator, h2):
    regions = {n: emulator(n, d) for n, d in (("near", 5), ("far", 60))}
    proxy = start({n: r.url for n, r in regions.items()}, service={"health": FAST},
                  routes=[{"match": {"path": "/resident/*"}, "service": "orders", "regions": ["far"]},
                          {"match": {"path": "/*"}, "service": "orders"}])
    proxy.wait_states({n: "healthy" for n in regions})
    client = h2(proxy)
    for _ in range(20):
        assert client.get("/resident/1").get("x-emulated-region") == "far"
    regions["far"].kill()
    assert client.get("/resident/1").status in (502, 503), "data residency holds when the region is down"
    assert client.get("/free").status == 200


def test_probes_are_capped(start, emulator):
    """120 an hour: two at once, then one every 30 s, though the interval and a region that fails ask for many."""
    regions = {n: emulator(n) for n in ("one", "two")}
    regions["two"].set(mode="status", status=500, health="same")
    proxy = start({n: r.url for n, r in regions.items()},
                  service={"health": {"interval": "100ms", "timeout": "90ms", "probes_per_hour": 120}})
    wait_until(lambda: proxy.status()["uptime_s"] > 2, 10, "two seconds")
    for name in regions:
        probe = proxy.region(name)["probe"]
        assert 1 <= probe["passes"] + probe["failures"] <= 3, probe


def test_probes_of_a_region_never_overlap(start, origin, emulator, h2):
    """It takes most of an interval to answer them, fails them (so they are asked faster) and its requests (doubt)."""
    seen = {"now": 0, "most": 0, "probes": 0}
    lock = threading.Lock()

    def script(sock, request):
        if request.path == "/deep":
            with lock:
                seen["now"] += 1
                seen["probes"] += 1
                seen["most"] = max(seen["most"], seen["now"])
            threading.Event().wait(0.2)  # its work
            with lock:
                seen["now"] -= 1
        sock.sendall(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")

    regions = {"slow": origin(H1Origin, script, tls=False).url, "sound": emulator("sound", tls=False).url}
    proxy = start(regions, service={"health": {"interval": "300ms", "timeout": "290ms", "path": "/deep"}}, workers=2)
    client = h2(proxy)
    wait_until(lambda: client.get("/").status and seen["probes"] >= 10, 20, "ten probes")
    assert seen["most"] == 1, seen


def test_the_excess_of_a_survivor_goes_on(lab, trio):
    """The near region is lost, and the next one takes half of what it had: no more, and /status says so all the time."""
    proxy, regions = trio("latency", (5, 40, 120), {"middle": {"max_in_flight": 4}})
    out = lab.path("load.jsonl")
    load = faults.start_load(lab, proxy, faults.Plan(seconds=14, gets=180, posts=20), out, "excess")
    zero = time.monotonic()
    wait_until(lambda: proxy.shares()["near"] > 0.9, 10, "the near one to have it all")
    regions["near"].kill()
    wait_until(lambda: proxy.shares()["far"] > 0.3, 5, "the excess to be told")
    seen, busy, began = [], [], time.monotonic() - zero
    while time.monotonic() < zero + began + 2:
        status = proxy.status()["services"]["orders"]["regions"]
        seen.append({n: r["share"] for n, r in status.items()})
        busy.append(status["middle"]["in_flight"])
        wait_until(lambda n=len(seen): time.monotonic() > zero + began + n * 0.05, 1)
    ended = time.monotonic() - zero
    regions["near"].restart()
    wait_until(lambda: proxy.shares()["near"] > 0.9 and proxy.shares()["far"] < 0.05, 10, "the way back")
    stdout, _ = load.communicate()
    assert load.returncode == 0, stdout
    assert max(busy) <= 5, "a probe may be under way beside them"
    assert all(s["near"] == 0 for s in seen), seen
    middles = [round(s["middle"], 2) for s in seen]
    assert 0.2 < min(middles) and max(middles) < 0.75, middles
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    due = [x["region"] for x in lines if began <= x["start_ms"] / 1000 < ended - 0.2]
    told = sum(s["middle"] for s in seen) / len(seen)
    assert abs(due.count("middle") / len(due) - told) < 0.12, (due.count("middle"), len(due), told)


def test_a_region_that_fails_every_third_answer(start, origin, emulator, h2):
    """Never five in a row: its rate ejects it, by its own past and by the other region's."""
    answers = {"n": 0, "bad": False}

    def script(sock, request):
        answers["n"] += 1
        bad = answers["bad"] and not request.is_probe and answers["n"] % 3 == 0
        sock.sendall(b"HTTP/1.1 " + (b"503 X\r\nX-Amzn-ErrorType: ServiceUnavailableException" if bad else b"200 OK")
                     + b"\r\nContent-Length: 0\r\n\r\n")

    regions = {"flaky": origin(H1Origin, script, tls=False).url, "sound": emulator("sound", tls=False).url}
    proxy = start(regions, service={"health": FAST, "balance": {"policy": "weighted"}})
    proxy.wait_states({n: "healthy" for n in regions})
    client = h2(proxy)

    def ask(count):
        for _ in range(count):
            client.wait(client.start("POST", "/"))
    ask(60)
    answers["bad"] = True
    wait_until(lambda: ask(10) or proxy.region("flaky")["state"] == "ejected", 30, "its ejection")
    assert "fails more often" in proxy.region("flaky")["why"]
    assert proxy.region("sound")["state"] == "healthy"


def test_one_request_tries_an_ejected_region(start, emulator, h2):
    """Its probes say that it is well and its answers do not: one request at a time, of three workers, finds out."""
    regions = {n: emulator(n) for n in ("bad", "sound")}
    proxy = start({n: r.url for n, r in regions.items()}, workers=3,
                  service={"health": FAST, "balance": {"policy": "weighted"}})
    proxy.wait_states({n: "healthy" for n in regions})
    clients = [h2(proxy) for _ in range(6)]

    def ask():
        return [client.get("/").status for client in clients].count(200)
    regions["bad"].set(mode="status", status=503, health="ok")
    wait_until(lambda: ask() and proxy.region("bad")["state"] == "ejected", 10, "its ejection")

    def attempts():
        return proxy.metric("isochrone_attempts_total", region="bad")
    before, began = attempts(), proxy.status()["uptime_s"]
    wait_until(lambda: ask() == 6 and attempts() > before, 10, "a trial")
    wait_until(lambda: ask() == 6 and proxy.status()["uptime_s"] > began + 4, 20, "four seconds of traffic")
    assert attempts() - before <= 4, "a trial each time, no more"
    assert proxy.region("bad")["state"] == "ejected" and "tried it" in proxy.region("bad")["why"]
    regions["bad"].set(mode="ok")
    wait_until(lambda: ask() == 6 and proxy.region("bad")["state"] in ("healthy", "degraded"), 30, "its return")
