"""The same faults for other proxies beside ours, each configured as someone who knows it would for an API that must stay
up: active checks as fast as ours, passive checks, retries in another region for what is safe, POSTs not resent.
"""
import json
import sys
import time

import faults
from lab import HOST, NAME, LabError, free_port, wait_until
from peers import start_nginx
from product import Isochrone, equal_regions

HAPROXY = """
global
  nbthread 1
  maxconn 9000
  stats socket {dir}/haproxy.sock
defaults
  mode http
  timeout connect 500ms
  timeout client 60s
  timeout server 1s
  timeout check 400ms
  http-reuse always
  option redispatch 1
  retries 2
  retry-on conn-failure empty-response response-timeout junk-response 503 502 504
frontend clients
  bind {host}:{port} ssl crt {both} alpn h2,http/1.1
  default_backend regions
backend regions
  balance leastconn
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host {name}
  http-request disable-l7-retry if METH_POST
  default-server check inter 500ms fastinter 200ms fall 2 rise 2 observe layer7 error-limit 5 on-error mark-down
{servers}
"""

NGINX = """
  upstream regions {{ zone regions 64k; least_conn; {servers} keepalive 64; }}
  server {{
    listen {host}:{port} ssl http2 backlog=4096;
    location / {{
      proxy_pass https://regions; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host {name}; proxy_ssl_server_name on; proxy_ssl_name {name};
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
      proxy_connect_timeout 500ms; proxy_read_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 3;
    }}
  }}
"""

CADDY = """
{{
  admin off
  auto_https off
  log {{
    level ERROR
  }}
}}
https://{name}:{port} {{
  bind {host}
  tls {cert} {key}
  reverse_proxy {servers} {{
    lb_policy least_conn
    lb_retries 2
    lb_try_duration 3s
    lb_try_interval 20ms
    fail_duration 2s
    max_fails 3
    unhealthy_status 502 503 504
    health_uri /health
    health_interval 500ms
    health_timeout 400ms
    header_up Host {name}
    transport http {{
      tls_server_name {name}
      tls_trusted_ca_certs {ca}
      dial_timeout 500ms
      response_header_timeout 1s
    }}
  }}
}}
"""


def haproxy(lab, regions, port):
    servers = "\n".join(f"  server {n} {HOST}:{r.port} ssl verify required ca-file {lab.certs.ca} sni str({NAME}) "
                        f"verifyhost {NAME} alpn h2,http/1.1 check-sni {NAME} check-alpn http/1.1" for n, r in regions.items())
    conf = lab.write("haproxy.cfg", HAPROXY.format(dir=lab.dir, host=HOST, port=port, both=lab.certs.both(), name=NAME,
                                                   servers=servers))
    return lab.start("haproxy", ["haproxy", "-db", "-f", str(conf)])


def nginx(lab, regions, port):
    servers = " ".join(f"server {HOST}:{r.port} max_fails=3 fail_timeout=2s;" for r in regions.values())
    return start_nginx(lab, "nginx", NGINX.format(host=HOST, port=port, name=NAME, servers=servers, ca=lab.certs.ca))


def caddy(lab, regions, port):
    conf = lab.write("Caddyfile", CADDY.format(
        host=HOST, port=port, name=NAME, cert=lab.certs.cert(), key=lab.certs.key(), ca=lab.certs.ca,
        servers=" ".join(f"https://{HOST}:{r.port}" for r in regions.values())))
    return lab.start("caddy", ["env", f"HOME={lab.dir}", "GOMAXPROCS=1", "caddy", "run", "--config", str(conf), "--adapter",
                               "caddyfile"])


PEERS = {"haproxy": haproxy, "nginx": nginx, "caddy": caddy}
COLUMNS = ["proxy", "fault", "GETs failed", "POSTs failed", "POSTs run twice", "upstream per request", "p99 ms", "worst ms"]


class Served:
    """A proxy that listens; what faults.start_load wants to know of it."""

    def __init__(self, port, stop):
        self.port, self.stop = port, stop


class Tally:
    """What the rounds of one proxy and one fault add up to."""

    def __init__(self):
        self.failed = {"GET": 0, "POST": 0}
        self.twice = self.upstream = 0
        self.times = []

    def add(self, lines, upstream, executions):
        posts = {x["id"] for x in lines if x["method"] == "POST"}
        for method in self.failed:
            self.failed[method] += sum(faults.Result.bad(x) for x in lines if x["method"] == method)
        self.twice += sum(n > 1 for i, n in executions.items() if i in posts)
        self.upstream += upstream
        self.times += [x["latency_ms"] for x in lines]

    def figures(self):
        """In the order of COLUMNS; less is better in each."""
        times = sorted(self.times)
        return [self.failed["GET"], self.failed["POST"], self.twice, round(self.upstream / len(times), 3),
                round(times[int(len(times) * 0.99)]), round(times[-1])]


def serve(lab, name, regions):
    if name == "isochrone":
        proxy = Isochrone.over(lab, {n: r.url for n, r in regions.items()}, workers=1,
                               service={"health": {"interval": "500ms", "timeout": "400ms"}, "timeout": "1s"})
        proxy.wait_states({n: "healthy" for n in regions})
        return Served(proxy.port, proxy.stop)
    port = free_port()
    process = PEERS[name](lab, regions, port)
    process.wait_port(port)
    return Served(port, lambda: lab.end(process))


def run(lab, name, fault, plan, tally):
    """One round."""
    regions = equal_regions(lab, faults.EQUAL)
    victim, out = regions[faults.VICTIM], lab.path("load.jsonl")
    served = serve(lab, name, regions)
    load = faults.start_load(lab, served, plan, out, f"{name}-{fault}")
    began, before = time.monotonic(), 0
    for moment, act in ((plan.at, 0), (plan.end, 1)):
        wait_until(lambda: time.monotonic() - began >= moment or load.poll() is not None or None, moment + 20, "the fault")
        if fault == "kill" and act == 0:
            before = victim.state()["requests"]
        faults.FAULTS[fault][act](victim)
    stdout, stderr = load.communicate(timeout=60)
    if load.returncode != 0:
        raise LabError(f"h2rate: exit code {load.returncode}: {stderr}")
    executions = {}
    for region in regions.values():
        faults.merge(executions, region.executions())
    tally.add([json.loads(line) for line in out.read_text().splitlines()],
              before + sum(r.state()["requests"] for r in regions.values()), executions)
    served.stop()
    for region in regions.values():
        lab.end(region.process)


def table(lab_of, names, kinds, plan, rounds):
    """Prints what the rounds add up to; the proxies take turns, so that they share what the machine does."""
    names = ["isochrone", *(n for n in names if n != "isochrone")]
    tallies = {(fault, name): Tally() for fault in kinds for name in names}
    for number in range(1, rounds + 1):
        for (fault, name), tally in tallies.items():
            with lab_of() as lab:
                run(lab, name, fault, plan, tally)
            print(f"  round {number} {fault:5} {name:10} so far {tally.figures()}", file=sys.stderr, flush=True)
    print("| " + " | ".join(COLUMNS) + " |\n| --- | --- |" + " --: |" * (len(COLUMNS) - 2))
    for (fault, name), tally in tallies.items():
        print("| " + " | ".join(map(str, [name, fault, *tally.figures()])) + " |")
    for fault in kinds:
        for i, column in enumerate(COLUMNS[2:]):
            best, best_of = min((tallies[fault, n].figures()[i], n) for n in names)
            if tallies[fault, "isochrone"].figures()[i] > best:
                print(f"{fault}, {column}: {best_of} is better")
