"""`isochrone explain` and GET /explain: where a request would go, and why."""
import json
import subprocess
import urllib.parse

import pytest

from lab import HOST, NAME, find_binary, http_json, wait_until

FAST = {"interval": "200ms", "timeout": "150ms"}
ROUTES = [{"name": "orders", "match": {"host": NAME, "path": "/orders/*"}, "service": "orders", "requires": ["database"]},
          {"name": "here", "match": {"path": "/here", "methods": ["GET"]}, "service": "orders", "regions": ["far"]}]


def explain(*args, code=0):
    done = subprocess.run([find_binary(), "explain", *map(str, args)], capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture
def pair(start, emulator):
    regions = {"near": emulator("near", 5), "far": emulator("far", 60)}
    proxy = start({n: {"url": r.url, "host": NAME} for n, r in regions.items()}, service={"health": FAST}, routes=ROUTES)
    proxy.wait_states({n: "healthy" for n in regions})
    return proxy, regions


def ask(proxy, method, url, code=200, **more):
    query = urllib.parse.urlencode({"method": method, "url": url, **more})
    status, _, body = http_json("GET", proxy.admin, f"/explain?{query}")
    assert status == code, (status, body)
    return body


def candidate(answer, region):
    return next(c for c in answer["candidates"] if c["region"] == region)


def test_the_numbers_of_the_candidates(pair, h2):
    proxy, _ = pair
    client = h2(proxy)
    for _ in range(30):
        client.get("/orders/1")
    wait_until(lambda: candidate(ask(proxy, "GET", f"https://{NAME}/orders/1"), "near")["share"] > 0.9, 10, "a share")
    answer = ask(proxy, "GET", f"https://{NAME}/orders/1?x=%20y")
    assert answer["route"] == {"name": "orders", "service": "orders", "policy": "latency", "requires": ["database"]}
    assert answer["request"] == {"method": "GET", "host": NAME, "path": "/orders/1?x=%20y"}
    near, far = candidate(answer, "near"), candidate(answer, "far")
    assert near["eligible"] and far["eligible"] and answer["measured"] is True
    assert 4 < near["estimate_ms"] < 40 < far["estimate_ms"] < 120
    assert abs(near["share"] + far["share"] - 1) < 0.001
    assert answer["pick"] in ("near", "far") and 0 <= answer["draw"] < 2**32


def test_why_a_region_is_not_eligible(pair):
    proxy, regions = pair
    answer = ask(proxy, "GET", "/here")
    assert answer["pick"] == "far"
    assert candidate(answer, "near")["why_not"] == "the route does not allow it"
    regions["near"].set(dependencies={"database": "fail"})
    url = f"https://{NAME}/orders/1"
    wait_until(lambda: "dependency" in (candidate(ask(proxy, "GET", url), "near")["why_not"] or ""), 10, "the reason")
    assert ask(proxy, "GET", url)["pick"] == "far"
    regions["near"].set(mode="refuse")
    proxy.wait_states({"near": ("unhealthy", "ejected")})
    near = candidate(ask(proxy, "GET", url), "near")
    assert near["why_not"] and not near["eligible"] and near["share"] == 0


def test_what_is_explored(start, emulator):
    """Probes are capped to two and one each half minute: after that half a percent of what is safe measures regions."""
    regions = {n: emulator(n, d) for n, d in (("near", 5), ("far", 150))}
    routes = [{"match": {"path": "/any/*"}, "service": "orders"},
              {"match": {"path": "/weighted"}, "service": "orders", "policy": "weighted"}]
    proxy = start({n: {"url": r.url, "host": NAME} for n, r in regions.items()}, routes=routes,
                  service={"health": {"interval": "100ms", "timeout": "90ms", "path": "/health", "probes_per_hour": 120}})
    # Without a request nobody is measured.
    wait_until(lambda: all(c["explored"] for c in ask(proxy, "GET", "/any/1")["candidates"]), 10, "old probes of both")
    answer = ask(proxy, "GET", "/any/1")
    shares = {n: candidate(answer, n)["share"] for n in regions}
    assert answer["decision"]["explore"] == 3
    assert 0.0025 <= min(shares.values()) and abs(sum(shares.values()) - 1) < 0.001, shares
    # Each of them has half of the 0.5 %, whoever is the slower one.
    weights = {n: candidate(answer, n)["weight"] for n in regions}
    for name, share in shares.items():
        assert abs(share - (0.995 * weights[name] / sum(weights.values()) + 0.0025)) < 0.0003, (shares, weights)
    for method, url in (("POST", "/any/1"), ("GET", "/weighted")):
        answer = ask(proxy, method, url)
        assert not any(c["explored"] for c in answer["candidates"]), "nobody explores by that"
    text = explain("--admin", f"{HOST}:{proxy.admin}", "GET", "/any/1")
    assert text.count("eligible; nothing has measured it lately: 0.5 % of the safe requests do") == 2, text


def test_what_must_not_run_twice_avoids_what_has_just_failed(pair, h2):
    proxy, regions = pair
    client, url = h2(proxy), f"https://{NAME}/orders/1"
    regions["near"].set(mode="status", status=503)

    def wary():
        assert client.get("/orders/1").status == 200
        answer = ask(proxy, "POST", url)
        return answer if candidate(answer, "near")["wary"] else None
    answer = wait_until(wary, 10, "a failure at the nearest")
    assert (answer["pick"], candidate(answer, "near")["share"], answer["decision"]["wary"]) == ("far", 0, 1)
    assert not candidate(ask(proxy, "GET", url), "near")["wary"], "that may be tried again"


def test_no_route_and_no_url(pair):
    proxy, _ = pair
    answer = ask(proxy, "POST", "/here")
    assert answer["route"] is None and "no route" in answer["why"]
    for url in ("", "orders", "https://user@host/", "/a b", "/%00"):
        ask(proxy, "GET", url, code=400)


def test_the_command_asks_a_proxy(pair):
    proxy, _ = pair
    text = explain("--admin", f"{HOST}:{proxy.admin}", "GET", "/orders/1", "-H", "Accept: a", "-H", f"Host: {NAME}")
    assert "route    orders, service orders, policy latency" in text
    assert "requires database" in text and "near" in text and "eligible" in text and "pick " in text
    answer = json.loads(explain("--json", "--admin", f"{HOST}:{proxy.admin}", "GET", f"https://{NAME}/orders/1"))
    assert answer["route"]["name"] == "orders"
    assert "no route" in subprocess.run([find_binary(), "explain", "--admin", f"{HOST}:{proxy.admin}", "GET", "/x"],
                                        capture_output=True, text=True, timeout=30).stdout
    assert "https://host/path" in explain("--admin", f"{HOST}:{proxy.admin}", "GET", "x", code=1)
    assert "does not answer" in explain("--admin", f"{HOST}:1", "GET", "/x", code=1)


def test_the_command_reads_a_file(pair):
    proxy, _ = pair
    text = explain("-c", proxy.file, "GET", f"https://{NAME}/orders/1")
    assert "nothing is measured" in text and "50.00 %" in text and "unknown" in text
    assert "METHOD URL" in explain("-c", proxy.file, "GET", code=2)


def test_recompute_finds_what_was_changed(pair, lab, h2, start):
    proxy, regions = pair
    log = lab.path("decisions.log")
    logged = start({n: {"url": r.url, "host": NAME} for n, r in regions.items()}, service={"health": FAST},
                   access_log={"path": str(log), "decisions": 1})
    client = h2(logged)
    for _ in range(20):
        assert client.get("/").status == 200
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) == 20, 10, "the lines")
    assert "20 decisions in 20 lines, 0 wrong" in explain("--recompute", log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {c["region"] for c in lines[0]["decision"]["candidates"]} == {"near", "far"}
    lines[3]["decision"]["pick"] ^= 1
    lines[5]["decision"]["weight"] = 7
    del lines[7]["decision"]["draw"]
    lines[9]["decision"]["up"] = 70000
    log.write_text("\n".join(json.dumps(line) for line in lines) + "\nno json\n")
    done = subprocess.run([find_binary(), "explain", "--recompute", log], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "20 decisions in 21 lines, 4 wrong" in done.stdout
    assert all(f"line {n}:" in done.stdout for n in (4, 8, 10, 21))
    log.write_text("{}\n")
    assert "holds no decision" in explain("--recompute", log, code=1)
