"""What changes while clients are served: listeners, the whole file, the binary; and what a service manager is told."""
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import H1Origin
from h1client import H1Client, client_tls
from lab import HOST, NAME, accepts, find_binary, find_h2rate, free_port, http_json, wait_until
from product import SLOW, Isochrone, environment

LONG = pytest.mark.slow


def reload(proxy, code=200, host=HOST, **fields):
    """POST /reload, answered when it is over."""
    with H1Client(proxy.admin) as client:
        answer = client.request("POST", "/reload", list(fields.items()), host=host)
    assert answer.status == code, answer.body
    return json.loads(answer.body) if answer.get("content-type") == "application/json" else answer.body


def config_of(proxy):
    status, _, body = http_json("GET", proxy.admin, "/config")
    assert status == 200
    return body


def clear(port):
    return {"address": f"{HOST}:{port}"}


def ask(port):
    with H1Client(port) as client:
        return client.request("GET", "/", host=NAME).status


# ---- reload ----

def test_listeners_come_and_go(start, emulator):
    first, second = free_port(), free_port()
    proxy = start({"one": emulator("one").url}, port=first, workers=3, listeners=[clear(first)])
    with H1Client(first) as kept:
        assert kept.request("GET", "/", host=NAME).status == 200
        proxy.config["listeners"].append(clear(second))
        proxy.rewrite()
        assert reload(proxy)["generation"] == 2
        wait_until(lambda: accepts(second), 10, "the new listener")
        assert [ask(second) for _ in range(10)] == [200] * 10
        assert ask(first) == 200
        proxy.config["listeners"] = [clear(second)]
        proxy.rewrite()
        assert reload(proxy)["generation"] == 3
        wait_until(lambda: not accepts(first), 10, "the old listener to go")
        assert kept.request("GET", "/", host=NAME).status == 200, "its connections go on"
    assert ask(second) == 200


def test_an_address_in_use_changes_nothing(start, emulator):
    proxy = start({"one": emulator("one").url})
    taken = socket.create_server((HOST, 0))
    free = free_port()
    proxy.config["listeners"] += [clear(free), clear(taken.getsockname()[1])]
    proxy.rewrite()
    said = reload(proxy, 409)
    assert said["reloaded"] is False and "in use" in said["why"]
    assert config_of(proxy)["generation"] == 1
    assert not accepts(free), "what was bound for it is closed again"
    taken.close()
    assert reload(proxy)["reloaded"] is True
    wait_until(lambda: accepts(free), 10, "the listener")


def test_reload_by_the_admin_api(start, emulator, h2):
    proxy = start({"one": emulator("one").url})
    before = config_of(proxy)
    proxy.rewrite(text="{")
    assert "bad" in reload(proxy, 409)["why"]
    assert config_of(proxy) == before
    proxy.config["services"]["orders"]["timeout"] = "7s"
    proxy.rewrite()
    said = reload(proxy)
    after = config_of(proxy)
    assert (said["reloaded"], said["generation"]) == (True, 2)
    assert said["hash"] == after["hash"] != before["hash"]
    assert after["config"]["services"]["orders"]["timeout"] == "7s"
    assert after["file"] == str(proxy.file)
    assert 'reload: /services/orders/timeout: nothing -> "7s"' in proxy.stderr
    assert h2(proxy).get("/").status == 200
    with H1Client(proxy.admin) as client:
        assert client.request("GET", "/reload", host=HOST).status == 405


def test_what_is_counted_goes_by_name(start, emulator, h2):
    """Another service is put before it in the file: counts and budget stay with their own."""
    one, two = emulator("one"), emulator("two")
    proxy = start({"one": one.url})
    client = h2(proxy)
    assert [client.get("/").status for _ in range(5)] == [200] * 5
    one.set(mode="refuse")
    assert client.get("/").status == 502
    wait_until(lambda: proxy.metric("isochrone_requests_total", service="orders", code=502) == 1, 10, "the count")
    proxy.config["services"] = {"first": {"regions": {"two": {"url": two.url, "host": NAME}}, "tls": proxy.config["services"]["orders"]["tls"]},
                                **proxy.config["services"]}
    proxy.config["routes"] = [{"service": "orders"}, {"match": {"path": "/first"}, "service": "first"}]
    proxy.rewrite()
    assert reload(proxy)["reloaded"] is True
    assert proxy.metric("isochrone_requests_total", service="orders", code=502) == 1
    assert proxy.metric("isochrone_requests_total", service="first") == 0
    assert h2(proxy).get("/first").status == 200
    assert proxy.metric("isochrone_requests_total", service="first") == 1


# ---- regions that go while requests are there ----

def held_region(origin):
    """(a region that holds its requests and then ends their connections, the event for that)"""
    held = threading.Event()

    def script(sock, request):
        assert held.wait(60)
        return False
    return origin(H1Origin, script), held


def move(proxy, **regions):
    """The service's regions are these from now on."""
    proxy.config["services"]["orders"]["regions"] = {n: {"url": r.url, "host": NAME} for n, r in regions.items()}
    proxy.rewrite()
    assert reload(proxy)["reloaded"] is True


def test_a_retry_where_the_region_is_gone(start, origin, emulator, h2):
    """It cannot be asked again: its exchange ends at once, not with its timeout."""
    one, held = held_region(origin)
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1, service={"timeout": "60s"})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: len(one.served) == 1, 10, "the request")
    move(proxy, one=emulator("two"))
    begun = time.monotonic()
    held.set()
    assert client.wait(sid).status == 502 and time.monotonic() - begun < 10
    assert h2(proxy).get("/").get("x-emulated-region") == "two"


@pytest.mark.parametrize("method, status", [("GET", 200), ("POST", 502)])
def test_a_retry_where_one_region_of_two_is_gone(start, origin, emulator, h2, method, status):
    """In the region that stays, and by the old rules: what may have run is not run again."""
    one, held = held_region(origin)
    two = emulator("two")
    proxy = start({"one": {"url": one.url, "host": NAME}, "two": {"url": two.url, "host": NAME}}, workers=1,
                  service={"timeout": "60s", "balance": {"policy": "failover"}})
    client = h2(proxy)
    sid = client.start(method, "/")
    wait_until(lambda: len(one.served) == 1, 10, "the request")
    move(proxy, two=two)
    held.set()
    assert client.wait(sid).status == status and two.executed() == (status == 200)


def test_a_retry_meets_no_region_that_has_come_since(start, origin, emulator, h2):
    """What the old region had in the house is another one's by now, which must not get the request."""
    one = origin(H1Origin, lambda s, r: s.sendall(
        b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nRetry-After: 3\r\nConnection: close\r\n\r\n") and False)
    others = {n: emulator(n) for n in ("two", "three")}
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1, service={"timeout": "60s"})
    client = h2(proxy)
    sid = client.start("GET", "/for-one-alone")
    wait_until(lambda: len(one.served) == 1, 10, "the request")
    move(proxy, two=others["two"])
    wait_until(lambda: proxy.region("two")["probe"], 10 * SLOW, "the second region to be known")
    move(proxy, two=others["two"], three=others["three"])
    assert client.wait(sid).status in (502, 503)
    assert (len(one.served), [r.executed() for r in others.values()]) == (1, [0, 0])


def test_a_region_that_comes_is_not_blamed_for_one_that_has_gone(start, origin, emulator, h2):
    """A request that hangs in the old one says nothing about the new one, two reloads later either."""
    one, held = held_region(origin)
    others = {n: emulator(n) for n in ("two", "three")}
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1,
                  service={"timeout": "60s", "health": {"interval": "300ms", "timeout": "200ms"}})
    client = h2(proxy)
    sid = client.start("GET", "/")
    wait_until(lambda: len(one.served) == 1, 10, "the request")
    move(proxy, two=others["two"])
    move(proxy, two=others["two"], three=others["three"])
    wait_until(lambda: (proxy.region("three")["probe"] or {}).get("passes", 0) > 2, 10 * SLOW, "probes of the third region")
    assert (proxy.region("three")["state"], proxy.region("three")["suspect"]) == ("healthy", False)
    held.set()
    assert client.wait(sid).status == 502


def test_what_runs_outlives_the_file_that_it_came_by(start, origin, emulator, h2):
    """Two reloads while an answer is on its way: the region's last file is gone, its connection is not."""
    began, held = threading.Event(), threading.Event()

    def script(sock, request):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun")
        began.set()
        assert held.wait(60)
        sock.sendall(b"ended")
    one, two = origin(H1Origin, script), emulator("two")
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=1)
    client = h2(proxy)
    sid = client.start("GET", "/")
    assert began.wait(10)
    proxy.config["services"]["orders"]["timeout"] = "20s"
    proxy.rewrite()
    assert reload(proxy)["reloaded"] is True
    move(proxy, two=two)
    pause(2.5)  # the connection looks at itself every second
    held.set()
    answer = client.wait(sid)
    assert (answer.status, answer.body) == (200, b"begunended")


@pytest.mark.parametrize("waits", [False, True])
def test_a_region_goes_while_a_connection_is_on_its_way(lab, start, emulator, h2, waits):
    """Nothing waits for it: it is closed. Something does: it gets it, and then it is closed."""
    listening = socket.create_server((HOST, 0))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(lab.certs.cert(), lab.certs.key())
    context.set_alpn_protocols(["http/1.1"])
    two = emulator("two")
    listening.settimeout(30)
    region = {"url": f"https://{HOST}:{listening.getsockname()[1]}", "host": NAME}
    proxy = start({"one": region}, workers=1, service={"timeout": "60s", "connect_timeout": "20s",
                                                       "health": {"interval": "60s", "timeout": "50s"}})
    came = [listening.accept()[0] for _ in range(2)]  # the worker's, and the prober's
    if waits:
        client = h2(proxy)
        sid = client.start("GET", "/")
        wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 1, 10, "the request")
    move(proxy, two=two)
    answered, ended = [], []

    def serve(sock):
        try:
            with context.wrap_socket(sock, server_side=True) as tls:
                head = tls.recv(65536)
                if head.startswith(b"GET / "):
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    answered.append(head)
                while tls.recv(65536):
                    pass
        except OSError:
            pass
        ended.append(sock)
    threads = [threading.Thread(target=serve, args=(sock,)) for sock in came]
    for thread in threads:
        thread.start()
    if waits:
        assert client.wait(sid).body == b"ok" and len(answered) == 1
    wait_until(lambda: len(ended) == 2, 10, "both connections to be closed")
    assert h2(proxy).get("/").get("x-emulated-region") == "two"
    proxy.stop()
    for thread in threads:
        thread.join(20)
    listening.close()


@pytest.mark.parametrize("fields", [{"origin": "https://evil.test"}, {"host": "rebound.evil.test"}])
def test_a_web_page_cannot_reload(start, emulator, fields):
    proxy = start({"one": emulator("one").url})
    assert b"web page" in reload(proxy, 403, **fields)
    assert config_of(proxy)["generation"] == 1


def test_config_masks_secrets(start, emulator):
    one = emulator("one")
    proxy = start({"one": {"url": one.url, "host": NAME, "headers": {"x-key": "hunter2", "x-env": "${ISO_TEST_KEY}"}}},
                  service={"marker": {"header": "x-marker", "secret": "hunter3-hunter3-hunter3"}, "health": {"headers": {"a": "hunter4"}}},
                  env={"ISO_TEST_KEY": "hunter5"}, routes=[{"service": "orders", "request_headers": {"set": {"b": "hunter6"}}}])
    _, _, body = http_json("GET", proxy.admin, "/config")
    assert "hunter" not in json.dumps(body)
    assert body["config"]["services"]["orders"]["regions"]["one"]["headers"] == {"x-key": "***", "x-env": "***"}
    assert re.fullmatch("[0-9a-f]{16}", body["hash"])


# ---- under load ----

class Load:
    """HTTP/2 by h2rate, and HTTP/1.1 with keep-alive from threads of our own."""

    def __init__(self, lab, proxy, rate, seconds):
        self.out, self.seconds, self.stop = lab.path("load.jsonl"), seconds, False
        self.process = subprocess.Popen(
            [find_h2rate(lab.dir), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
             "--connections", "8", "--get-rate", str(rate * 9 // 10), "--post-rate", str(rate // 10), "--seconds", str(seconds),
             "--out", str(self.out)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.tls, self.port, self.h1, self.errors = client_tls(lab.certs.ca, ["http/1.1"]), proxy.port, 0, []
        self.threads = [threading.Thread(target=self._h1) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def _h1(self):
        while not self.stop:
            try:
                with H1Client(self.port, self.tls, NAME) as client:
                    for _ in range(50):
                        answer = client.request("GET", "/", host=NAME)
                        if answer.status != 200:
                            self.errors.append(answer.status)
                        self.h1 += 1
                        if self.stop or answer.get("connection") == "close":
                            break
            except (OSError, EOFError, ValueError) as e:
                self.errors.append(repr(e))

    def running(self):
        return self.process.poll() is None

    def finish(self):
        _, errors = self.process.communicate(timeout=self.seconds + 60)
        self.stop = True
        for thread in self.threads:
            thread.join(30)
        assert self.process.returncode == 0, errors
        lines = [json.loads(line) for line in self.out.read_text().splitlines()]
        return lines, [x for x in lines if x["status"] != 200]


@pytest.fixture
def load(lab):
    running = []

    def begin(*args):
        running.append(Load(lab, *args))
        return running[-1]
    yield begin
    for one in running:
        one.stop = True
        one.process.kill()
        one.process.wait()


def pause(seconds):
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end or None, seconds + 30, "the pause")


@pytest.mark.parametrize("rate, seconds", [(200, 6), pytest.param(2000, 60, marks=LONG)])
def test_reloads_under_load(start, emulator, load, rate, seconds):
    """Good, changed and bad files in turns, five a second: nobody notices, and what was learnt stays."""
    regions = {"near": emulator("near", 2), "far": emulator("far", 60)}
    proxy = start({n: r.url for n, r in regions.items()}, workers=2)
    proxy.wait_states({n: "healthy" for n in regions})
    good, changed = json.dumps(proxy.config, indent=1), json.loads(json.dumps(proxy.config))
    changed["services"]["orders"]["timeout"] = "20s"
    changed["routes"] = [{"service": "orders", "response_headers": {"set": {"x-changed": "yes"}}}]
    texts = [good, json.dumps(changed), "{ \"listeners\": 7 }"]
    running, turn, memory, shares = load(proxy, rate, seconds), 0, [], []
    while running.running():
        proxy.rewrite(text=texts[turn % 3])
        reload(proxy, 409 if turn % 3 == 2 else 200)
        turn += 1
        if turn > 10:
            memory.append(proxy.process.rss_kib())
            shares.append(proxy.shares()["near"])
        pause(0.15)
    lines, failed = running.finish()
    assert not failed and not running.errors, (failed[:3], running.errors[:3], len(lines))
    assert running.h1 > 20 and len(lines) > rate * seconds * 0.9
    assert turn > seconds * 3
    if not os.environ.get("ISO_SLOW"):  # 2 ms are not 2 ms there, and a sanitizer's quarantine grows with every free
        assert min(shares) > 0.95, "the near region keeps its share"
        assert max(memory) - memory[0] < 24 * 1024, memory
    print(f"{turn} reloads, {len(lines)} + {running.h1} requests, rss {memory[0]} to {max(memory)} KiB")


@pytest.mark.parametrize("rate, seconds", [(200, 6), pytest.param(1000, 60, marks=LONG)])
def test_regions_come_and_go_under_load(start, emulator, h2, load, rate, seconds):
    """
    One region stays. Beside it another one stands for a moment, breaks what runs there, and is gone from the next file:
    what it broke goes on by a file that is not in use any more. No GET fails; no POST runs twice, nor does a key of which
    two come at once.
    """
    stays, guests = emulator("stays", 5), [emulator(f"guest{i}", 40) for i in range(3)]
    proxy = start({n: {"url": r.url, "host": NAME} for n, r in (("stays", stays), ("guest", guests[0]))}, workers=2,
                  service={"timeout": "20s", "retry": {"budget": 1}, "balance": {"policy": "weighted"},
                           "health": {"interval": "1s", "timeout": "900ms"},
                           "idempotency": {"store": True, "duplicates": "wait"}})
    proxy.wait_states({"stays": "healthy", "guest": "healthy"})
    keyed, failed, running = {}, [], load(proxy, rate, seconds)

    def duplicates(number):
        clients, n = [h2(proxy) for _ in range(2)], 0
        try:
            while running.running():
                ident = f"key-{number}-{n}"
                begun = [(c, c.start("POST", "/", [("idempotency-key", ident), ("x-request-id", ident)], b"{}")) for c in clients]
                keyed[ident] = [(a.status, a.body) for a in (c.wait(sid) for c, sid in begun)]
                n += 1
        except Exception as e:
            failed.append(repr(e))
    threads = [threading.Thread(target=duplicates, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    turn = 0
    while running.running():
        guest, after = guests[turn % 3], guests[(turn + 1) % 3]
        after.set(mode="ok")
        guest.set(mode="reset")
        # By another URL under its name, or under another name: either is another region.
        move(proxy, stays=stays, **{("guest", "other")[turn // 2 % 2]: after})
        turn += 1
        pause(0.2)
    lines, bad = running.finish()
    for thread in threads:
        thread.join(60)
    counts = {}
    for region in (stays, *guests):
        for ident, n in region.executions().items():
            counts[ident] = counts.get(ident, 0) + n
    gets = [x for x in bad if x["method"] == "GET"]
    assert not gets and not running.errors and not failed, (gets[:3], running.errors[:3], failed[:3], len(lines))
    posts = {x["id"] for x in lines if x["method"] == "POST"} | set(keyed)
    assert not {i: n for i, n in counts.items() if i in posts and n > 1}
    odd = {i: [status for status, _ in answers] for i, answers in keyed.items() if answers[0][0] != answers[1][0]}
    # The one that waited for a request that may have run is told so; of one that answered both have the answer.
    assert all(sorted(statuses) == [409, 502] for statuses in odd.values()), odd
    assert all(answers[0] == answers[1] for answers in keyed.values() if answers[0][0] == 200)
    assert turn > seconds and len(keyed) > 20 and running.h1 > 20
    assert any(n for i, n in counts.items() if i in keyed)
    retries = proxy.metric("isochrone_retries_total", service="orders")
    assert retries > 10, "something was broken, and went on"
    print(f"{turn} reloads, {len(lines)} + {running.h1} + {len(keyed)} requests, {int(retries)} retries, {len(odd)} keys unknown")


# ---- SIGUSR2 ----

@pytest.fixture
def successor():
    """Ends, by id, the processes that took over from one that the lab knows."""
    pids = []
    yield pids.append
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
        try:
            wait_until(lambda: not pathlib.Path(f"/proc/{pid}/stat").exists() or
                       pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z", 30, "its end")
        finally:
            if pathlib.Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


def readies(proxy):
    return len(re.findall(r"^ready ", proxy.stderr, re.M))


def upgrade(proxy, pid, successor):
    """Sends SIGUSR2 to `pid` and waits until that process has gone; the new one's id."""
    known, ready = len(re.findall(r"upgrade: process \d+ is starting", proxy.stderr)), readies(proxy)
    os.kill(pid, signal.SIGUSR2)
    wait_until(lambda: readies(proxy) == ready + 1, 30 * SLOW, "the new process to be ready")
    new = int(re.findall(r"upgrade: process (\d+) is starting", proxy.stderr)[known])
    successor(new)
    return new


def gone(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split(")")[1].split()[0] == "Z"


@pytest.mark.parametrize("rate, seconds, times", [(200, 8, 2), pytest.param(2000, 30, 5, marks=LONG)])
def test_upgrades_under_load(start, emulator, load, successor, rate, seconds, times):
    regions = {n: emulator(n, 5) for n in ("one", "two")}
    proxy = start({n: r.url for n, r in regions.items()}, workers=2, limits={"drain_timeout": "10s"})
    proxy.wait_states({n: "healthy" for n in regions})
    running, pid = load(proxy, rate, seconds), proxy.process.pid
    for _ in range(times):
        pause(0.5)
        new = upgrade(proxy, pid, successor)
        assert new != pid
        wait_until(lambda: gone(pid), 20 * SLOW, "the process before to go")
        pid = new
    lines, failed = running.finish()
    assert not failed and not running.errors, (failed[:3], running.errors[:3])
    assert len(lines) > rate * seconds * 0.9 and running.h1 > 20
    assert proxy.process.popen.wait(10) == 0
    assert ask_tls(proxy) == 200, "the last one serves"
    assert proxy.metric("isochrone_requests_total") > 0, "its admin listener too"


def ask_tls(proxy):
    with H1Client(proxy.port, client_tls(proxy.lab.certs.ca, ["http/1.1"]), NAME) as client:
        return client.request("GET", "/", host=NAME).status


def test_an_upgrade_that_fails_changes_nothing(lab, start, emulator):
    """The file on disk has become bad, so the new process ends at once; then it is mended, and works."""
    proxy = start({"one": emulator("one").url})
    good = proxy.file.read_text()
    proxy.rewrite(text="{")
    proxy.send(signal.SIGUSR2)
    wait_until(lambda: "has ended with 1: this one goes on" in proxy.stderr, 20 * SLOW, "the failure")
    assert ask_tls(proxy) == 200
    proxy.rewrite(text=good)
    assert reload(proxy)["reloaded"] is True


def test_a_binary_that_ends_at_once(lab, emulator, successor):
    """The file at the binary's path is replaced by one that does nothing, and then by a good one."""
    binary = lab.path("isochrone")
    shutil.copy(find_binary(), binary)
    proxy = Isochrone.over(lab, {"one": emulator("one").url}, binary=str(binary))
    replace(binary, "/bin/false")
    proxy.send(signal.SIGUSR2)
    wait_until(lambda: "has ended with 1: this one goes on" in proxy.stderr, 20 * SLOW, "the failure")
    assert ask_tls(proxy) == 200 and proxy.process.alive()
    replace(binary, find_binary())
    new = upgrade(proxy, proxy.process.pid, successor)
    wait_until(lambda: gone(proxy.process.pid), 20 * SLOW, "the process before to go")
    assert ask_tls(proxy) == 200 and new != proxy.process.pid
    proxy.stop()


def test_a_binary_that_never_gets_ready(lab, emulator):
    binary = lab.path("isochrone")
    shutil.copy(find_binary(), binary)
    proxy = Isochrone.over(lab, {"one": emulator("one").url}, binary=str(binary), limits={"upgrade_timeout": "1s"})
    idle = lab.write("idle", "#!/bin/sh\nread forever < /dev/zero\n")
    idle.chmod(0o755)
    replace(binary, idle)
    proxy.send(signal.SIGUSR2)
    wait_until(lambda: "was killed by signal 9: this one goes on" in proxy.stderr, 20 * SLOW, "its end")
    assert "is not ready after limits.upgrade_timeout" in proxy.stderr and ask_tls(proxy) == 200
    proxy.stop()


def replace(binary, by):
    """Under the same name, as an installer does it: a running file cannot be written."""
    shutil.copy(by, f"{binary}.new")
    os.replace(f"{binary}.new", binary)


def test_an_upgrade_with_keys_in_memory_alone_is_refused(start, emulator):
    proxy = start({"one": emulator("one").url}, service={"idempotency": {"store": True}})
    proxy.send(signal.SIGUSR2)
    wait_until(lambda: "upgrade: refused: Idempotency-Keys are kept in memory only" in proxy.stderr, 20, "the words")
    assert ask_tls(proxy) == 200


def test_what_was_learnt_is_handed_over(start, emulator, h2, successor):
    """Times and failures are the new process's from its first moment, though it has sent nothing yet."""
    near, far, bad = emulator("near", 5), emulator("far", 50), emulator("bad", 1)
    proxy = start({n: r.url for n, r in (("near", near), ("far", far), ("bad", bad))}, workers=1,
                  service={"health": {"interval": "30s", "path": "/health"}, "retry": {"budget": 1}})
    proxy.wait_states({"near": "healthy", "far": "healthy", "bad": "healthy"})
    bad.set(mode="reset")
    client = h2(proxy)
    wait_until(lambda: client.get("/").status == 200 and proxy.shares()["bad"] < 0.01, 20 * SLOW, "the bad region to lose its share")
    before = proxy.region("near")["latency_ms"]["estimate"]
    new = upgrade(proxy, proxy.process.pid, successor)
    wait_until(lambda: gone(proxy.process.pid), 20 * SLOW, "the process before to go")
    assert "upgrade: what was learnt of 3 regions is kept" in proxy.stderr
    assert not [fd for fd in pathlib.Path(f"/proc/{new}/fd").iterdir() if "memfd:learnt" in os.readlink(fd)], "it was read, and closed"
    now = proxy.status()["services"]["orders"]["regions"]
    assert now["bad"]["share"] < 0.01
    assert now["near"]["share"] > 0.9 and now["near"]["latency_ms"]["estimate"] == pytest.approx(before, rel=0.2)


def test_kept_keys_are_handed_over_by_the_journal(lab, start, emulator, h2, successor):
    """Keyed requests come without a pause: each key runs once, before, during and after the upgrade."""
    one = emulator("one", 20)
    proxy = start({"one": {"url": one.url, "host": NAME}}, workers=2, idempotency={"journal": str(lab.path("journal"))},
                  service={"idempotency": {"store": True}})
    old, said, numbers, stop = proxy.process.pid, {}, itertools.count(), False
    first = h2(proxy).post("/", b"{}", [("idempotency-key", '"before"')])

    def ask():
        while not stop:
            key = next(numbers)
            try:
                said[key] = [h2(proxy).post("/", b"{}", [("idempotency-key", f'"k{key}"')]).status for _ in range(2)]
            except Exception as e:
                said[key] = repr(e)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        upgrade(proxy, old, successor)
        wait_until(lambda: gone(old), 20 * SLOW, "the process before to go")
        after = len(said)
        wait_until(lambda: len(said) > after + 20, 30 * SLOW, "more requests")
    finally:
        stop = True
        for thread in threads:
            thread.join(60)
    assert {k: v for k, v in said.items() if v != [200, 200]} == {}
    again = h2(proxy).post("/", b"{}", [("idempotency-key", '"before"')])
    assert again.get("idempotent-replayed") == "true" and again.body == first.body
    assert one.executed() == len(said) + 1


# ---- service managers ----

def test_socket_activation_and_notifications(lab, emulator):
    """As systemd does it: listening sockets from descriptor 3 on, and a datagram socket for states."""
    listening, admin = socket.create_server((HOST, 0)), socket.create_server((HOST, 0))
    port = listening.getsockname()[1]
    states = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place = str(lab.path("notify"))
    states.bind(place)
    states.settimeout(30 * SLOW)
    config = {"listeners": [clear(port)], "admin": clear(admin.getsockname()[1]), "workers": 3,
              "services": {"s": {"regions": {"one": {"url": emulator("one", tls=False).url}}}}}
    file = lab.write("activated.json", json.dumps(config))
    # The client comes before the proxy: the socket is there already.
    early = socket.create_connection((HOST, port))
    early.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
    script = ('import os, sys\n'
              'for at, fd in enumerate(map(int, sys.argv[1].split(",")), 3):\n    os.dup2(fd, at + 20)\n'
              'for at in (3, 4):\n    os.dup2(at + 20, at)\n'
              'os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2")\n'
              'os.execv(sys.argv[2], sys.argv[2:])\n')
    binary = find_binary()
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", script, f"{listening.fileno()},{admin.fileno()}", binary, "-c", str(file)],
        pass_fds=[listening.fileno(), admin.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment({"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "400000"}))
    listening.close()
    admin.close()
    try:
        assert states.recv(200).decode().split("\n")[0] == "READY=1"
        assert early.recv(100).startswith(b"HTTP/1.1 200 ")
        assert [ask(port) for _ in range(20)] == [200] * 20
        assert http_json("GET", config["admin"]["address"].split(":")[1], "/healthz")[0] == 200
        assert states.recv(200) == b"WATCHDOG=1"
        os.kill(process.pid, signal.SIGHUP)
        assert state_of(states).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert state_of(states) == b"READY=1"
    finally:
        process.terminate()
        _, said = process.communicate(timeout=30 * SLOW)
    assert process.returncode == 0, said
    assert state_of(states) == b"STOPPING=1"
    early.close()
    states.close()


def state_of(states):
    """The next that is no sign of life."""
    return wait_until(lambda: (state := states.recv(200)) != b"WATCHDOG=1" and state, 30 * SLOW, "a state")
