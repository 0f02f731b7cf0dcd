"""Rate limits of routes: over all workers, by address or by a key, told in header fields."""
import time

from h1client import H1Client, client_tls
from lab import NAME, wait_until


def begin(start, emulator, **limit):
    return start({"one": emulator("one").url}, workers=3, routes=[
        {"name": "limited", "match": {"path": "/limited"}, "service": "orders", "rate_limit": limit},
        {"name": "free", "service": "orders"}])


def ask(proxy, certs, path="/limited", **headers):
    """On a connection of its own, so that all workers are asked."""
    with H1Client(proxy.port, client_tls(certs.ca, ["http/1.1"]), NAME) as client:
        return client.request("GET", path, list(headers.items()))


def test_a_client_gets_its_quota(start, emulator, certs):
    proxy = begin(start, emulator, requests=20, per="60s")
    answers = [ask(proxy, certs) for _ in range(30)]
    good = [a for a in answers if a.status == 200]
    refused = [a for a in answers if a.status == 429]
    assert (len(good), len(refused)) == (20, 10)
    assert good[0].get("ratelimit-policy") == '"route";q=20;w=60'
    assert [a.get("ratelimit").split(";")[1] for a in good] == [f"r={19 - i}" for i in range(20)]
    assert 1 <= int(refused[0].get("retry-after")) <= 3
    assert refused[0].get("content-type") == "application/problem+json"
    free = ask(proxy, certs, "/other")
    assert free.status == 200 and free.get("ratelimit") is None, "another route has no limit"


def test_it_comes_back(start, emulator, certs):
    """Ten a second: after a second the bucket is full again, not more than full."""
    proxy = begin(start, emulator, requests=10, per="1s")
    assert [ask(proxy, certs).status for _ in range(10)].count(200) >= 10
    wait_until(lambda: ask(proxy, certs).status == 200, 5, "the next one")
    began, good = time.monotonic(), 0
    while time.monotonic() < began + 1.5:
        good += ask(proxy, certs).status == 200
    assert 10 <= good <= 26


def test_keys_have_quotas_of_their_own(start, emulator, certs):
    proxy = begin(start, emulator, requests=3, per="60s", key="X-Api-Key")
    for key in ("one", "two"):
        assert [ask(proxy, certs, **{"X-Api-Key": key}).status for _ in range(5)] == [200] * 3 + [429] * 2
    assert [ask(proxy, certs).status for _ in range(5)] == [200] * 3 + [429] * 2, "who has no key counts by address"


def test_a_refused_request_reaches_no_region(start, emulator, certs):
    region = emulator("one")
    proxy = start({"one": region.url}, workers=1, routes=[
        {"service": "orders", "rate_limit": {"requests": 1, "per": "60s"}}])
    assert [ask(proxy, certs).status for _ in range(4)] == [200, 429, 429, 429]
    assert region.executed() == 1
