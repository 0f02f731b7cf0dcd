"""The network that the tests of far regions stand on (tests/tools/wan.c): it does what it is told, no more."""
import os
import signal
import socket
import subprocess
import time

import pytest

from lab import LabError, find_wan, wait_until
from wan import Wan

PORT = 4000
SO_RCVBUFFORCE = 33  # room for all that is sent before anything is read, whatever the system's limit


@pytest.fixture
def wan(lab):
    """wan(settings of the link between a and b, …): a network of two."""
    made = []

    def begin(nodes=("a", "b"), seed=1, packets=None, **given):
        made.append(Wan(lab, nodes, {("a", "b"): given} if given else {}, seed, packets))
        return made[-1]
    yield begin
    for one in made:
        one.close()


def receiver(network, name):
    with network.spaces[name]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((network.addresses[name], PORT))
    sock.settimeout(10)
    return sock


def send(network, name, count, size=100, to="b", gap=0.0):
    """So many datagrams, numbered; `gap` seconds apart, by waiting for the next one's time."""
    with network.spaces[name]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    began = time.monotonic()
    with sock:
        for i in range(count):
            if gap:
                wait_until(lambda: time.monotonic() >= began + i * gap, 10, "its time", every=gap / 10)
            sock.sendto(i.to_bytes(size, "big"), (network.addresses.get(to, to), PORT))


def receive(sock, network):
    """The numbers of all that arrived from a, in their order; one more datagram tells where they end."""
    got = []
    network.path("a", "b", loss=0)
    send(network, "a", 1, 99)
    while True:
        data = sock.recv(2000)
        if len(data) == 99:
            return got
        got.append(int.from_bytes(data, "big"))


def trips(network, count=5):
    """Round trips between a and b in ms."""
    took = []
    with receiver(network, "a") as a, receiver(network, "b") as b:
        for _ in range(count):
            began = time.monotonic()
            a.sendto(b"x", b.getsockname())
            b.sendto(b"y", b.recvfrom(10)[1])
            a.recv(10)
            took.append((time.monotonic() - began) * 1000)
    return took


def test_delay(wan):
    network = wan(delay=20)
    took = trips(network)
    assert min(took) >= 40 and min(took) < 60, took
    network.link("a", "b", delay=5)
    took = trips(network)
    assert min(took) >= 10 and min(took) < 30, took
    network.path("b", "a", delay=45)
    took = trips(network)
    assert min(took) >= 50 and min(took) < 70, took


def test_jitter_keeps_the_order(wan):
    network = wan(delay=10, jitter=10)
    with receiver(network, "b") as sock:
        send(network, "a", 500)
        assert receive(sock, network) == list(range(500))
    took = trips(network, 30)
    assert max(took) - min(took) > 10 and min(took) < 20, took


def test_a_path_that_becomes_shorter_keeps_the_order(wan):
    network = wan(delay=100)
    with receiver(network, "b") as sock:
        send(network, "a", 50)
        network.link("a", "b", delay=1)
        assert receive(sock, network) == list(range(50))


def test_loss_is_the_seeds(wan):
    lost = []
    for seed in (7, 7, 8):
        network = wan(seed=seed)
        network.path("a", "b", loss=10)
        with receiver(network, "b") as sock:
            send(network, "a", 1000, gap=0.00002)
            got = receive(sock, network)
        counts = network.end()
        lost.append(sorted(set(range(1000)) - set(got)))
        assert counts["lost"] == len(lost[-1]) and counts["full"] == 0, counts
        assert counts["forwarded"] == 1001 - counts["lost"]
        # Binomial with n = 1000, p = 0.1: a standard deviation of 9.5; four of them.
        assert 62 <= len(lost[-1]) <= 138
    assert lost[0] == lost[1] != lost[2]


def test_loss_of_a_path_is_its_own(wan):
    """What another path carries and loses changes nothing; the way back loses nothing."""
    got = []
    for other in (0, 100):
        network = wan(("a", "b", "c"))
        network.path("a", "b", loss=10)
        network.path("c", "a", loss=50)
        with receiver(network, "b") as sock:
            for _ in range(3):
                send(network, "c", other, to="a")
                send(network, "a", 100)
            got.append(receive(sock, network))
        assert len(trips(network, 20)) == 20
        counts = network.end()
        assert counts["lost"] > 300 - len(got[-1]) or other == 0
    assert got[0] == got[1] and 230 < len(got[0]) < 300, got


def test_rate(wan):
    """A 1 Mbit/s path: 1,028 bytes take 8.2 ms."""
    network = wan(rate=1, queue=1000)
    with receiver(network, "b") as sock:
        began = time.monotonic()
        send(network, "a", 50, 1000)
        assert receive(sock, network) == list(range(50))
        took = time.monotonic() - began
    assert 0.41 <= took < 0.8, took


def test_a_queue_that_is_full(wan):
    """The first goes at once; as many wait as 100 ms have room for: 13, since the last may begin to wait at 98.7 ms."""
    network = wan(rate=1, queue=100)
    with receiver(network, "b") as sock:
        send(network, "a", 50, 1000)
        network.link("a", "b", queue=1000)
        got = receive(sock, network)
    counts = network.end()
    assert 13 <= len(got) <= 16 and got == list(range(len(got))), got
    assert counts["full"] == 50 - len(got) and counts["lost"] == 0


def test_memory_is_bounded(wan):
    network = wan(packets=10, delay=800)
    with receiver(network, "b") as sock:
        send(network, "a", 40)
        sock.recv(200)
        got = 1 + len(receive(sock, network))
    assert got == 10
    assert network.end() == {"forwarded": 11, "lost": 0, "full": 30, "stray": 0}


def test_what_is_for_nobody(wan):
    network = wan()
    send(network, "a", 3, to="10.77.0.99")
    trips(network, 1)
    assert network.end() == {"forwarded": 2, "lost": 0, "full": 0, "stray": 3}


# ---- Beginning and end ----

def of_namespace(inode):
    """Processes that are in a network namespace."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino == inode:
                found.append(int(pid))
        except OSError:
            pass
    return found


def test_it_ends_with_its_parent(lab, wan):
    """Its standard input ends with whoever held it; what ran in its namespaces keeps them, nobody else does."""
    network = wan()
    with network.spaces["a"]:
        inode = os.stat("/proc/thread-self/ns/net").st_ino
        sleeper = lab.start("sleeper", ["sleep", "60"])
    assert of_namespace(inode) == [sleeper.pid] and os.stat("/proc/self/ns/net").st_ino != inode
    network.process.popen.stdin.close()
    assert network.process.popen.wait(10) == 0
    assert network.process.output().splitlines()[-1].startswith("forwarded ")
    lab.end(sleeper)
    assert of_namespace(inode) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it(lab, number):
    """Also where its standard input is nothing that ends."""
    process = lab.start("wan", [find_wan(lab.dir), "node a 10.0.0.1/24"])
    process.wait_output("ready")
    assert process.stop(number) == 0
    assert process.output().splitlines()[-1] == "forwarded 0 lost 0 full 0 stray 0"


def test_a_killed_one_leaves_nothing(wan):
    network = wan()
    with network.spaces["b"]:
        inode = os.stat("/proc/thread-self/ns/net").st_ino
    network.process.kill()
    assert of_namespace(inode) == []


A, B = "node a 10.0.0.1/24", "node b 10.0.0.2/24"


@pytest.mark.parametrize("args, words", [
    (["node sixteen-letters- 10.0.0.1/24"], "sixteen-letters-: a name has 1 to 15 characters"),
    (["node a 10.0.0.1"], "10.0.0.1: an IPv4 address and its network's bits"),
    (["node a 10.0.0.256/24"], "10.0.0.256/24: an IPv4 address and 8 to 30 bits"),
    (["node a 10.0.0.1/31"], "10.0.0.1/31: an IPv4 address and 8 to 30 bits"),
    (["node a 10.0.0.1/24x"], "10.0.0.1/24x: an IPv4 address and 8 to 30 bits"),
    (["node a ::1/64"], "::1/64: an IPv4 address and 8 to 30 bits"),
    ([A, "node a 10.0.0.2/24"], "a: there is a node of this name already"),
    ([A, "node b 10.0.0.1/24"], "b: a has this address already"),
    ([f"node n{i} 10.0.0.{i}/24" for i in range(1, 18)], "n17: there are 16 nodes already"),
    ([A, "link a b delay=1"], "b: there is no such node"),
    ([A, "path a a delay=1"], "a: no path leads from a node to itself"),
    ([A, B, "link a b delay=ten"], "delay=ten: a number from 0 to 60000"),
    ([A, B, "link a b delay=-1"], "delay=-1: a number from 0 to 60000"),
    ([A, B, "link a b delay="], "delay=: a number from 0 to 60000"),
    ([A, B, "link a b loss=101"], "loss=101: a number from 0 to 100"),
    ([A, B, "link a b loss=nan"], "loss=nan: a number from 0 to 100"),
    ([A, B, "link a b rate=1e9"], "rate=1e9: a number from 0 to 100000"),
    ([A, B, "link a b latency=1"], "latency=1: known are delay, jitter, queue (ms), loss (%), rate (Mbit/s)"),
    ([A, B, "link a b"], "'link': `node NAME ADDRESS/BITS`"),
    (["a b c d e f g h i"], "a: more than 8 words"),
    ([""], "'': `node NAME ADDRESS/BITS`"),
])
def test_what_is_wrong_is_said(lab, args, words):
    done = subprocess.run([find_wan(lab.dir), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith(f"wan: {words}"), done


@pytest.mark.parametrize("args", [[], ["--seed", "x", A], ["--seed", "-1", A], ["--packets", "0", A], ["--what", A],
                                  ["--packets", "9999999", A]])
def test_usage(lab, args):
    done = subprocess.run([find_wan(lab.dir), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "usage: wan " in done.stderr, done


@pytest.mark.parametrize("before, words", [
    (["setpriv", "--bounding-set", "-sys_admin"],
     "wan: cannot make a network namespace: Operation not permitted: root may"),
    (["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$0" "$@"'],
     "wan: /dev/net/tun: No such file or directory: the kernel has no TUN devices, or a container hides them"),
])
def test_what_the_machine_lacks_is_said(lab, before, words):
    done = subprocess.run([*before, find_wan(lab.dir), A], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 1 and done.stderr.strip() == words, done


def test_bad_commands_change_nothing(wan):
    network = wan(delay=20)
    for line, words in (("link a b delay=1 loss=200", "loss=200: a number"), ("link a c delay=1", "c: there is no such node"),
                        ("node c 10.0.0.3/24", "all are named when the network is started"), ("", "'': `node"),
                        ("link " + "a" * 1000 + " b delay=1", "'link': `node")):
        with pytest.raises(LabError) as error:
            network.command(line)
        assert words in str(error.value)
    took = trips(network)
    assert min(took) >= 40, took
