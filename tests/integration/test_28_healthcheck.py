"""isochrone healthcheck and status, which ask a running proxy; and being a container's first process."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from lab import HOST, find_binary, free_port, http_json, wait_until
from product import SLOW, environment


def check(*arguments, env=None):
    done = subprocess.run([find_binary(), "healthcheck", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, env=environment(env))
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.fixture
def pair(start, emulator):
    emulators = {name: emulator(name) for name in ("one", "two")}
    proxy = start({name: e.url for name, e in emulators.items()},
                  service={"health": {"interval": "200ms", "timeout": "150ms"}})
    proxy.emulators = emulators
    proxy.wait_states({name: "healthy" for name in emulators})
    return proxy


def test_healthy_by_address_file_and_environment(pair):
    address = f"{HOST}:{pair.admin}"
    for arguments, env in ((("--admin", address), None), (("-c", pair.file), None),
                           ((), {"ISOCHRONE_CONFIG": str(pair.file)}), ((), {"ISOCHRONE_ADMIN": address}),
                           (("--alive", "--admin", f"localhost:{pair.admin}"), None)):
        assert check(*arguments, env=env) == (0, "healthy")


def test_one_region_is_enough_and_none_is_not(pair):
    address = f"{HOST}:{pair.admin}"
    pair.emulators["one"].set(mode="status", status=503)
    wait_until(lambda: not pair.region("one")["up"], 20, "region one to be out")
    assert check("--admin", address) == (0, "healthy")
    pair.emulators["two"].set(mode="status", status=503)
    wait_until(lambda: check("--admin", address)[0] == 1, 20 * SLOW, "the check to fail")
    code, said = check("--admin", address)
    assert (code, said) == (1, "unhealthy: no region of any service is up: requests go to all that are not drained")
    assert http_json("GET", pair.admin, "/readyz")[0] == 503
    assert check("--alive", "--admin", address) == (0, "healthy"), "a restart would help nobody"
    for one in pair.emulators.values():
        one.set(mode="ok")
    wait_until(lambda: check("--admin", address)[0] == 0, 20 * SLOW, "the check to pass again")


def test_another_service_that_works_is_enough(start, emulator):
    good, bad = emulator("good"), emulator("bad")
    bad.set(mode="status", status=503)
    health = {"interval": "200ms", "timeout": "150ms"}
    proxy = start({"good": good.url}, service={"health": health})
    proxy.config["services"]["other"] = {"regions": {"bad": {"url": bad.url, "host": "api.example.test"}},
                                         "tls": proxy.config["services"]["orders"]["tls"], "health": health}
    proxy.config["routes"] = [{"match": {"path": "/other/*"}, "service": "other"}, {"service": "orders"}]
    proxy.rewrite()
    proxy.send(signal.SIGHUP)
    wait_until(lambda: proxy.status()["services"].get("other", {}).get("fail_open"), 20, "the other service to be down")
    assert check("--admin", f"{HOST}:{proxy.admin}") == (0, "healthy")


def test_every_region_unreachable(pair):
    for one in pair.emulators.values():
        one.kill()
    wait_until(lambda: check("-c", pair.file)[0] == 1, 20 * SLOW, "the check to fail")
    assert "no region" in check("-c", pair.file)[1]


def test_a_bad_file_on_disk_is_no_illness(pair):
    """The process goes on with the file that it has read: a container must not be replaced for a typing error."""
    pair.rewrite({**pair.config, "listenerz": 1, "services": {}})
    assert check("-c", pair.file) == (0, "healthy")


@pytest.mark.parametrize("config, words", [
    ("{", "this is not JSON"),
    ("{}", "has no admin.address to ask"),
    (json.dumps({"admin": {"address": "${ISO_NOT_SET}"}}), "the environment variable ISO_NOT_SET is not set"),
    (json.dumps({"admin": {"address": "127.0.0.1"}}), "does not answer"),
    (json.dumps({"admin": {"address": "no.such.host.invalid:1"}}), "does not answer"),
])
def test_no_address_to_ask(tmp_path, config, words):
    path = tmp_path / "isochrone.json"
    path.write_text(config)
    code, said = check("-c", path)
    assert code == 1 and words in said and "\n" not in said


def test_no_file(tmp_path):
    code, said = check("-c", tmp_path / "none.json")
    assert code == 1 and "none.json" in said and "\n" not in said


def test_variables_in_the_address(pair, tmp_path):
    path = tmp_path / "variables.json"
    path.write_text(json.dumps({"admin": {"address": "${ISO_T_HOST}:${ISO_T_PORT}"}}))
    assert check("-c", path, env={"ISO_T_HOST": HOST, "ISO_T_PORT": str(pair.admin)}) == (0, "healthy")


def test_nobody_listens():
    code, said = check("--admin", f"{HOST}:{free_port()}")
    assert code == 1 and "Connection refused" in said and "\n" not in said


def test_an_answer_that_never_ends(tmp_path):
    """One byte at a time does not put the end off."""
    listener, stop = socket.create_server((HOST, 0)), threading.Event()

    def trickle():
        peer, _ = listener.accept()
        with peer:
            while not stop.wait(0.05):
                try:
                    peer.send(b"H")
                except OSError:
                    return
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        code, said = check("--timeout", "300ms", "--admin", "%s:%d" % listener.getsockname())
    finally:
        stop.set()
        thread.join()
        listener.close()
    assert code == 1 and "does not answer" in said and "\n" not in said


def test_something_else_answers():
    listener = socket.create_server((HOST, 0))

    def greet():
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"220 mail.example.test ESMTP\r\n")
    thread = threading.Thread(target=greet)
    thread.start()
    code, said = check("--admin", "%s:%d" % listener.getsockname())
    thread.join()
    listener.close()
    assert code == 1 and "is no admin API" in said and "\n" not in said


@pytest.mark.parametrize("arguments", [["--timeout", "soon"], ["--timeout", "0s"], ["--admin"], ["--what"], ["word"]])
def test_wrong_usage(arguments):
    assert check(*arguments)[0] == 2


# ---- status ----

def status(*arguments):
    done = subprocess.run([find_binary(), "status", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, env=environment())
    return done.returncode, done.stdout, done.stderr.strip()


def test_status_is_a_table(pair):
    code, table, errors = status("-c", pair.file)
    assert (code, errors) == (0, "") and f"configuration 1 of {pair.file}" in table
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.startswith("  ")}
    assert set(rows) == {"region", "one", "two"} and "service orders, policy latency\n" in table
    for name, region in pair.status()["services"]["orders"]["regions"].items():
        assert rows[name][1] == region["state"] == "healthy" and 0 < float(rows[name][2]) < 100


def test_status_says_what_is_wrong(pair):
    for one in pair.emulators.values():
        one.set(mode="status", status=503)
    wait_until(lambda: "no region is up" in status("-c", pair.file)[1], 20 * SLOW, "the table to say so")
    table = status("-c", pair.file)[1]
    why = pair.region("one")["why"]
    assert why and why in table


def test_status_as_json(pair):
    code, text, _ = status("--json", "--admin", f"{HOST}:{pair.admin}")
    assert code == 0 and set(json.loads(text)["services"]["orders"]["regions"]) == {"one", "two"}


def test_status_of_nobody(tmp_path):
    code, text, errors = status("--admin", f"{HOST}:{free_port()}")
    assert (code, text) == (1, "") and "Connection refused" in errors
    assert status("-c", tmp_path / "none.json")[0] == 1
    assert status("--what")[0] == 2


# ---- A container's first process ----

FIRST = """
import os, sys
fifo, before, *proxy = sys.argv[1:]
child = os.fork()
if child == 0:
    before == "yes" or open(fifo).read()
    os._exit(0)
before == "yes" and os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
os.execv(proxy[0], proxy)
"""


@pytest.mark.parametrize("before", ["yes", "no"])
def test_the_first_process_takes_in_what_ends(lab, start, emulator, before):
    """What others have left behind is not left as a zombie, whether it ended before the proxy had begun or later."""
    proxy = start({"one": emulator("one").url})
    proxy.stop()
    fifo = lab.dir / "fifo"
    os.mkfifo(fifo)
    process = lab.start("first", ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", FIRST, fifo, before,
                                  find_binary(), "-c", proxy.file], env=environment({"ASAN_OPTIONS": "detect_leaks=0"}))
    process.wait_output("ready ", 20 * SLOW)
    if before == "no":
        assert len(process.tree()) == 3
        fifo.write_text("end\n")
    wait_until(lambda: len(process.tree()) == 2, 20, "it to be taken in")
    os.kill(process.tree()[1], signal.SIGTERM)
    assert process.popen.wait(20 * SLOW) == 0


def test_the_first_process_is_not_replaced(lab, start, emulator):
    """SIGUSR2 would end the container together with the old process."""
    proxy = start({"one": emulator("one").url})
    proxy.stop()
    process = lab.start("first", ["unshare", "--pid", "--fork", "--kill-child", find_binary(), "-c", proxy.file],
                        env=environment({"ASAN_OPTIONS": "detect_leaks=0"}))
    process.wait_output("ready ", 20 * SLOW)
    first = process.tree()[1]
    os.kill(first, signal.SIGUSR2)
    assert "replace the container" in process.wait_output("upgrade: refused", 10 * SLOW)
    assert http_json("GET", proxy.admin, "/readyz")[0] == 200
    os.kill(first, signal.SIGTERM)
    assert process.popen.wait(20 * SLOW) == 0
