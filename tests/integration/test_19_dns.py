"""Addresses come and go: a real DNS server, records that change under load, addresses that do not answer."""
import socket
import threading
import time

import pytest

import named
from lab import wait_until
from product import SLOW


class Load:
    """GETs and POSTs one after the other in a thread of its own; what fails is kept."""

    def __init__(self, client):
        self.client, self.stop, self.failed, self.count, self.worst = client, threading.Event(), [], 0, 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            sid = self.client.start("POST" if self.count % 10 == 0 else "GET", "/orders")
            answer = self.client.wait(sid)
            self.worst = max(self.worst, time.monotonic() - began)
            if answer.status != 200:
                self.failed.append((answer.status, answer.headers))
            self.count += 1
            self.stop.wait(0.005)

    def end(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.failed


@pytest.fixture(params=[named.Dnsmasq, named.Unbound])
def dns(request, lab):
    return request.param(lab)


@pytest.fixture
def site(lab, start, dns):
    """site(addresses that answer, records): see named.Site; the proxy, emulators by address, the second region."""
    def begin(alive, records, **more):
        made = named.Site(lab, start, dns, alive, records, **more)
        return made.proxy, made.emulators, made.far
    return begin


def addresses(proxy):
    return {e["address"].rsplit(":", 1)[0]: e["usable"] for e in proxy.region("named")["endpoints"]}


def test_one_of_two_addresses_is_dead(site, h2):
    """No client notices, nothing goes to the other region for it, and the region stays in use."""
    proxy, made, far = site(["127.0.0.3"], ["127.0.0.2", "127.0.0.3"], workers=2)
    client = h2(proxy)
    load = Load(client)
    wait_until(lambda: load.count > 300, 30 * SLOW, "three hundred requests")
    assert load.end() == []
    assert made["127.0.0.3"].executed() > 250
    region = proxy.region("named")
    assert region["state"] == "healthy" and region["outcomes"]["connect_failure"] == 0, region


def test_an_address_that_swallows_connections(site, h2):
    """A listener that accepts nothing, its backlog full: the next address is tried beside it after 250 ms."""
    port = None
    with socket.socket() as hole:
        proxy, made, _ = site(["127.0.0.3"], ["127.0.0.3"], workers=1)
        port = int(made["127.0.0.3"].port)
        hole.bind(("127.0.0.2", port))
        hole.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        load = Load(h2(proxy))
        wait_until(lambda: load.count > 200, 30 * SLOW, "two hundred requests")
        assert load.end() == []
        assert load.worst < 0.9 * SLOW, load.worst
        assert proxy.region("named")["state"] == "healthy"
        for one in fill:
            one.close()


def test_records_change_under_load(site, dns, h2):
    """Drops, additions, an answer without addresses, and back: no request fails, and old addresses fall idle."""
    proxy, made, _ = site(["127.0.0.2", "127.0.0.3", "127.0.0.4"], ["127.0.0.2", "127.0.0.3"], workers=2)
    load = Load(h2(proxy))
    wait_until(lambda: load.count > 100, 20 * SLOW, "some requests")

    dns.set("127.0.0.4")
    changed = time.monotonic()
    wait_until(lambda: addresses(proxy).get("127.0.0.4"), 5 * SLOW, "the new address")
    wait_until(lambda: not any(addresses(proxy).get(a) for a in ("127.0.0.2", "127.0.0.3")), 8 * SLOW, "the old ones out")
    # Asked at most a TTL after the change, and then TTL + 2 s since the last answer that had them.
    assert time.monotonic() - changed < 1 + (1 + 2 + 0.5) * SLOW
    before = {a: made[a].executed() for a in made}
    seen = load.count
    wait_until(lambda: load.count > seen + 100, 20 * SLOW, "requests after that")
    after = {a: made[a].executed() for a in made}
    assert after["127.0.0.2"] == before["127.0.0.2"] and after["127.0.0.3"] == before["127.0.0.3"], (before, after)
    assert after["127.0.0.4"] > before["127.0.0.4"] + 50

    dns.set()  # the name is gone: the last good set stays
    wait_until(lambda: proxy.region("named")["dns"], 10 * SLOW, "the failing answer to be said")
    seen = load.count
    wait_until(lambda: load.count > seen + 100, 20 * SLOW, "requests after that")
    assert addresses(proxy)["127.0.0.4"]

    dns.set("127.0.0.2")
    wait_until(lambda: made["127.0.0.2"].executed() > after["127.0.0.2"] + 20, 15 * SLOW, "the restored address")
    assert load.end() == []
    assert proxy.region("named")["state"] == "healthy"
    assert "dns: api.test: now also 127.0.0.4" in proxy.stderr and "dns: api.test: without 127.0.0.2" in proxy.stderr


def test_records_change_at_full_rate(lab, site, dns):
    """300 requests a second: no request fails, and what is not in the answer any more is idle within TTL + 2 s."""
    proxy, made, _ = site(["127.0.0.2", "127.0.0.3", "127.0.0.4"], ["127.0.0.2", "127.0.0.3"], near=5, delay=100, workers=2)
    rate = 300 if SLOW == 1 else 100
    load = named.Steady(lab, proxy, 24 if SLOW == 1 else 40, rate)
    load.until(2)

    dns.set("127.0.0.4", "127.0.0.3")
    changed = time.monotonic()
    counts = []  # (time, executed at the dropped one)

    def look():
        counts.append((time.monotonic() - changed, made["127.0.0.2"].executed()))
        return False

    load.until(2 + 6 * (1 if SLOW == 1 else 2), look)
    last = counts[-1][1]
    idle = next(t for t, n in counts if n == last)
    # Asked again at most a TTL after the change, then TTL + 2 s since the last answer that had it.
    assert idle < 1 + (1 + 2 + 0.3) * SLOW, idle
    assert made["127.0.0.4"].executed() > rate / 2

    dns.set()  # the name is gone: the last good set stays
    wait_until(lambda: proxy.region("named")["dns"], 10 * SLOW, "the failing answer to be said")
    before = made["127.0.0.3"].executed() + made["127.0.0.4"].executed()
    load.until(time.monotonic() - load.began + 1)
    assert made["127.0.0.3"].executed() + made["127.0.0.4"].executed() > before + rate / 3

    dns.set("127.0.0.2")
    assert load.until(load.seconds - 1, lambda: made["127.0.0.2"].executed() > last + rate / 3), "the restored address"
    assert [x for x in load.end() if x["status"] != 200] == []
    assert proxy.region("named")["state"] == "healthy"
