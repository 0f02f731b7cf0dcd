"""Limits of requests: rates by route, over all workers, by address or by a key; bodies; descriptors."""
import json
import socket
import time

from h1client import H1Client, client_tls
from lab import HOST, NAME, find_binary, free_port, isochrone_config, wait_until


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


def test_ipv6_clients_of_one_network_behind_a_proxy_share_a_quota(start, emulator):
    """Their addresses come without a port and without brackets; the last group is no port."""
    port = free_port()
    proxy = start({"one": emulator("one").url}, port=port, workers=1,
                  listeners=[{"address": f"{HOST}:{port}", "trusted_proxies": [HOST]}],
                  routes=[{"service": "orders", "rate_limit": {"requests": 2, "per": "60s"}}])
    with H1Client(proxy.port) as client:
        def ask_from(address):
            return client.request("GET", "/", [("X-Forwarded-For", address)]).status
        assert [ask_from(f"2001:db8::{n}") for n in range(1, 5)] == [200, 200, 429, 429]
        assert [ask_from(f"2001:db8:0:1::{n}") for n in range(1, 4)] == [200, 200, 429]


def test_a_refused_request_reaches_no_region(start, emulator, certs):
    region = emulator("one")
    proxy = start({"one": region.url}, workers=1, routes=[
        {"service": "orders", "rate_limit": {"requests": 1, "per": "60s"}}])
    assert [ask(proxy, certs).status for _ in range(4)] == [200, 429, 429, 429]
    assert region.executed() == 1


# ---- Other limits of requests ----

def test_a_body_that_is_too_large(start, emulator, certs, h1, h2):
    """413 before a region hears of it where the length is said, and in the middle where it is not."""
    region = emulator("one")
    proxy = start({"one": region.url}, workers=1, limits={"body_bytes": "10KiB"})
    assert h1(proxy).request("POST", "/", body=b"x" * 10240).status == 200
    assert h2(proxy).post("/", b"x" * 10240).status == 200
    assert region.executed() == 2
    assert h1(proxy).request("POST", "/", body=b"x" * 10241).status == 413
    assert h2(proxy).post("/", b"x" * 20000).status == 413
    client = h1(proxy)
    client.send(f"POST / HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for _ in range(3):
        client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    assert client.answer("POST").status == 413
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the exchanges' end")
    assert region.executed() == 2


def test_clients_do_not_use_up_the_descriptors(lab, emulator, certs, h2):
    """With 100 files to open, clients get no more than seven eighths, and the rest is enough to answer them."""
    config, port = isochrone_config(lab, {"one": emulator("one").url}, workers=1)
    file = lab.write("few.json", json.dumps(config))
    process = lab.start("isochrone", ["sh", "-c", f"ulimit -n 100; exec {find_binary()} -c {file}"])
    process.wait_output("ready ")
    assert "limits.connections is lowered to 84" in process.output()
    made = []
    for _ in range(100):
        sock = socket.create_connection((HOST, port), timeout=20)
        made.append(sock)
    for sock in made[60:]:
        sock.close()
    wait_until(lambda: answers(port, certs), 10, "an answer")
    for sock in made[:60]:
        sock.close()
    assert lab.end(process) == 0


def answers(port, certs):
    try:
        with H1Client(port, client_tls(certs.ca, ["http/1.1"]), NAME, 5) as client:
            return client.request("GET", "/").status == 200
    except (OSError, EOFError):
        return False


def test_a_worker_that_does_not_catch_up_sheds(start, emulator, h1):
    """Each turn is too long here: whoever asks without a pause gets 503, and 200 again after one."""
    region = emulator("one")
    proxy = start({"one": region.url}, workers=1, limits={"loop_lag": "1us"})
    client = h1(proxy)
    answers = [client.request("GET", "/") for _ in range(100)]
    good = [a for a in answers if a.status == 200]
    shed = [a for a in answers if a.status == 503]
    assert shed and len(good) + len(shed) == 100
    assert b"overloaded" in shed[0].body
    assert region.executed() == len(good), "what is shed reaches no region"
    wait_until(lambda: client.request("GET", "/").status == 200, 10, "an answer after a pause", every=0.05)
