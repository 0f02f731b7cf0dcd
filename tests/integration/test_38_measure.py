"""Routes with `measure`: each goes by its own times, in choice, patience and hedging; all others by their region's."""
import json
import subprocess
import threading

import pytest

from conftest import H1Origin
from lab import HOST, NAME, find_binary, http_json, wait_until
from product import SLOW
from test_27_live import reload

QUICK, LONG = 0.01, 0.4 * SLOW ** 0.5
FAST = {"interval": "300ms", "timeout": "250ms"}


def routes(measure):
    return [{"name": name, "match": {"path": f"/{name}"}, "service": "orders", **({"measure": True} if measure else {})}
            for name in ("reports", "lookup")]


@pytest.fixture
def regions(origin):
    """regions({region: {path: seconds of work}}): {region: url}; a work may be changed while it runs."""
    def make(works):
        def script_of(name):
            def script(sock, request):
                threading.Event().wait(works[name][request.path])  # its work
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Region: " + name.encode() + b"\r\n\r\n")
            return script
        return {name: origin(H1Origin, script_of(name), tls=False).url for name in works}
    return make


CROSSED = {"east": {"/reports": LONG, "/lookup": QUICK}, "west": {"/reports": QUICK, "/lookup": LONG}}


def ask(client, rounds):
    """Rounds of three requests by each route, all at once: {path: [region of each answer]}."""
    seen = {"/reports": [], "/lookup": []}
    for _ in range(rounds):
        for path, sid in [(path, client.start("GET", path)) for path in seen for _ in range(3)]:
            answer = client.wait(sid)
            assert answer.status == 200
            seen[path].append(answer.get("x-region"))
    return seen


def right(seen):
    """The parts of both routes that went where the route is quick."""
    return (seen["/reports"].count("west") / len(seen["/reports"]), seen["/lookup"].count("east") / len(seen["/lookup"]))


def lanes(proxy, route):
    return proxy.status()["services"]["orders"]["routes"][route]["regions"]


@pytest.fixture
def crossed(start, regions, h2):
    """A proxy before two regions of which each is quick where the other is slow."""
    def begin(measure=True, works=None, **options):
        proxy = start(regions(works or CROSSED), service={"health": FAST, **options.pop("service", {})},
                      routes=routes(measure), **options)
        proxy.wait_states({"east": "healthy", "west": "healthy"})
        return proxy, h2(proxy)
    return begin


def learn(proxy, client):
    wait_until(lambda: min(right(ask(client, 5))) >= 0.9, 60, "each route in its own region")


def test_each_route_goes_where_it_is_quick(crossed):
    proxy, client = crossed()
    learn(proxy, client)
    assert min(right(ask(client, 30))) >= 0.9
    reports = lanes(proxy, "reports")
    assert reports["west"]["share"] > 0.9 and reports["west"]["numbers"] == "route"
    assert reports["west"]["latency_ms"]["estimate"] < 1000 * LONG / 2
    assert reports["west"]["latency_ms"]["p50"] < 1000 * LONG / 2 and reports["west"]["total_ms"]["p95"] > 0
    assert lanes(proxy, "lookup")["east"]["share"] > 0.9


def test_without_it_all_go_by_their_regions(crossed):
    proxy, client = crossed(measure=False)
    ask(client, 10)
    assert sum(right(ask(client, 30))) < 1.5, "both routes have the same shares of both regions"
    assert proxy.status()["services"]["orders"]["routes"] == {}


def test_failover_shares_a_rank_by_the_routes_times(crossed):
    proxy, client = crossed(service={"balance": {"policy": "failover"}}, works=CROSSED)
    proxy.config["services"]["orders"]["regions"] = {
        name: {"url": region["url"], "host": NAME, "priority": 1}
        for name, region in proxy.config["services"]["orders"]["regions"].items()}
    proxy.rewrite()
    reload(proxy)
    learn(proxy, client)


def rescues(proxy):
    return proxy.metric("isochrone_retries_total", reason="rescue")


@pytest.mark.parametrize("measure", (True, False))
def test_a_slow_route_is_not_silent(crossed, measure):
    """It takes forty times as long as the rest of the service, everywhere and always."""
    works = {name: {"/reports": LONG, "/lookup": QUICK} for name in ("east", "west")}
    proxy, client = crossed(measure, works)

    def round_of(lookups):
        for sid in [client.start("GET", "/lookup") for _ in range(lookups)]:
            client.wait(sid)
        return client.get("/reports").status == 200
    for _ in range(10):
        assert round_of(30)
    if measure:
        wait_until(lambda: round_of(5) and all(lane["latency_ms"]["estimate"] and lane["numbers"] == "route"
                                               for lane in lanes(proxy, "reports").values()), 60, "the route's times")
    before = rescues(proxy)
    for _ in range(10):
        assert round_of(30)
    # Without it, at least as long as the region does not know that some of its answers take so long.
    assert rescues(proxy) == before if measure else rescues(proxy) > 0


def test_a_reload_keeps_what_was_learnt(crossed):
    proxy, client = crossed()
    learn(proxy, client)
    before = lanes(proxy, "reports")
    proxy.config["routes"].reverse()
    proxy.config["routes"].insert(0, {"name": "new", "match": {"path": "/new"}, "service": "orders", "measure": True})
    proxy.config["routes"][2]["name"] = "renamed"
    proxy.rewrite()
    reload(proxy)
    after = lanes(proxy, "renamed")
    for name in ("east", "west"):
        assert after[name]["numbers"] == before[name]["numbers"]
        assert after[name]["latency_ms"]["estimate"] == pytest.approx(before[name]["latency_ms"]["estimate"], rel=0.2)
    assert {lane["numbers"] for lane in lanes(proxy, "new").values()} == {"region"}
    proxy.config["routes"][2]["match"]["methods"] = ["GET"]
    proxy.rewrite()
    reload(proxy)
    assert {lane["numbers"] for lane in lanes(proxy, "renamed").values()} == {"region"}, "it takes other requests"
    assert lanes(proxy, "lookup")["east"]["numbers"] == "route"
    learn(proxy, client)


def explain(*args):
    return subprocess.run([find_binary(), *map(str, args)], capture_output=True, text=True, timeout=30, check=True).stdout


def test_what_is_told(crossed, lab):
    """/explain, the commands, the metrics, and records that can be computed again."""
    log = lab.path("access.log")
    proxy, client = crossed(access_log={"path": str(log), "decisions": 1})
    learn(proxy, client)
    admin = f"{HOST}:{proxy.admin}"
    status, _, body = http_json("GET", proxy.admin, "/explain?method=GET&url=/reports")
    west = next(c for c in body["candidates"] if c["region"] == "west")
    assert status == 200 and west["numbers"] == "route" and west["share"] > 0.9
    assert west["estimate_ms"] < 1000 * LONG / 2 and west["p95_ms"] > 0
    assert "by the route's own times" in explain("explain", "--admin", admin, "GET", "/reports")
    table = explain("status", "--admin", admin)
    assert "route reports, policy latency" in table and "route lookup, policy latency" in table
    assert proxy.metric("isochrone_route_share", region="west", route="reports") > 0.9
    assert 0 < proxy.metric("isochrone_route_estimate_seconds", region="west", route="reports") < LONG / 2
    assert "0 wrong" in explain("explain", "--recompute", log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    last = {line["route"]: line["decision"]["candidates"] for line in lines if "decision" in line}
    assert [c["weight"] for c in last["reports"]] != [c["weight"] for c in last["lookup"]], "of the route's own weights"


def test_a_route_that_recovers_unseen_by_probes_is_found_again(crossed):
    """The health check says nothing of it: now and then a request of its own finds out."""
    works = {name: {"/reports": seconds, "/lookup": QUICK} for name, seconds in (("east", LONG), ("west", LONG / 8))}
    proxy, client = crossed(works=works)
    wait_until(lambda: ask(client, 5)["/reports"].count("west") >= 14, 60, "the reports in the quick region")
    works["east"]["/reports"] = QUICK
    wait_until(lambda: ask(client, 10)["/reports"].count("east") >= 20, 120, "the reports' return")
