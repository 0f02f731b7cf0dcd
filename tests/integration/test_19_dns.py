"""Addresses come and go: a real DNS server, records that change under load, addresses that do not answer."""
import signal
import socket
import threading
import time

import pytest

from lab import HOST, NAME, free_port, wait_until
from product import SLOW, Emulator

FAST = {"interval": "300ms", "timeout": "250ms"}


class Dns:
    """dnsmasq on a free port with records of its own, TTL 1."""

    def __init__(self, lab):
        self.lab, self.port = lab, free_port()
        self.hosts = lab.write("hosts", "")
        self.process = lab.start("dnsmasq", [
            "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--no-poll", f"--port={self.port}", "--bind-interfaces",
            f"--listen-address={HOST}", f"--addn-hosts={self.hosts}", "--local-ttl=1", "--local=/test/", "--log-facility=-",
            "--conf-file=/dev/null", "--user=root"])

    def set(self, *addresses):
        """The records of api.test from now on."""
        self.hosts.write_text("".join(f"{a} api.test\n" for a in addresses))
        self.process.send(signal.SIGHUP)


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


@pytest.fixture
def dns(lab):
    return Dns(lab)


@pytest.fixture
def site(lab, start, dns, h2):
    """site(addresses of region `named` that answer): the proxy, their emulators by address, the second region."""
    def begin(alive, records, delay=60, **more):
        port = free_port()
        made = {a: Emulator(lab, a, address=a, port=port) for a in alive}
        far = Emulator(lab, "far", delay)
        dns.set(*records)
        proxy = start({"named": {"url": f"https://api.test:{port}", "host": NAME}, "far": {"url": far.url, "host": NAME}},
                      dns={"servers": [f"{HOST}:{dns.port}"], "min_ttl": "1s"}, service={"health": FAST}, **more)
        proxy.wait_states({"named": "healthy", "far": "healthy"})
        return proxy, made, far
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
