"""What the bench and the integration tests share: processes, ports, certificates, waiting for a condition.

Every process gets a log file in the lab's directory and is ended by its own pid. Ports are taken below the range
that the kernel gives to outgoing connections, so that a port is still free when its owner is started again.
"""
import http.client
import json
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
NAME = "api.example.test"


class LabError(Exception):
    """Something in the set-up failed; not a verdict about the proxy."""


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def wait_until(condition, seconds, what="the condition", every=0.01):
    """Polls until the condition is true and returns its value; LabError says what did not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds} s in vain for {what}")
        time.sleep(every)


# ---- Ports ----

_given = []  # a name for each port that was given away: for as long as it is bound no other process gives it


def free_port():
    """A port that nobody listens on now and that no test process on this machine has given away."""
    for _ in range(1000):
        port = random.randrange(10240, 32000)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0isochrone-test-port-{port}")
        except OSError:
            name.close()
            continue
        _given.append(name)
        with socket.socket() as sock:
            # As servers do: a port whose last connections are in TIME_WAIT counts as free.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
        return port
    raise LabError("no free port")


def accepts(port):
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((HOST, port)) == 0


# ---- Certificates ----

class Certs:
    """ca.pem and, for each name, NAME.pem, NAME.key and NAME.both.pem (HAProxy's layout) in one directory."""

    def __init__(self, directory, names=(NAME,)):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        run([str(ROOT / "scripts" / "make-certs"), str(self.dir), *names])
        for name in names:
            both = self.cert(name).read_text() + self.key(name).read_text()
            self.both(name).write_text(both)

    @property
    def ca(self):
        return self.dir / "ca.pem"

    # A * is `wildcard` in file names.
    def cert(self, name=NAME):
        return self.dir / f"{name.replace('*', 'wildcard')}.pem"

    def key(self, name=NAME):
        return self.cert(name).with_suffix(".key")

    def both(self, name=NAME):
        return self.cert(name).with_suffix(".both.pem")


# ---- Processes ----

def run(args, **more):
    """A short command that must succeed; returns what it wrote to standard output."""
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, **more)
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, args))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Process:
    def __init__(self, args, log, env=None, cwd=None, stdin=subprocess.DEVNULL):
        self.args = [str(a) for a in args]
        self.log = pathlib.Path(log)
        self._out = open(self.log, "wb")
        self.popen = subprocess.Popen(self.args, stdin=stdin, stdout=self._out, stderr=self._out, env=env, cwd=cwd)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_output(self, start, seconds=15):
        """The first line of the log that begins with the given text."""
        def line():
            for text in self.output().splitlines():
                if text.startswith(start):
                    return text
            if not self.alive():
                raise LabError(f"{self.args[0]} ended early ({self.popen.returncode}):\n{self.output()}")
            return None
        return wait_until(line, seconds, f"a line '{start}' of {self.args[0]}\n{self.output()[-3000:]}")

    def wait_port(self, port, seconds=15):
        def ready():
            if not self.alive():
                raise LabError(f"{self.args[0]} ended early ({self.popen.returncode}):\n{self.output()}")
            return accepts(port)
        wait_until(ready, seconds, f"port {port} of {self.args[0]}")

    def send(self, number):
        self.popen.send_signal(number)

    def tree(self):
        """This process and its descendants, as pids."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                fields = read_stat(int(entry))
                if fields:
                    parents.setdefault(int(fields[1]), []).append(int(entry))
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += parents.get(pid, [])
        return found

    def cpu_seconds(self):
        """User and system time of the process tree, threads included."""
        ticks = 0
        for pid in self.tree():
            fields = read_stat(pid)
            if fields:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def rss_kib(self):
        total = 0
        for pid in self.tree():
            try:
                text = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS:"))
        return total

    def kill(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Ends it and returns the exit code; what does not end in time is killed and has no code (None)."""
        code = None
        if self.alive():
            self.send(signal.SIGCONT)  # not after: it would take the SIGSTOP of a leak checker's tracer away
            self.send(number)
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._out.close()
        return code


def read_stat(pid):
    """The fields of /proc/PID/stat after the command's name; None when it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


class Lab:
    """A directory and the processes started in it, ended in reverse order."""

    def __init__(self, directory, names=(NAME,)):
        raise_file_limit()
        self.dir = pathlib.Path(directory)
        self.names = names
        self.processes = []
        self._certs = None
        self._count = 0

    @property
    def certs(self):
        if not self._certs:
            self._certs = Certs(self.dir / "certs", self.names)
        return self._certs

    def path(self, name):
        self._count += 1
        stem, dot, suffix = name.partition(".")
        return self.dir / f"{stem}-{self._count}{dot}{suffix}"

    def write(self, name, text):
        path = self.path(name)
        path.write_text(text)
        return path

    def start(self, name, args, **more):
        process = Process(args, self.path(f"{name}.log"), **more)
        self.processes.append(process)
        return process

    def end(self, process):
        self.processes.remove(process)
        return process.stop()

    def close(self):
        while self.processes:
            self.processes.pop().stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- Finding what was built ----

def find_tool(name, libraries, directory=None):
    """The path in the environment variable of its name in capitals, else a built one, else it is compiled into the
    directory."""
    if os.environ.get(name.upper()):
        return os.environ[name.upper()]
    for path in sorted(ROOT.glob(f"build/*/tests/tools/{name}")):
        return str(path)
    target = pathlib.Path(directory or "/tmp") / name
    folder = ROOT / "tests" / "tools"
    sources = [str(p) for pattern in (f"{name}.c", f"{name}_*.c") for p in sorted(folder.glob(pattern))]
    run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", str(target), *sources, *(f"-l{x}" for x in libraries)])
    return str(target)


def find_h2rate(directory=None):
    return find_tool("h2rate", ("nghttp2", "ssl", "crypto"), directory)


def find_wan(directory=None):
    return find_tool("wan", ("m",), directory)


def find_binary():
    """ISO_BINARY, else the release build's."""
    path = os.environ.get("ISO_BINARY") or str(ROOT / "build" / "release" / "proxy" / "isochrone")
    if not os.access(path, os.X_OK):
        raise LabError(f"no binary at {path}: build it (cmake --preset release; cmake --build --preset release)")
    return path


# ---- Small HTTP for control and admin addresses ----

def http_json(method, port, path, body=None, seconds=5, host=HOST):
    """(status, headers, parsed body or text) of one HTTP/1.1 exchange on a new connection."""
    conn = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        data = None if body is None else json.dumps(body)
        conn.request(method, path, data, {"content-type": "application/json"} if data else {})
        answer = conn.getresponse()
        text = answer.read().decode()
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), \
            json.loads(text) if is_json and text else text
    finally:
        conn.close()


def isochrone_config(lab, regions, *, protocol="auto", port=None, service=None, **top):
    """A configuration for regions {name: url}; `service` and further keys are laid over it."""
    port = port or free_port()
    svc = {
        "regions": {n: {"url": u, "host": NAME, "protocol": protocol} if isinstance(u, str) else u
                    for n, u in regions.items()},
        "tls": {"ca": str(lab.certs.ca)},
    }
    svc.update(service or {})
    config = {
        "listeners": [{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"],
                       "tls": {"certificates": [{"cert": str(lab.certs.cert()), "key": str(lab.certs.key())}]}}],
        "services": {"orders": svc},
    }
    config.update(top)
    return config, port


def die(message):
    print(message, file=sys.stderr)
    sys.exit(1)
