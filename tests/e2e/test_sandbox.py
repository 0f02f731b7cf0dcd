"""What the systemd unit forbids is nothing that the proxy does: its system calls against the unit's filter.

systemd does not run here, so the calls are counted by strace, through a whole life: start, requests, reload, a new
binary, drain; and once more with a journal and a log on disk.
"""
import re

import pytest

from h1client import H1Client, client_tls
from h2client import H2Client
from lab import HOST, NAME, ROOT, free_port, http_json, isochrone_config, run, wait_until
from product import Isochrone

UNIT = (ROOT / "conf" / "systemd" / "isochrone.service").read_text()


def members(name):
    """The system calls of a set of systemd's, sets within it included."""
    found = set()
    for line in run(["systemd-analyze", "syscall-filter", "--no-pager", name]).splitlines():
        word = line.strip()
        if not line.startswith(" ") or word.startswith("#"):
            continue
        found |= members(word) if word.startswith("@") else {word}
    return found


@pytest.fixture(scope="module")
def allowed():
    calls = set()
    for rule in re.findall(r"^SystemCallFilter=(.*)$", UNIT, re.M):
        for word in rule.lstrip("~").split():
            calls = calls - members(word) if rule.startswith("~") else calls | members(word)
    assert "epoll_wait" in calls and "chroot" not in calls
    # systemd lets these through whatever the filter says.
    return calls | {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn"}


def traced(lab, regions, **more):
    admin, trace = free_port(), lab.dir / "trace"
    config, port = isochrone_config(lab, regions, admin={"address": f"{HOST}:{admin}"}, **more)
    proxy = Isochrone(lab, config, port, admin, before=("strace", "-f", "-qq", "-o", trace))
    return proxy, trace


def calls_of(trace):
    """(name, the rest of the line) of what was asked of the kernel after the proxy itself had been started."""
    lines = trace.read_text(errors="replace").splitlines()[1:]
    return [m.groups() for m in (re.match(r"\d+\s+(\w+)\((.*)", line) for line in lines) if m]


def judge(trace, allowed):
    calls = calls_of(trace)
    assert len(calls) > 1000 and {"epoll_wait", "sendmsg"} <= {name for name, _ in calls}
    assert {name for name, _ in calls} <= allowed
    # MemoryDenyWriteExecute: nothing is writable and executable, and nothing becomes executable.
    assert not [x for name, x in calls if name == "mmap" and "PROT_WRITE" in x and "PROT_EXEC" in x]
    assert not [x for name, x in calls if name in ("mprotect", "pkey_mprotect") and "PROT_EXEC" in x]
    families = {m[1] for m in (re.match(r"(AF_\w+)", x) for name, x in calls if name == "socket") if m}
    assert families <= set(re.search(r"^RestrictAddressFamilies=(.*)$", UNIT, re.M)[1].split())


def talk(proxy, certs):
    with H2Client(proxy.port, ca=certs.ca) as client:
        assert [client.get("/").status for _ in range(20)] == [200] * 20
        assert client.post("/", headers=[("idempotency-key", "one")], body=b"{}").status == 200
    with H1Client(proxy.port, client_tls(certs.ca, ["http/1.1"]), NAME) as client:
        assert client.request("GET", "/", host=NAME).status == 200


def end(proxy, pid):
    """The proxy's own process is told; strace ends with the last one that it traces."""
    run(["kill", "-TERM", str(pid)])
    wait_until(lambda: not proxy.process.alive(), 60, "the end")


def test_a_whole_life_with_a_new_binary(lab, emulator, certs, allowed):
    proxy, trace = traced(lab, {n: emulator(n).url for n in ("one", "two")}, workers=2, access_log={"path": "-"})
    first = proxy.process.tree()[1]
    talk(proxy, certs)
    proxy.config["services"]["orders"]["timeout"] = "7s"
    proxy.rewrite()
    run(["kill", "-HUP", str(first)])
    wait_until(lambda: http_json("GET", proxy.admin, "/config")[2]["generation"] == 2, 60, "the reload")
    run(["kill", "-USR2", str(first)])
    wait_until(lambda: proxy.stderr.count("ready ") == 2, 60, "the successor")
    wait_until(lambda: first not in proxy.process.tree(), 60, "the first one to go")
    talk(proxy, certs)
    end(proxy, re.search(r"^upgrade: process (\d+) is starting", proxy.stderr, re.M)[1])
    judge(trace, allowed)


def test_a_journal_and_a_log_on_disk(lab, emulator, certs, allowed):
    proxy, trace = traced(lab, {"one": emulator("one").url}, service={"idempotency": {"store": True}},
                          idempotency={"journal": str(lab.dir / "journal")}, access_log={"path": str(lab.dir / "log")})
    pid = proxy.process.tree()[1]
    talk(proxy, certs)
    run(["kill", "-USR1", str(pid)])
    talk(proxy, certs)
    end(proxy, pid)
    judge(trace, allowed)
    assert "fdatasync" in {name for name, _ in calls_of(trace)} or "fsync" in {name for name, _ in calls_of(trace)}


def test_the_judge_would_find_a_call(allowed):
    assert {"mount", "ptrace", "reboot", "setuid", "init_module"}.isdisjoint(allowed)
