"""Thousands of clients that do nothing: h2rate opens them, has one answer for each and holds them."""
import contextlib
import subprocess

from lab import HOST, NAME, LabError, find_h2rate

RATE = 500  # of them a second


@contextlib.contextmanager
def idle_clients(lab, port, count, rate=RATE):
    """So many HTTP/2 clients over TLS, each idle after its one answer, until the block ends."""
    client = subprocess.Popen(
        [find_h2rate(lab.dir), "--connect", f"{HOST}:{port}", "--sni", NAME, "--ca", str(lab.certs.ca), "--hold",
         "--connections", str(count), "--get-rate", str(rate), "--post-rate", "0", "--seconds", str(count / rate),
         "--timeout", "120"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        summary = client.stdout.readline()
        if f'"answered":{count},' not in summary:
            raise LabError(f"h2rate: {summary}")
        yield
    finally:
        client.stdin.close()
        client.wait(60)
