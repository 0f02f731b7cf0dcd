"""The proxy and its region emulator as the tests and the bench start, ask and end them."""
import json
import os
import re
import signal

from lab import HOST, NAME, LabError, accepts, find_binary, free_port, http_json, isochrone_config, wait_until

# A sanitized binary is several times slower: time bars are multiplied by this, bars of correctness never.
SLOW = 5 if os.environ.get("ISO_SLOW") else 1

SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer|"
                       r"Assertion .* failed)")


def environment(more=None):
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=0:exitcode=66")
    env.update(more or {})
    return env


class Emulator:
    """One emulated region: `isochrone emulate`, TLS, with its control address."""

    def __init__(self, lab, name, delay_ms=0, base_path=None, tls=True, address=HOST, port=None):
        self.lab, self.name, self.tls, self.address = lab, name, tls, address
        self.port, self.control = port or free_port(), free_port()
        self.delay_ms, self.base_path = delay_ms, base_path or ""
        self.journal = lab.path(f"{name}.journal")
        self.process = None
        self.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}{self.base_path}"

    def start(self):
        args = [find_binary(), "emulate", "--name", self.name, "--listen", f"{self.address}:{self.port}", "--control",
                f"{HOST}:{self.control}", "--delay", f"{self.delay_ms}ms", "--journal", self.journal]
        if self.tls:
            args += ["--tls-cert", self.lab.certs.cert(), "--tls-key", self.lab.certs.key()]
        if self.base_path:
            args += ["--base-path", self.base_path]
        self.process = self.lab.start(f"emulate-{self.name}", args, env=environment())
        self.process.wait_output("ready ", 15 * SLOW)

    def kill(self):
        """SIGKILL: listener and connections are gone at once."""
        self.lab.processes.remove(self.process)
        self.process.kill()

    def restart(self):
        """On the same ports, with the same journal."""
        self.start()

    def pause(self):
        self.process.send(signal.SIGSTOP)

    def resume(self):
        self.process.send(signal.SIGCONT)

    def ask(self, method, path, body=None):
        """Its control address."""
        status, _, answer = http_json(method, self.control, path, body)
        if status not in (200, 204):
            raise LabError(f"{method} {path} {body or ''}: {status} {answer}")
        return answer

    def set(self, **state):
        self.ask("PUT", "/state", state)

    def state(self):
        return self.ask("GET", "/state")

    def executions(self):
        """{request id: how often the function ran for it}, by the journal, which outlives a SIGKILL."""
        counts = {}
        for name in self.journal.read_text().split():
            counts[name] = counts.get(name, 0) + 1
        return counts

    def executed(self):
        return sum(self.executions().values())

    def counted(self):
        """The same by the control address, since the last start or reset."""
        return self.ask("GET", "/executions")

    def reset_executions(self):
        self.ask("POST", "/executions/reset", {})


class Isochrone:
    """`isochrone -c FILE`, ready when the constructor returns. The configuration may be changed and reloaded."""

    def __init__(self, lab, config, port, admin=None, env=None, binary=None, before=()):
        self.lab, self.config, self.port, self.admin = lab, config, port, admin
        self.file = lab.write("isochrone.json", json.dumps(config, indent=1))
        self.process = lab.start("isochrone", [*before, binary or find_binary(), "-c", self.file], env=environment(env))
        self.ready = self.process.wait_output("ready ", 20 * SLOW)

    @classmethod
    def over(cls, lab, regions, binary=None, env=None, **options):
        """Over {name: url or region object}; options as for lab.isochrone_config, an admin listener is added."""
        admin = free_port()
        options.setdefault("admin", {"address": f"{HOST}:{admin}"})
        config, port = isochrone_config(lab, regions, **options)
        return cls(lab, config, port, admin, env, binary)

    @property
    def stderr(self):
        return self.process.output()

    def rewrite(self, config=None, text=None):
        self.file.write_text(text if text is not None else json.dumps(config or self.config, indent=1))

    def send(self, number):
        self.process.send(number)

    def status(self):
        code, _, body = http_json("GET", self.admin, "/status")
        if code != 200:
            raise LabError(f"GET /status: {code} {body}")
        return body

    def region(self, name, service="orders"):
        return self.status()["services"][service]["regions"][name]

    def shares(self, service="orders"):
        return {n: r["share"] for n, r in self.status()["services"][service]["regions"].items()}

    def metrics(self):
        code, _, body = http_json("GET", self.admin, "/metrics")
        if code != 200:
            raise LabError(f"GET /metrics: {code}")
        return body

    def metric(self, name, **labels):
        """The sum of a family's samples that carry these labels."""
        total = 0.0
        for line in self.metrics().splitlines():
            found = re.match(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if not found or found[1] != name:
                continue
            have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            if all(have.get(k) == str(v) for k, v in labels.items()):
                total += float(found[3])
        return total

    def wait_states(self, expected, seconds=10):
        """Until the regions' states are among the given ones: {name: state or tuple of states}."""
        def reached():
            for name, states in expected.items():
                if self.region(name)["state"] not in ((states,) if isinstance(states, str) else states):
                    return False
            return True
        wait_until(reached, seconds * SLOW, f"states {expected}; now {self.status()}", every=0.05)

    def stop(self, seconds=40):
        """SIGTERM, then the verdict: exit code 0 and no sanitizer's report."""
        if self.process in self.lab.processes:
            self.lab.processes.remove(self.process)
        code = self.process.stop(seconds=seconds)
        report = SANITIZER.search(self.stderr)
        if report:
            raise AssertionError(f"sanitizer or assertion report:\n{self.stderr[-6000:]}")
        if code != 0:
            raise AssertionError(f"exit code {code} instead of 0 after SIGTERM:\n{self.stderr[-3000:]}")

    def listening(self):
        return accepts(self.port)


def equal_regions(lab, delays, **more):
    """Emulators by {name: delay in ms}."""
    return {name: Emulator(lab, name, delay, **more) for name, delay in delays.items()}


__all__ = ["HOST", "NAME", "SLOW", "Emulator", "Isochrone", "LabError", "environment", "equal_regions"]
