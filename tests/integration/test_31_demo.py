"""`isochrone demo` as somebody meets it who has just cloned the project: what it prints can be typed."""
import json
import os
import re
import shlex
import socket
import subprocess

import pytest

from lab import HOST, accepts, find_binary, free_port, http_json, wait_until
from product import SANITIZER, SLOW, environment

REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-2"]


def curl(command):
    """A printed line, run as it stands but quietly and bounded; (status, HTTP version, body)."""
    words = [word for word in shlex.split(command, comments=True)]
    done = subprocess.run([words[0], "-sS", "--max-time", "10", "-w", "\n%{http_code} %{http_version}", *words[1:]],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    body, _, last = done.stdout.rpartition("\n")
    status, version = last.split()
    return int(status), version, body


def children(process):
    return [pid for pid in process.tree() if pid != process.pid]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Demo:
    def __init__(self, lab, *arguments):
        self.process = lab.start("demo", [find_binary(), "demo", *arguments], env=environment())
        self.process.wait_output("each second:", 30 * SLOW)
        self.lines = self.process.output().splitlines()
        self.pids = children(self.process)

    def line(self, pattern):
        found = [line.strip() for line in self.lines if re.search(pattern, line)]
        assert len(found) == 1, (pattern, self.lines)
        return found[0]

    @property
    def status(self):
        code, _, body = curl(self.line(r"curl http://.*/status"))
        assert code == 200
        return json.loads(body)["services"]["demo"]["regions"]

    def directory(self):
        return re.search(r"--cacert (\S+)/ca\.pem", self.line("--http2"))[1]

    def ended(self, code):
        """It has ended so, with all that it had started, and has left nothing behind."""
        assert code == 0, self.process.output()[-3000:]
        assert not [pid for pid in self.pids if alive(pid)]
        assert not os.path.exists(self.directory())
        assert not SANITIZER.search(self.process.output())


@pytest.fixture
def demo(lab):
    made = Demo(lab, "--port", "0")
    yield made
    made.pids += [pid for pid in children(made.process) if pid not in made.pids]
    made.ended(lab.end(made.process))


def test_what_it_prints_can_be_typed(demo):
    assert [line for line in demo.lines if line.startswith("starting ")] == [
        "starting us-east-1, 20 ms away", "starting eu-west-1, 40 ms away", "starting ap-southeast-2, 120 ms away"]
    status, version, _ = curl(demo.line("--http2"))
    assert (status, version) == (200, "2")
    assert list(demo.status) == REGIONS
    wait_until(lambda: all(region["state"] == "healthy" for region in demo.status.values()), 10 * SLOW, "healthy regions")

    def shares():
        return [demo.status[name]["share"] for name in REGIONS]
    wait_until(lambda: shares()[0] > shares()[1] > shares()[2], 15 * SLOW, "shares in the order of the distances")
    assert abs(sum(shares()) - 1) < 0.02

    # The line for each region makes that one slow; the nearest first.
    status, _, _ = curl(demo.line(r"# us-east-1 becomes slow"))
    assert status in (200, 204)
    wait_until(lambda: demo.status["us-east-1"]["share"] < 0.05, 15 * SLOW, "the slow region's share to fall")
    assert curl(demo.line("--http2"))[:2] == (200, "2")


def test_every_state_that_it_names_is_one(demo):
    address = re.search(r"http://(\S+)/state", demo.line("# eu-west-1 becomes slow"))[1]
    port = int(address.rpartition(":")[2])
    states = re.findall(r"\{[^}]*\}", " ".join(line for line in demo.lines if '"mode"' in line))
    assert len(states) >= 5
    for state in states:
        assert http_json("PUT", port, "/state", json.loads(state))[0] in (200, 204), state
    assert http_json("PUT", port, "/state", {"mode": "no such"})[0] == 400


def test_a_region_that_is_killed(demo):
    command = shlex.split(demo.line("kill -9"), comments=True)
    assert int(command[-1]) in demo.pids
    subprocess.run(command, check=True)
    wait_until(lambda: demo.status["us-east-1"]["share"] == 0, 15 * SLOW, "the dead region to be left out")
    for _ in range(5):
        assert curl(demo.line("--http2"))[:2] == (200, "2")


def test_it_ends_by_itself(lab):
    made = Demo(lab, "--port=0", "--seconds", "3")
    made.pids = children(made.process)
    code = made.process.popen.wait(30 * SLOW)
    lab.processes.remove(made.process)
    seconds = re.findall(r"^ +(\d)s  \| .*$", made.process.output(), re.M)
    assert seconds == ["1", "2", "3"]
    last = made.process.output().strip().splitlines()[-1]
    assert re.findall(r"\| (\S+) +\S+ +([\d.]+) %", last)[0][0] == "us-east-1" and len(last.split("|")) == 4
    assert abs(sum(float(share) for _, share in re.findall(r"\| (\S+) +\S+ +([\d.]+) %", last)) - 100) < 1
    made.ended(code)


def test_an_end_before_it_is_ready(lab):
    process = lab.start("demo", [find_binary(), "demo", "--port", "0"], env=environment())
    wait_until(lambda: children(process), 15 * SLOW, "something that it starts")
    assert lab.end(process) is not None
    assert not SANITIZER.search(process.output())


def test_a_demo_that_is_killed_leaves_nothing_behind(lab):
    process = lab.start("demo", [find_binary(), "demo", "--port", "0"], env=environment())
    wait_until(lambda: len(children(process)) >= 3, 15 * SLOW, "what it starts")
    pids = children(process)
    process.kill()
    lab.processes.remove(process)
    wait_until(lambda: not any(alive(pid) for pid in pids), 15 * SLOW, "their ends")


def test_a_port_that_is_taken(lab):
    with socket.socket() as taken:
        taken.bind((HOST, free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        process = lab.start("demo", [find_binary(), "demo", "--port", str(port)], env=environment())
        assert process.popen.wait(60 * SLOW) == 1
        lab.processes.remove(process)
    assert f"is port {port} free?" in process.output()
    assert "Try, in another terminal" not in process.output()
    assert not accepts(port + 1)


@pytest.mark.parametrize("arguments", [
    ["--port", "x"], ["--port", "-1"], ["--port", "65535"], ["--port", ""], ["--port"], ["--seconds", "soon"],
    ["--seconds", "-1"], ["--ports", "1"], ["extra"],
])
def test_a_wrong_command_line(arguments):
    done = subprocess.run([find_binary(), "demo", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30, env=environment())
    assert done.returncode == 2 and done.stderr.startswith("isochrone demo: ") and done.stdout == ""
