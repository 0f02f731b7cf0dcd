"""h2rate as the tests start it: an open-loop load against the proxy, and what each request got."""
import json
import subprocess
import time

from lab import HOST, NAME, LabError, find_h2rate, wait_until


class Load:
    def __init__(self, lab, proxy, rate, seconds, connections=8):
        self.out, self.rate, self.seconds = lab.path("load.jsonl"), rate, seconds
        self.process = subprocess.Popen(
            [find_h2rate(lab.dir), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
             "--connections", str(connections), "--get-rate", str(rate), "--post-rate", "0", "--seconds", str(seconds),
             "--out", str(self.out)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.began = time.monotonic()

    def wait(self):
        _, errors = self.process.communicate(timeout=self.seconds + 60)
        if self.process.returncode != 0:
            raise LabError(f"h2rate: exit code {self.process.returncode}: {errors}")
        self.lines = [json.loads(line) for line in self.out.read_text().splitlines()]
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def until(self, second):
        wait_until(lambda: time.monotonic() - self.began >= second or None, second + 30, f"second {second}")

    def between(self, first, last):
        """What was due between two seconds of the load's clock."""
        return [x for x in self.lines if first <= x["start_ms"] / 1000 < last]


def good(lines):
    return sum(x["status"] == 200 for x in lines)


def quantile(lines, q):
    return sorted(x["latency_ms"] for x in lines)[int(len(lines) * q)]


def mean(lines):
    return sum(x["latency_ms"] for x in lines) / len(lines)
