"""Regions far away: network namespaces with delay, loss and limits between them (wan.c), and regions inside them.

A namespace is entered with `with wan.spaces[name]:`. What the calling thread opens and starts in there belongs to it:
sockets, processes. The namespaces have no names, so that runs beside each other cannot meet, and they end with the
last process in them, whatever becomes of the test.
"""
import ctypes
import os
import re
import subprocess

from lab import LabError, find_wan, wait_until
from product import Emulator

CLONE_NEWNET = 0x40000000
NETWORK = "10.77.0"
HOME = "proxy"  # the node where the proxy and its clients are

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")


class Space:
    """A network namespace; leaving it leads back to where the thread was before."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._before = []

    def __enter__(self):
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self._fd)
        except LabError:
            os.close(before)
            raise
        self._before.append(before)
        return self

    def __exit__(self, *_):
        before = self._before.pop()
        _enter(before)
        os.close(before)

    def close(self):
        os.close(self._fd)


def settings(given):
    return " ".join(f"{key}={value}" for key, value in given.items())


class Wan:
    """The network. `nodes`: names; `links`: {(name, name): {delay: ms one way, jitter: ms, loss: %, rate: Mbit/s}}."""

    def __init__(self, lab, nodes, links, seed=1, packets=None):
        self.lab = lab
        self.addresses = {name: f"{NETWORK}.{i}" for i, name in enumerate(nodes, 1)}
        args = [find_wan(lab.dir), "--seed", str(seed), *(["--packets", str(packets)] if packets else []),
                *(f"node {name} {address}/24" for name, address in self.addresses.items()),
                *(f"link {a} {b} {settings(given)}" for (a, b), given in links.items())]
        self.process = lab.start("wan", args, stdin=subprocess.PIPE)
        self.process.wait_output("ready")
        self.spaces = {found[1]: Space(found[2])
                       for found in re.finditer(r"^node (\S+) \S+ (\S+)$", self.process.output(), re.M)}

    def _answers(self):
        return re.findall(r"^(ok|error: .*)$", self.process.output(), re.M)

    def command(self, line):
        """A command of wan.c; LabError with its words when it says no."""
        before = len(self._answers())
        self.process.popen.stdin.write(f"{line}\n".encode())
        self.process.popen.stdin.flush()
        answer = wait_until(lambda: self._answers()[before:], 10, f"wan's answer to {line}")[0]
        if answer != "ok":
            raise LabError(f"{line}: {answer}")

    def link(self, a, b, **given):
        """Changes both ways between two nodes, for what sets out from now on."""
        self.command(f"link {a} {b} {settings(given)}")

    def path(self, a, b, **given):
        """Changes the way from the first to the second."""
        self.command(f"path {a} {b} {settings(given)}")

    def end(self):
        """Ends the network; its counts: {"forwarded": n, "lost": n, "full": n, "stray": n}."""
        code = self.lab.end(self.process)
        line = self.process.output().splitlines()[-1].split()
        if code != 0:
            raise LabError(f"wan: exit code {code}:\n{self.process.output()}")
        return dict(zip(line[::2], map(int, line[1::2])))

    def close(self):
        """Lets go of the namespaces; processes in them keep theirs."""
        for space in self.spaces.values():
            space.close()


class FarRegion(Emulator):
    """An emulated region in the namespace of its name, asked and controlled from anywhere."""

    def __init__(self, lab, wan, name, delay_ms=0, **more):
        self.space = wan.spaces[name]
        super().__init__(lab, name, delay_ms, address=wan.addresses[name], **more)

    def start(self):
        with self.space:
            super().start()

    def ask(self, method, path, body=None):
        with self.space:
            return super().ask(method, path, body)


class World:
    """A proxy's place and regions around it: {name: round trip in ms}, {name: loss in % each way}."""

    def __init__(self, lab, trips, losses=None, work_ms=0, seed=1):
        links = {(HOME, name): {"delay": trip / 2, "loss": (losses or {}).get(name, 0)} for name, trip in trips.items()}
        self.wan = Wan(lab, [HOME, *trips], links, seed)
        self.home = self.wan.spaces[HOME]
        self.regions = {name: FarRegion(lab, self.wan, name, work_ms) for name in trips}

    def urls(self, *names):
        """Of the named regions, or of all."""
        return {name: region.url for name, region in self.regions.items() if name in names or not names}

    def slower(self, name, trip):
        """From now on a round trip to the region takes so long, in ms."""
        self.wan.link(HOME, name, delay=trip / 2)

    def close(self):
        self.wan.close()
