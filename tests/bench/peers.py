"""The proxies of the bench, each configured as someone who knows it would: one worker, TLS on both sides, verified."""
import json

from lab import HOST, NAME, LabError, free_port, isochrone_config

NGINX = """
daemon off; worker_processes 1; pid {dir}/{tag}.pid; error_log stderr crit; worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off; server_tokens off; default_type text/plain; sendfile on; tcp_nopush on;
  keepalive_requests 100000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}/{tag}-body; proxy_temp_path {dir}/{tag}-proxy; fastcgi_temp_path {dir}/{tag}-f;
  uwsgi_temp_path {dir}/{tag}-u; scgi_temp_path {dir}/{tag}-s;
  ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
  {body}
}}
"""

REGION = """
  http2_max_concurrent_streams 256;
  server {{
    listen {host}:{port} ssl http2 backlog=4096;
    root {root};
    location / {{ return 200 "{text}"; }}
    location = /1m {{ }}
  }}
"""

NGINX_PROXY = """
  upstream regions {{ {servers} keepalive 512; keepalive_requests 100000000; keepalive_timeout 3600s; }}
  server {{
    listen {host}:{port} ssl http2 backlog=4096;
    location / {{
      proxy_pass https://regions; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host {name}; proxy_ssl_server_name on; proxy_ssl_name {name};
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca};
      proxy_buffer_size 16k; proxy_buffers 32 16k; proxy_max_temp_file_size 0;
    }}
  }}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 2s
  timeout client 3600s
  timeout server 60s
  http-reuse always
frontend clients
  bind {host}:{port} ssl crt {both} alpn h2,http/1.1
  default_backend regions
backend regions
  balance roundrobin
{servers}
"""


def start_regions(lab, count=3):
    """`count` nginx servers, each with its own process; returns their ports."""
    root = lab.dir / "root"
    root.mkdir(exist_ok=True)
    root.chmod(0o755)
    (root / "1m").write_bytes(b"x" * (1 << 20))
    (root / "1m").chmod(0o644)
    ports = []
    for i in range(count):
        port = free_port()
        body = REGION.format(host=HOST, port=port, root=root, text="y" * 200)
        start_nginx(lab, f"region{i}", body).wait_port(port)
        ports.append(port)
    return ports


def start_nginx(lab, tag, body):
    conf = lab.write(f"{tag}.conf", NGINX.format(dir=lab.dir, tag=tag, cert=lab.certs.cert(), key=lab.certs.key(),
                                                 body=body))
    return lab.start(tag, ["nginx", "-p", str(lab.dir), "-c", str(conf)])


def nginx(lab, regions, upstream, port):
    if upstream != "h1":
        raise LabError("nginx 1.22 speaks HTTP/1.1 to its upstreams only")
    servers = " ".join(f"server {HOST}:{p};" for p in regions)
    return start_nginx(lab, "nginx", NGINX_PROXY.format(host=HOST, port=port, name=NAME, servers=servers,
                                                        ca=lab.certs.ca))


def haproxy(lab, regions, upstream, port):
    alpn = "h2" if upstream == "h2" else "http/1.1"
    servers = "\n".join(
        f"  server r{i} {HOST}:{p} ssl verify required ca-file {lab.certs.ca} sni str({NAME}) "
        f"verifyhost {NAME} alpn {alpn}" for i, p in enumerate(regions))
    conf = lab.write("haproxy.cfg", HAPROXY.format(host=HOST, port=port, both=lab.certs.both(), servers=servers))
    return lab.start("haproxy", ["haproxy", "-db", "-f", str(conf)])


def nghttpx(lab, regions, upstream, port):
    proto = "h2" if upstream == "h2" else "http/1.1"
    backends = [f"--backend={HOST},{p};;tls;proto={proto};sni={NAME}" for p in regions]
    return lab.start("nghttpx", [
        "nghttpx", "--conf=/dev/null", "-n1", f"--frontend={HOST},{port}", *backends, f"--cacert={lab.certs.ca}",
        "--no-ocsp", "--errorlog-file=/dev/stderr", "--frontend-http2-read-timeout=1h", "--log-level=WARN",
        str(lab.certs.key()), str(lab.certs.cert())])


def isochrone(binary):
    def start(lab, regions, upstream, port):
        config, _ = isochrone_config(
            lab, {f"region{i}": f"https://{HOST}:{p}" for i, p in enumerate(regions)}, port=port, workers=1,
            protocol={"h1": "http/1.1"}.get(upstream, upstream))
        conf = lab.write("isochrone.json", json.dumps(config, indent=1))
        process = lab.start("isochrone", [binary, "-c", str(conf)])
        process.wait_output("ready ")
        return process
    return start


# What each peer can speak to the regions.
PEERS = {"haproxy": (haproxy, ("h2", "h1")), "nginx": (nginx, ("h1",)), "nghttpx": (nghttpx, ("h2", "h1"))}
