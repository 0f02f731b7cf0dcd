"""The admin listener and the access log: what scripts rely on."""
import json
import math
import re
import subprocess

import pytest

from lab import HOST, free_port, http_json, wait_until

STATES = {"healthy", "degraded", "unhealthy", "ejected", "drained", "unknown"}
FAMILIES = {
    "isochrone_requests_total": ("counter", {"service", "region", "code"}),
    "isochrone_attempts_total": ("counter", {"service", "region", "outcome"}),
    "isochrone_retries_total": ("counter", {"service", "reason"}),
    "isochrone_region_share": ("gauge", {"service", "region"}),
    "isochrone_region_up": ("gauge", {"service", "region"}),
    "isochrone_region_rtt_seconds": ("gauge", {"service", "region"}),
    "isochrone_attempt_duration_seconds": ("histogram", {"service", "region"}),
}
SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? '
                    r'([+-]?(?:\d[\d.e+-]*|Inf|NaN))(?: -?\d+)?')
FAST = {"health": {"interval": "200ms", "timeout": "200ms"}}


@pytest.fixture
def pair(start, emulator, tmp_path):
    """A proxy over two regions, with an access log."""
    one, two = emulator("one"), emulator("two", 50)
    proxy = start({"one": one.url, "two": two.url}, service=FAST, access_log={"path": str(tmp_path / "access.log")})
    proxy.log = tmp_path / "access.log"
    proxy.emulators = {"one": one, "two": two}
    proxy.wait_states({"one": "healthy", "two": "healthy"})
    return proxy


def log_lines(proxy, count):
    def enough():
        lines = proxy.log.read_text().splitlines() if proxy.log.exists() else []
        return len(lines) >= count and [json.loads(line) for line in lines]
    return wait_until(enough, 10, f"{count} access log lines")


def test_status(pair, h2):
    client = h2(pair)
    for _ in range(50):
        client.get("/")
    wait_until(lambda: pair.region("one")["share"] > 0.9 and pair.region("one")["latency_ms"]["p50"], 10, "the shares")
    regions = pair.status()["services"]["orders"]["regions"]
    assert set(regions) == {"one", "two"}
    for region in regions.values():
        assert region["state"] in STATES
        assert 0 <= region["share"] <= 1
        assert set(region["latency_ms"]) >= {"estimate", "p50", "p95", "p99"}
    wait_until(lambda: not any(pair.region(name)["in_flight"] for name in regions), 10, "nothing in flight, probes neither")
    assert sum(r["share"] for r in regions.values()) == pytest.approx(1, abs=0.01)
    latency = regions["one"]["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert latency["estimate"] < regions["two"]["latency_ms"]["estimate"]


def test_status_shows_what_is_in_flight(pair, h2):
    pair.emulators["two"].kill()
    pair.wait_states({"two": ("unhealthy", "ejected")})
    pair.emulators["one"].set(delay_ms=60000)
    client = h2(pair)
    for _ in range(3):
        client.start("POST", "/", body=b"{}")
    wait_until(lambda: pair.region("one")["in_flight"] == 3, 10, "three in flight")
    pair.emulators["one"].set(delay_ms=0)
    client.close()
    wait_until(lambda: pair.region("one")["in_flight"] == 0, 10, "none in flight after the client left")


def test_health_and_readiness(pair):
    assert http_json("GET", pair.admin, "/healthz")[0] == 200
    assert http_json("GET", pair.admin, "/readyz")[0] == 200
    for one in pair.emulators.values():
        one.kill()
    wait_until(lambda: http_json("GET", pair.admin, "/readyz")[0] == 503, 20, "/readyz to say 503")
    assert http_json("GET", pair.admin, "/healthz")[0] == 200


def test_unknown_admin_path(pair):
    assert http_json("GET", pair.admin, "/nothing-here")[0] == 404
    assert http_json("POST", pair.admin, "/status", {})[0] in (404, 405)


def parse_exposition(text):
    """{family: (type, [(name, labels, value)])}; strict about order, types and uniqueness."""
    families, current, seen = {}, None, set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert current not in families, f"{current} is described twice"
            families[current] = [None, []]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram", "summary")
            families[name][0] = kind
        elif line:
            found = SAMPLE.fullmatch(line)
            assert found, f"not a sample: {line}"
            name, labels = found[1], re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")
            assert (name, tuple(sorted(labels))) not in seen, f"twice: {line}"
            seen.add((name, tuple(sorted(labels))))
            base = re.sub(r"_(bucket|sum|count)$", "", name) if families[current][0] == "histogram" else name
            assert base == current, f"{line} outside its family"
            families[current][1].append((name, dict(labels), float(found[3])))
    return families


def check_histogram(samples):
    series = {}
    for name, labels, value in samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(key, {}).setdefault(name.rsplit("_", 1)[1], []).append((labels.get("le"), value))
    for one in series.values():
        bounds = [(math.inf if le == "+Inf" else float(le), value) for le, value in one["bucket"]]
        assert bounds == sorted(bounds) and bounds[-1][0] == math.inf
        assert [v for _, v in bounds] == sorted(v for _, v in bounds), "buckets are cumulative"
        assert bounds[-1][1] == one["count"][0][1]


def test_metrics(pair, h2):
    client = h2(pair)
    for _ in range(20):
        client.get("/")
    wait_until(lambda: pair.metric("isochrone_requests_total", code="200") == 20, 10, "20 requests")
    status, headers, text = http_json("GET", pair.admin, "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    families = parse_exposition(text)
    for name, (kind, labels) in FAMILIES.items():
        assert families[name][0] == kind
        for _, have, _ in families[name][1]:
            assert set(have) - {"le"} == labels, name
    check_histogram(families["isochrone_attempt_duration_seconds"][1])
    assert {s[1]["region"] for s in families["isochrone_region_up"][1]} == {"one", "two"}
    assert sum(s[2] for s in families["isochrone_region_share"][1]) == pytest.approx(1, abs=0.01)
    assert pair.metric("isochrone_attempts_total") >= 20
    assert pair.metric("isochrone_attempt_duration_seconds_count") >= 20


def test_metrics_pass_promtool(pair, h2):
    h2(pair).get("/")
    done = subprocess.run(["promtool", "check", "metrics"], input=pair.metrics(), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_region_up_follows_health(pair):
    pair.emulators["two"].set(mode="status", status=503)
    wait_until(lambda: pair.metric("isochrone_region_up", region="two") == 0, 20, "region_up 0")
    assert pair.metric("isochrone_region_share", region="two") == 0
    assert pair.region("two")["state"] in ("unhealthy", "ejected")
    pair.emulators["two"].set(mode="ok")
    wait_until(lambda: pair.metric("isochrone_region_up", region="two") == 1, 20, "region_up 1")


def test_access_log(pair, h2, h1):
    h2(pair).get("/orders/7?secret=1", [("x-request-id", "log-1")])
    h1(pair).request("POST", "/orders", [("X-Request-Id", "log-2")], b"{}")
    lines = {line["id"]: line for line in log_lines(pair, 2)}
    first, second = lines["log-1"], lines["log-2"]
    for line in (first, second):
        assert set(line) >= {"ts", "id", "client", "method", "host", "path", "protocol", "status", "bytes",
                             "duration_ms", "service", "route", "version", "region", "attempts"}
        assert line["status"] == 200 and line["service"] == "orders" and line["client"].startswith("127.0.0.1")
        assert line["duration_ms"] >= 0 and line["bytes"] > 0
        assert len(line["attempts"]) == 1
        attempt = line["attempts"][0]
        assert set(attempt) >= {"region", "endpoint", "outcome", "executed", "status", "ttfb_ms",
                                "upstream_request_id"}
        assert attempt["executed"] == "yes" and attempt["status"] == 200 and attempt["region"] == line["region"]
        assert attempt["upstream_request_id"]
    assert (first["method"], first["path"], first["host"]) == ("GET", "/orders/7", "api.example.test")
    assert "secret" not in json.dumps(first)
    assert (second["method"], second["path"]) == ("POST", "/orders")


def test_access_log_names_each_attempt(start, emulator, h2, tmp_path):
    good = emulator("good")
    log = tmp_path / "access.log"
    dead = f"https://{HOST}:{free_port()}"
    proxy = start({"dead": {"url": dead, "host": "api.example.test"}, "good": good.url}, access_log={"path": str(log)},
                  service={"balance": {"policy": "failover"}, "health": {"interval": "60s"}})
    proxy.log = log
    client = h2(proxy)
    for i in range(5):
        assert client.post("/", headers=[("x-request-id", f"try-{i}")]).status == 200
    lines = log_lines(proxy, 5)
    tried = [line for line in lines if len(line["attempts"]) == 2]
    assert tried, lines
    assert [a["region"] for a in tried[0]["attempts"]] == ["dead", "good"]
    assert [a["executed"] for a in tried[0]["attempts"]] == ["no", "yes"]
    assert tried[0]["attempts"][0]["status"] is None and tried[0]["region"] == "good"
    assert proxy.metric("isochrone_retries_total") >= len(tried)


def test_errors_of_our_own_are_logged(start, h2, tmp_path):
    log = tmp_path / "access.log"
    proxy = start({"dead": {"url": f"https://{HOST}:{free_port()}", "host": "api.example.test"}},
                  access_log={"path": str(log)})
    proxy.log = log
    assert h2(proxy).get("/").status == 502
    line = log_lines(proxy, 1)[0]
    assert line["status"] == 502 and line["attempts"] and all(a["executed"] == "no" for a in line["attempts"])
    assert line.get("error")
