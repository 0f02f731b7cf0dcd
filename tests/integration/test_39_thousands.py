"""Thousands of connections at once: what they cost, and what a good client sees of them."""
import concurrent.futures
import contextlib
import json
import os
import statistics
import subprocess
import time

import pytest

from attacker import cuts, ended
from crowd import idle_clients
from h1client import connect
from lab import HOST, NAME, LabError, find_h2rate, free_port, wait_until

pytestmark = pytest.mark.slow

IDLE, MOST = 9000, 10000


def test_nine_thousand_idle_clients(start, emulator, lab, h2):
    """On one worker, over HTTP/2 and TLS: at most 24 KiB each once they are idle. With a thousand more, that say nothing
    at all, the limit is reached: one more is closed at once, the others do not notice, and who leaves makes room.

    20,000 open files are enough for 10,000 clients, here and in the proxy; that the last thousand stay in the handshake
    saves a minute of it.
    """
    proxy = start({"one": emulator("one").url}, workers=1,
                  limits={"connections": MOST, "handshake_timeout": "5m", "keepalive_timeout": "10m"})
    assert h2(proxy).get("/").status == 200
    before = proxy.process.rss_kib()
    with idle_clients(lab, proxy.port, IDLE):
        def each():
            return (proxy.process.rss_kib() - before) / IDLE
        wait_until(lambda: each() <= 24, 20, f"24 KiB for each client: {each():.1f}", every=0.5)
        print(f"{each():.1f} KiB for each of {IDLE} idle clients")
        with contextlib.ExitStack() as stack:
            more = [stack.enter_context(connect(proxy.port)) for _ in range(MOST - IDLE - 1)]
            wait_until(lambda: proxy.metric("isochrone_downstream_connections") == MOST, 20, "all the connections")
            assert proxy.metric("isochrone_connections_refused_total") == 0
            with connect(proxy.port) as sock:
                assert ended(sock, 5), "one more is let in"
            assert proxy.metric("isochrone_connections_refused_total") == 1
            for sock in more[:10]:
                sock.close()
            wait_until(lambda: proxy.metric("isochrone_downstream_connections") == MOST - 10, 20, "room")
            assert h2(proxy).get("/").status == 200
    assert not cuts(proxy)


CONNECTIONS = 4000
STANDING = {"header_timeout": "10m", "rate_window": "10m"}  # so that nobody is cut, and all of them stand at once


@pytest.fixture
def own_core():
    """own_core(proxy): the proxy gets a core that all else that the test starts keeps off."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:-1] or cores)

    def pin(proxy):
        for thread in os.listdir(f"/proc/{proxy.process.pid}/task"):
            os.sched_setaffinity(int(thread), cores[-1:])
        return proxy
    yield pin
    os.sched_setaffinity(0, cores)


class Good:
    """A good client of each proxy: 100 requests a second over h2, of which none may fail."""

    CONNECTIONS = 2

    def __init__(self, proxies, certs, lab):
        self.proxies, self.certs, self.lab = proxies, certs, lab
        self.rounds = 0

    def p99(self, seconds=4):
        """Through each proxy, of the next seconds, the same ones, in ms."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            found = list(pool.map(lambda proxy: self.of(proxy, seconds), self.proxies))
        self.rounds += 1
        return found

    def of(self, proxy, seconds):
        out = self.lab.dir / f"{proxy.port}.jsonl"
        done = subprocess.run([find_h2rate(), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", self.certs.ca,
                               "--connections", str(self.CONNECTIONS), "--get-rate", "100", "--post-rate", "0",
                               "--seconds", str(seconds), "--out", out], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds + 60)
        if done.returncode != 0:
            raise LabError(done.stderr)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        bad = [line for line in lines if line["status"] != 200]
        assert not bad, (len(bad), bad[:3], bad[-3:], cuts(proxy))
        return sorted(line["latency_ms"] for line in lines)[len(lines) * 99 // 100]


def nginx_region(lab, certs):
    """A region that can hold thousands of answers of 1 MB, a file, and thousands of bodies that do not end: what is
    asked under /body is answered by a second server, to which a body goes once it is whole."""
    port, second = free_port(), free_port()
    big = lab.write("big", "x" * 1000000).name
    os.chmod(lab.dir, 0o755)
    lab.start("nginx", ["nginx", "-p", lab.dir, "-e", "stderr", "-c", lab.write("region.conf", f"""
daemon off; worker_processes 1; pid {lab.dir}/nginx.pid; worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off; client_body_temp_path {lab.dir}/b; proxy_temp_path {lab.dir}/p; fastcgi_temp_path {lab.dir}/f;
  uwsgi_temp_path {lab.dir}/u; scgi_temp_path {lab.dir}/s; http2_max_concurrent_streams 1000;
  large_client_header_buffers 8 128k; keepalive_requests 1000000; client_body_timeout 10m;
  server {{
    listen {HOST}:{port} ssl http2; ssl_certificate {certs.cert()}; ssl_certificate_key {certs.key()};
    root {lab.dir};
    location = /{big} {{ internal; }}
    location = /body {{ proxy_pass http://{HOST}:{second}; }}
    location / {{ if ($arg_bytes) {{ rewrite ^ /{big} last; }} return 200 "ok"; }}
  }}
  server {{ listen {HOST}:{second}; return 200 "ok"; }}
}}
""")]).wait_port(port)
    return {"url": f"https://{HOST}:{port}", "host": NAME}


def besieged(lab, good, mode):
    """Has all ask while the first proxy is attacked, until all the connections have come and for a while after: the rounds'
    p99s of either time, and how many stand when the last one has come.
    """
    victim = good.proxies[0]
    had = victim.metric("isochrone_downstream_connections_total") - good.rounds * good.CONNECTIONS
    url = f"https://{HOST}:{victim.port}/" + {"-B": "body", "handshakes": ""}.get(mode, "?bytes=1000000")
    attack = lab.start("attack", ["nice", "-n", "19", *(
        ["sh", "-c", f"trap 'kill $!; exit' TERM; while :; do h2load -n 200 -c 200 {url} & wait; done"] if mode == "handshakes" else
        ["slowhttptest", mode, "-c", CONNECTIONS, "-r", 400, "-l", 240, "-i", 1, "-p", 3, "-n", 1, "-u", url])],
        cwd=lab.dir)

    def opened():
        return victim.metric("isochrone_downstream_connections_total") - had - good.rounds * good.CONNECTIONS
    wait_until(lambda: opened() > 200, 10, "the attack's connections")
    coming, until = [], time.monotonic() + 100
    while opened() < CONNECTIONS:
        assert time.monotonic() < until, f"{opened():.0f} connections opened, {cuts(victim)}"
        coming.append(good.p99())
    stand = victim.metric("isochrone_downstream_connections")
    standing = [good.p99() for _ in range(4)]
    lab.end(attack)
    return (coming, standing), stand


def typical(rounds):
    """Each proxy's median: this machine may do something else for some of the rounds."""
    return [statistics.median(each) for each in zip(*rounds)]


@pytest.mark.parametrize("mode", ["-H", "-B", "-R", "-X", "handshakes"])
def test_four_thousand(own_core, start, certs, lab, mode):
    """Connections by the four modes of slowhttptest, and such that come, ask once and go, as fast as the proxy can shake
    hands: a good client's p99 stays under twice.

    The attack takes the same machine as everything else here. So that what is compared is the proxy, it has a core to
    itself, and the value without the attack is that of another proxy, on the same core and in the same seconds.
    """
    proxies = [own_core(start({"one": nginx_region(lab, certs)}, workers=1, limits=STANDING)) for _ in range(2)]
    good = Good(proxies, certs, lab)
    idle = min(typical([good.p99() for _ in range(3)]))
    times, stand = besieged(lab, good, mode)
    under, beside = zip(*map(typical, times))
    text = (f"p99 {idle:.1f} ms idle; while the connections come, and when they stand: {beside[0]:.1f} and {beside[1]:.1f} ms "
            f"beside the attack, {under[0]:.1f} and {under[1]:.1f} ms under it; {stand:.0f} connections at once, "
            f"cuts {cuts(proxies[0])}")
    print(text)
    assert all(mine < 2 * max(other, 1) for mine, other in zip(under, beside)), text
    # What -R asks for with HEAD is answered at once.
    assert mode in ("-R", "handshakes") or stand >= CONNECTIONS - 10, text
