"""A region behind a name: real DNS servers whose records a test changes, and one emulator for each address."""
import json
import signal
import subprocess
import time

from lab import HOST, NAME, LabError, find_h2rate, free_port, run, wait_until
from product import SLOW, Emulator

FAST = {"interval": "300ms", "timeout": "250ms"}
HOSTNAME = "api.test"


class Dnsmasq:
    """dnsmasq on a free port with records of its own, TTL 1."""

    def __init__(self, lab):
        self.lab, self.port = lab, free_port()
        self.hosts = lab.write("hosts", "")
        self.process = lab.start("dnsmasq", [
            "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--no-poll", f"--port={self.port}", "--bind-interfaces",
            f"--listen-address={HOST}", f"--addn-hosts={self.hosts}", "--local-ttl=1", "--local=/test/", "--log-facility=-",
            "--conf-file=/dev/null", "--user=root"])

    def set(self, *addresses):
        """The records of api.test from now on."""
        self.hosts.write_text("".join(f"{a} {HOSTNAME}\n" for a in addresses))
        self.process.send(signal.SIGHUP)


class Unbound:
    """unbound on a free port, authoritative for `test`, TTL 1; records change by its control socket."""

    def __init__(self, lab):
        self.port = free_port()
        self.file = lab.path("unbound.conf")
        self.file.write_text(f"""
server:
    interface: {HOST}@{self.port}
    port: {self.port}
    do-daemonize: no
    use-syslog: no
    logfile: ""
    chroot: ""
    username: ""
    pidfile: "{lab.path('unbound.pid')}"
    directory: "{lab.dir}"
    module-config: "iterator"
    local-zone: "test." static
remote-control:
    control-enable: yes
    control-use-cert: no
    control-interface: "{lab.path('unbound.sock')}"
""")
        self.process = lab.start("unbound", ["unbound", "-d", "-c", self.file])
        wait_until(lambda: self._asked("status") == 0, 10 * SLOW, "unbound's control socket")

    def _asked(self, *args, data=None):
        return subprocess.run(["unbound-control", "-c", self.file, *args], input=data, text=True, timeout=30,
                              capture_output=True).returncode

    def set(self, *addresses):
        """The records of api.test from now on."""
        run(["unbound-control", "-c", str(self.file), "local_data_remove", HOSTNAME])
        if addresses:
            lines = "".join(f"{HOSTNAME}. 1 IN {'AAAA' if ':' in a else 'A'} {a}\n" for a in addresses)
            if self._asked("local_datas", data=lines) != 0:
                raise LabError(f"unbound takes no records: {lines}")


class Site:
    """A proxy over `named`, whose addresses the DNS server tells, and `far`, which is slower."""

    def __init__(self, lab, start, dns, alive, records, delay=60, near=0, **more):
        port = free_port()
        self.lab, self.dns, self.records = lab, dns, records
        self.emulators = {a: Emulator(lab, a, near, address=a, port=port) for a in alive}
        self.far = Emulator(lab, "far", delay)
        dns.set(*records)
        more.setdefault("service", {"health": FAST})
        self.proxy = start({"named": {"url": f"https://{HOSTNAME}:{port}", "host": NAME},
                            "far": {"url": self.far.url, "host": NAME}},
                           dns={"servers": [f"{HOST}:{dns.port}"], "min_ttl": "1s"}, **more)
        self.proxy.wait_states({"named": "healthy", "far": "healthy"})

    def endpoint(self, address):
        for e in self.proxy.region("named")["endpoints"]:
            if e["address"].rsplit(":", 1)[0].strip("[]") == address:
                return e
        return None


class Steady:
    """An open-loop load of GETs by h2rate; `lines` are its requests once it has ended."""

    def __init__(self, lab, proxy, seconds, rate=300, prefix="steady"):
        self.out = lab.path("steady.jsonl")
        self.seconds, self.began = seconds, time.monotonic()
        self.popen = subprocess.Popen(
            [find_h2rate(lab.dir), "--connect", f"{HOST}:{proxy.port}", "--sni", NAME, "--ca", str(lab.certs.ca),
             "--get-rate", str(rate), "--post-rate", "0", "--seconds", str(seconds), "--get-path", "/orders/1",
             "--id-prefix", prefix, "--out", str(self.out)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(self, seconds, condition=lambda: False, every=0.05):
        """Until that moment of the load, or the condition's truth, which is returned."""
        while time.monotonic() < self.began + seconds:
            if condition():
                return True
            if self.popen.poll() is not None:
                break
            time.sleep(every)
        return bool(condition())

    def end(self):
        _, stderr = self.popen.communicate(timeout=self.seconds + 60)
        if self.popen.returncode != 0:
            raise LabError(f"h2rate: exit code {self.popen.returncode}: {stderr}")
        return [json.loads(x) for x in self.out.read_text().splitlines()]


__all__ = ["Dnsmasq", "Unbound", "Site", "Steady", "FAST"]
