"""The edge of the house: PROXY headers, trusted proxies, certificates of clients and regions, stapling, tickets."""
import json
import pathlib
import pwd
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile

import pytest
from conftest import H1Origin, H2Origin
from product import Isochrone
from h1client import H1Client, client_tls
from h2client import H2Client
from lab import HOST, NAME, Lab, find_binary, free_port, isochrone_config, run, wait_until

V2 = b"\r\n\r\n\0\r\nQUIT\n"
V1_TCP4 = b"PROXY TCP4 192.0.2.77 198.51.100.2 4000 443\r\n"
V2_TCP4 = V2 + b"\x21\x11" + struct.pack(">H4s4sHH", 12, bytes([192, 0, 2, 78]), bytes([198, 51, 100, 2]), 4000, 443)
V2_TCP6 = V2 + b"\x21\x21" + struct.pack(">H16s16sHH", 36, socket.inet_pton(socket.AF_INET6, "2001:db8::7"),
                                        socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 4000, 443)


def answer(sock, request):
    """Tells the client what the region was told."""
    text = json.dumps([[k, v] for k, v in request.headers
                       if k.startswith(("x-forwarded", "x_forwarded", "forwarded", "trace", "via"))])
    sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


def told(response):
    """Each in one line: whoever reads the first line, the last or all of them reads the same."""
    lines = json.loads(response.body)
    assert len(dict(lines)) == len(lines), lines
    return dict(lines)


@pytest.fixture
def region(origin):
    made = origin(H1Origin, answer)
    return {"one": {"url": made.url, "host": NAME, "protocol": "http/1.1"}}


def listener(lab, port, **more):
    tls = {"certificates": [{"cert": str(lab.certs.cert()), "key": str(lab.certs.key())}], **more.pop("tls", {})}
    return {"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"], "tls": tls, **more}


def begin(start, lab, region, **more):
    port = free_port()
    proxy = start(region, port=port, listeners=[listener(lab, port, **more)])
    return proxy


def ended(sock):
    """Whether the peer ended the connection without a word; unread bytes make that a reset."""
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


def after(header, port, ca):
    """A TLS client that says `header` first."""
    sock = socket.create_connection((HOST, port), timeout=20)
    for byte in header:
        sock.sendall(bytes([byte]))
    client = H1Client.__new__(H1Client)
    client.sock = client_tls(ca, ["http/1.1"]).wrap_socket(sock, server_hostname=NAME)
    client.buffer = b""
    return client


@pytest.mark.parametrize("header,source", [(V1_TCP4, "192.0.2.77"), (V2_TCP4, "192.0.2.78"),
                                           (V2_TCP6, "2001:db8::7"), (b"PROXY UNKNOWN\r\n", HOST),
                                           (V2 + b"\x20\0\0\0", HOST)])
def test_proxy_header(start, lab, region, certs, header, source):
    proxy = begin(start, lab, region, proxy_protocol=["127.0.0.0/8"])
    with after(header, proxy.port, certs.ca) as client:
        assert told(client.request("GET", "/"))["x-forwarded-for"] == source


def test_proxy_header_of_a_real_haproxy(start, lab, region, certs, h1):
    for form in ("send-proxy", "send-proxy-v2"):
        proxy = begin(start, lab, region, proxy_protocol=["127.0.0.0/8"])
        front = free_port()
        config = lab.write(f"{form}.cfg", f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen front
  bind {HOST}:{front}
  source 127.0.0.5
  server one {HOST}:{proxy.port} {form}
""")
        haproxy = lab.start("haproxy", ["haproxy", "-db", "-f", config])
        haproxy.wait_port(front)
        assert told(h1(front).request("GET", "/"))["x-forwarded-for"] == HOST
        lab.end(haproxy)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", V2 + b"\x31\x11\0\0"])
def test_without_a_proper_proxy_header_the_connection_ends(start, lab, region, junk):
    proxy = begin(start, lab, region, proxy_protocol=["127.0.0.0/8"])
    with socket.create_connection((HOST, proxy.port), timeout=20) as sock:
        sock.sendall(junk)
        assert ended(sock)
    wait_until(lambda: proxy.metric("isochrone_connections_cut_total", reason="protocol") == 1, 5, "the count")


def test_a_proxy_header_that_does_not_come(start, lab, region):
    port = free_port()
    proxy = start(region, port=port, listeners=[listener(lab, port, proxy_protocol=["127.0.0.0/8"])],
                  limits={"handshake_timeout": "300ms"})
    with socket.create_connection((HOST, proxy.port), timeout=20) as sock:
        sock.sendall(V2[:5])
        assert ended(sock)
    assert proxy.metric("isochrone_connections_cut_total", reason="handshake_timeout") == 1


def test_the_proxy_ends_before_a_proxy_header_has_come(start, lab, region):
    """The listener goes, and whoever came to it."""
    proxy = begin(start, lab, region, proxy_protocol=["127.0.0.0/8"])
    with socket.create_connection((HOST, proxy.port), timeout=20) as sock:
        sock.sendall(V2[:5])
        proxy.stop()
        assert ended(sock)


def test_others_begin_as_usual(start, lab, region, h1):
    proxy = begin(start, lab, region, proxy_protocol=["192.0.2.0/24"])
    assert told(h1(proxy).request("GET", "/"))["x-forwarded-for"] == HOST


FORWARDED = [("X-Forwarded-For", "203.0.113.9, 198.51.100.3"), ("X-Forwarded-Proto", "http"),
             ("X-Forwarded-Host", "www.example.com"), ("Forwarded", "for=203.0.113.9")]


def test_a_trusted_proxy_is_believed(start, lab, region, h1, tmp_path):
    log = tmp_path / "access.log"
    port = free_port()
    proxy = start(region, port=port, access_log={"path": str(log)},
                  listeners=[listener(lab, port, trusted_proxies=["127.0.0.1", "198.51.100.0/24"])])
    seen = told(h1(proxy).request("GET", "/", FORWARDED))
    assert seen["x-forwarded-for"] == "203.0.113.9, 198.51.100.3, 127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "www.example.com"
    assert seen["forwarded"] == "for=203.0.113.9, for=127.0.0.1;proto=https"
    assert logged_client(log) == "203.0.113.9", "the first from the right that is no proxy of ours"


def logged_client(log):
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 1, 5, "the log line")
    return json.loads(log.read_text())["client"]


def test_all_lines_of_a_field_are_one_list(start, lab, region, h1, tmp_path):
    """RFC 9110 5.3: in their order. Who has connected comes last; the client is looked for from there."""
    log = tmp_path / "access.log"
    port = free_port()
    proxy = start(region, port=port, access_log={"path": str(log)},
                  listeners=[listener(lab, port, trusted_proxies=["127.0.0.1", "198.51.100.0/24"])])
    seen = told(h1(proxy).request("GET", "/", [
        ("X-Forwarded-For", "192.0.2.66"), ("Via", "1.0 a"), ("Forwarded", "for=192.0.2.66"),
        ("X-Forwarded-For", "203.0.113.9"), ("Via", "1.1 b, 1.1 c"), ("Forwarded", "for=203.0.113.9"),
        ("X-Forwarded-For", ", 198.51.100.3"), ("X-Forwarded-For", "")]))
    assert seen["x-forwarded-for"] == "192.0.2.66, 203.0.113.9, , 198.51.100.3, 127.0.0.1"
    assert seen["forwarded"] == "for=192.0.2.66, for=203.0.113.9, for=127.0.0.1;proto=https"
    assert seen["via"] == "1.0 a, 1.1 b, 1.1 c, 1.1 isochrone"
    assert logged_client(log) == "203.0.113.9"


def test_forwarded_with_an_ipv6_address(start, lab, region, certs):
    """RFC 7239 section 6: in brackets and quoted."""
    proxy = begin(start, lab, region, proxy_protocol=["127.0.0.0/8"], trusted_proxies=["2001:db8::/32"])
    with after(V2_TCP6, proxy.port, certs.ca) as client:
        seen = told(client.request("GET", "/", [("Forwarded", "for=203.0.113.9")]))
    assert seen["forwarded"] == 'for=203.0.113.9, for="[2001:db8::7]";proto=https'
    assert seen["x-forwarded-for"] == "2001:db8::7"


def test_a_client_behind_a_real_haproxy(start, lab, region, h1, tmp_path):
    """`option forwardfor` adds a line of its own behind those of the client, who may write what it likes."""
    log = tmp_path / "access.log"
    port, front = free_port(), free_port()
    start(region, port=port, access_log={"path": str(log)},
          listeners=[{"address": f"{HOST}:{port}", "trusted_proxies": ["127.0.0.5"]}])
    config = lab.write("forwardfor.cfg", f"""
defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen front
  bind {HOST}:{front}
  source 127.0.0.5
  server one {HOST}:{port}
""")
    haproxy = lab.start("haproxy", ["haproxy", "-db", "-f", config])
    haproxy.wait_port(front)
    seen = told(h1(front, tls=False).request("GET", "/", [("X-Forwarded-For", "192.0.2.66")]))
    assert seen["x-forwarded-for"] == f"192.0.2.66, {HOST}, 127.0.0.5"
    assert logged_client(log) == HOST
    lab.end(haproxy)


SPOOFED = [*FORWARDED, *FORWARDED, ("X-Forwarded-Port", "22"), ("X-Forwarded-Port", "23"),
           ("X-Forwarded-Prefix", "/admin"), ("X_Forwarded_For", "203.0.113.9"), ("X-Forwarded_Proto", "gopher")]


@pytest.mark.parametrize("kind", ["http/1.1", "h2"])
def test_nobody_else_is_believed(start, lab, region, h1, h2, kind):
    """Nothing of what an untrusted peer says about itself reaches a region, in however many lines it says it."""
    proxy = begin(start, lab, region, trusted_proxies=["198.51.100.0/24"])
    client = h1(proxy) if kind == "http/1.1" else h2(proxy)
    fields = SPOOFED if kind == "http/1.1" else [(name.lower(), value) for name, value in SPOOFED]
    assert told(client.request("GET", "/", fields)) == {
        "via": "1.1 isochrone" if kind == "http/1.1" else "2 isochrone",
        "x-forwarded-for": HOST, "x-forwarded-proto": "https", "x-forwarded-host": NAME}


@pytest.mark.parametrize("start_of_it", ["GET / HTTP/1.0", "GET / HTTP/1.1\r\nHost:"])
def test_nobody_else_is_believed_without_a_host(start, lab, region, h1, start_of_it):
    """RFC 9112 3.2: no authority to tell of; what the client calls one is not told in its place."""
    client = h1(begin(start, lab, region))
    client.send("\r\n".join([start_of_it, *(f"{name}: {value}" for name, value in SPOOFED), "", ""]).encode())
    seen = told(client.answer("GET"))
    seen.pop("via")
    assert seen == {"x-forwarded-for": HOST, "x-forwarded-proto": "https"}


def test_traces_go_through(start, lab, region, h1):
    proxy = begin(start, lab, region)
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert told(h1(proxy).request("GET", "/", [("traceparent", good), ("tracestate", "a=1")]))["traceparent"] == good
    for bad in (["nonsense"], [good, good], [good, "nonsense"]):
        seen = told(h1(proxy).request("GET", "/", [*(("traceparent", b) for b in bad), ("tracestate", "a=1")]))
        assert "traceparent" not in seen and "tracestate" not in seen


# ---- Certificates of clients and regions ----

def connect(port, certs, identity=None):
    """The status of a request with a client certificate, or the TLS error."""
    context = client_tls(certs.ca, ["http/1.1"])
    if identity:
        context.load_cert_chain(*identity)
    try:
        with H1Client(port, context, NAME) as client:
            return client.request("GET", "/").status
    except (ssl.SSLError, ConnectionError, EOFError) as e:
        return type(e).__name__


@pytest.fixture(scope="session")
def stranger(tmp_path_factory):
    """A certificate of a CA that nobody knows."""
    folder = tmp_path_factory.mktemp("stranger")
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
         "/CN=stranger", "-keyout", str(folder / "key"), "-out", str(folder / "cert"), "-days", "2"])
    return folder / "cert", folder / "key"


@pytest.mark.parametrize("required", [True, False])
def test_client_certificates(start, lab, region, certs, stranger, required):
    proxy = begin(start, lab, region, tls={"client_certificates": {"ca": str(certs.ca), "required": required}})
    assert connect(proxy.port, certs, (certs.cert(), certs.key())) == 200
    assert isinstance(connect(proxy.port, certs, stranger), str), "a certificate of another CA"
    got = connect(proxy.port, certs)
    assert isinstance(got, str) if required else got == 200


OTHER = "other.example.test"
WILDCARD = "*.wild.example.test"


def two_policies(start, lab, region, certs, other=OTHER, **of_other):
    """The first certificate is for everybody, the other one asks for more; the region answers both."""
    port = free_port()
    items = [{"cert": str(certs.cert(name)), "key": str(certs.key(name))} for name in (NAME, other)]
    items[1].update(of_other)
    return start(region, port=port, listeners=[{"address": f"{HOST}:{port}", "protocols": ["h2", "http/1.1"],
                                                "tls": {"certificates": items}}])


def ask_by(kind, port, certs, sni, authority, identity=None, version=None):
    """(status, content) of a request for `authority` on a connection to `sni`, or the TLS error."""
    context = client_tls(certs.ca, ["h2" if kind == "h2" else "http/1.1"])
    context.check_hostname = False
    if identity:
        context.load_cert_chain(*identity)
    if version:
        context.maximum_version = version
    try:
        if kind == "h2":
            with H2Client(port, sni=sni, context=context) as client:
                client.authority = authority
                got = client.get("/")
                if not got.status:
                    raise EOFError("the connection ended instead of an answer")
                return got.status, got.body
        with H1Client(port, context, sni) as client:
            got = client.request("GET", "/", host=authority)
            return got.status, got.body
    except (ssl.SSLError, ConnectionError, EOFError) as e:
        return type(e).__name__, b""


@pytest.mark.parametrize("kind", ["h2", "http/1.1"])
@pytest.mark.parametrize("required", [True, False])
def test_a_request_under_another_policy_is_misdirected(start, lab, region, certs, kind, required):
    """RFC 9110 15.5.20: a connection that was let in without a certificate is no way to a host that asks for one."""
    proxy = two_policies(start, lab, region, certs, client_certificates={"ca": str(certs.ca), "required": required})

    def ask(sni, authority, **more):
        return ask_by(kind, proxy.port, certs, sni, authority, **more)[0]
    identity = (certs.cert(), certs.key())
    assert ask(NAME, NAME) == 200
    status, body = ask_by(kind, proxy.port, certs, NAME, OTHER)
    assert status == 421 and json.loads(body)["status"] == 421
    assert ask(NAME, OTHER.upper() + f":{proxy.port}") == 421, "a name in other letters, with a port"
    for spelled in (OTHER + ".", OTHER.upper() + ".", OTHER + f".:{proxy.port}", OTHER + ":"):
        assert ask(NAME, spelled) == 421, f"{spelled} is routed as {OTHER}"
    assert ask(OTHER, OTHER + ".", identity=identity) == 200, "RFC 6066 section 3: no dot in SNI"
    assert ask(NAME, OTHER, identity=identity) == 421, "nobody has asked for the certificate"
    assert ask("unknown.example.test", OTHER) == 421, "an unknown name gets the first certificate's policy"
    assert ask("unknown.example.test", "another.example.test") == 200
    assert ask(OTHER, OTHER, identity=identity) == 200
    assert ask(OTHER, NAME, identity=identity) == 421, "the other way round too"
    assert ask(OTHER, OTHER) == 200 if not required else isinstance(ask(OTHER, OTHER), str)


@pytest.mark.parametrize("kind", ["h2", "http/1.1"])
def test_a_wildcard_is_not_passed_by_with_a_label_more(start, lab, region, certs, kind):
    """RFC 9110 7.4: a route's wildcard stands for many labels, a certificate's for one (RFC 6125 6.4.3)."""
    proxy = two_policies(start, lab, region, certs, WILDCARD, client_certificates={"ca": str(certs.ca)})

    def ask(sni, authority, **more):
        return ask_by(kind, proxy.port, certs, sni, authority, **more)[0]
    below = WILDCARD[2:]
    identity = (certs.cert(), certs.key())
    for host in ("a." + below, "a.b." + below, "a.b." + below + ".", "a.." + below, "A.B.C." + below.upper()):
        assert ask(NAME, host) == 421, host
        assert ask("a.b." + below, host) == 421, "nobody has asked for the certificate"
    assert ask(NAME, below) == 200, "no wildcard stands for this one"
    assert ask("a." + below, "a." + below, identity=identity) == 200


@pytest.mark.parametrize("kind", ["h2", "http/1.1"])
def test_equal_policies_share_connections(start, lab, region, certs, kind):
    """Connection coalescing (RFC 9113 9.1.1) between certificates that ask for the same."""
    proxy = two_policies(start, lab, region, certs)
    assert ask_by(kind, proxy.port, certs, NAME, OTHER)[0] == 200
    same = two_policies(start, lab, region, certs, min_version="1.2")
    assert ask_by(kind, same.port, certs, NAME, OTHER)[0] == 200


def test_h2_goes_on_after_a_misdirected_request(start, lab, region, certs, h2):
    proxy = two_policies(start, lab, region, certs, client_certificates={"ca": str(certs.ca)})
    client = h2(proxy)
    for authority, status in ((NAME, 200), (OTHER, 421), (NAME, 200)):
        client.authority = authority
        assert client.get("/").status == status


@pytest.mark.parametrize("kind", ["h2", "http/1.1"])
def test_versions_by_certificate(start, lab, region, certs, kind):
    proxy = two_policies(start, lab, region, certs, min_version="1.3")
    old = ssl.TLSVersion.TLSv1_2
    assert ask_by(kind, proxy.port, certs, NAME, NAME, version=old)[0] == 200
    assert isinstance(ask_by(kind, proxy.port, certs, OTHER, OTHER, version=old)[0], str)
    assert ask_by(kind, proxy.port, certs, OTHER, OTHER)[0] == 200
    assert ask_by(kind, proxy.port, certs, NAME, OTHER)[0] == 421


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_does_not_stand_for_a_certificate(start, lab, region, certs, version):
    """A session of an open host is not resumed where a certificate is asked for."""
    proxy = two_policies(start, lab, region, certs, client_certificates={"ca": str(certs.ca)})
    context = client_tls(certs.ca, ["http/1.1"])
    context.maximum_version = context.minimum_version = version
    context.check_hostname = False

    def visit(name, session):
        sock = context.wrap_socket(socket.create_connection((HOST, proxy.port), timeout=20), server_hostname=name,
                                   session=session)
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while data := sock.recv(65536):
            said += data
        session, reused = sock.session, sock.session_reused
        sock.close()
        return said, session, reused

    _, session, _ = visit(NAME, None)
    assert visit(NAME, session)[2], "the ticket is good where it comes from"
    try:
        said, _, _ = visit(OTHER, session)
    except (ssl.SSLError, ConnectionError):
        said = b""
    assert said == b"", "let in without a certificate"


def test_a_region_that_asks_for_a_certificate(start, lab, origin, certs, h1):
    made = origin(H1Origin, answer)
    made.context.verify_mode = ssl.CERT_REQUIRED
    made.context.load_verify_locations(certs.ca)
    region = {"one": {"url": made.url, "host": NAME, "protocol": "http/1.1"}}
    proxy = start(region, service={"tls": {"ca": str(certs.ca), "cert": str(certs.cert()), "key": str(certs.key())}})
    assert h1(proxy).request("GET", "/").status == 200
    without = start(region)
    assert h1(without).request("GET", "/").status == 502
    made.errors.clear()  # its side of the refused handshakes


def test_stapling(start, lab, region, certs, tmp_path):
    index = tmp_path / "index.txt"
    serial = run(["openssl", "x509", "-in", str(certs.cert()), "-noout", "-serial"]).strip().split("=")[1]
    index.write_text(f"V\t390101000000Z\t\t{serial}\tunknown\t/CN={NAME}\n")
    ca_key = next(p for p in (certs.dir / "ca.key", certs.dir / "ca-key.pem") if p.exists())
    run(["openssl", "ocsp", "-index", str(index), "-CA", str(certs.ca), "-rsigner", str(certs.ca), "-rkey", str(ca_key),
         "-issuer", str(certs.ca), "-cert", str(certs.cert()), "-ndays", "7", "-respout", str(tmp_path / "ocsp.der"),
         "-noverify"])
    port = free_port()
    item = {"cert": str(certs.cert()), "key": str(certs.key()), "ocsp": str(tmp_path / "ocsp.der")}
    proxy = start(region, port=port, listeners=[{"address": f"{HOST}:{port}", "tls": {"certificates": [item]}}])
    said = subprocess.run(["openssl", "s_client", "-connect", f"{HOST}:{proxy.port}", "-servername", NAME, "-status",
                           "-CAfile", str(certs.ca)], input="", capture_output=True, text=True, timeout=30).stdout
    assert "OCSP Response Status: successful" in said and "Cert Status: good" in said


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_in_every_worker_and_after_a_reload(start, lab, region, certs, version):
    port = free_port()
    proxy = start(region, port=port, listeners=[listener(lab, port)], workers=3)
    context = client_tls(certs.ca, ["http/1.1"])
    context.maximum_version = context.minimum_version = version

    def visit(session):
        sock = context.wrap_socket(socket.create_connection((HOST, port), timeout=20), server_hostname=NAME,
                                   session=session)
        sock.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        while sock.recv(65536):
            pass
        reused, session = sock.session_reused, sock.session
        sock.close()
        return reused, session

    reused, session = visit(None)
    assert not reused
    for _ in range(8):
        reused, session = visit(session)
        assert reused
    proxy.send(1)  # SIGHUP
    wait_until(lambda: proxy.status()["generation"] == 2, 10, "the reload")
    assert visit(session)[0]


def test_certificates_that_change_on_disk_are_used(start, lab, region, certs, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(name):
        key.write_bytes(certs.key(name).read_bytes())
        cert.write_bytes(certs.cert(name).read_bytes())

    def shown():
        context = ssl.create_default_context(cafile=str(certs.ca))
        context.check_hostname = False
        with context.wrap_socket(socket.create_connection((HOST, port), timeout=20), server_hostname=NAME) as sock:
            return [value for kind, value in sock.getpeercert()["subjectAltName"] if kind == "DNS"]

    port = free_port()
    install(NAME)
    proxy = start(region, port=port, listeners=[{"address": f"{HOST}:{port}", "tls": {
        "certificates": [{"cert": str(cert), "key": str(key)}]}}])
    assert shown() == [NAME]
    install("other.example.test")
    wait_until(lambda: shown() == ["other.example.test"], 15, "the new certificate")
    cert.write_bytes(b"broken")
    wait_until(lambda: "nothing has changed" in proxy.stderr, 15, "the refusal of a broken file")
    assert shown() == ["other.example.test"]
    install(NAME)
    wait_until(lambda: shown() == [NAME], 15, "the next one")


def test_a_loop_is_refused(start, origin, certs, h1):
    """RFC 8586: two proxies that send to each other; the request comes back to the first, which says 508."""
    ports = [free_port(), free_port()]
    proxies = [start({"one": {"url": f"https://{HOST}:{ports[1 - i]}", "host": NAME}}, port=ports[i]) for i in range(2)]
    answer = h1(proxies[0]).request("GET", "/")
    assert answer.status == 508 and json.loads(answer.body)["status"] == 508
    for proxy in proxies:
        wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the exchanges' end")


def test_memory_that_nobody_can_give_back(start, origin, h2):
    """Uploads that a region does not take hold it: new requests get 503 until there is some again."""
    sink = origin(H2Origin, lambda c, r: c.respond(r.sid), acknowledge=False)
    proxy = start({"one": {"url": sink.url, "host": NAME, "protocol": "h2"}}, workers=1,
                  limits={"body_memory": "8MiB", "body_rate": "0B"})
    asker, holders = h2(proxy), []
    answer = asker.get("/")
    while answer.status != 503:
        assert len(holders) < 16, "16 MiB went somewhere"
        holders.append(holder := h2(proxy))
        while holder.conn.outbound_flow_control_window < 1 << 19:
            holder.pump()
        for sid in [holder.start("POST", "/", end=False) for _ in range(4)]:
            for _ in range(14):
                if answer.status != 503:
                    holder.conn.send_data(sid, bytes(16384))
                    holder.flush()
                    answer = asker.get("/")
    assert "short of memory" in json.loads(answer.body)["detail"]
    for holder in holders:
        holder.close()
    wait_until(lambda: asker.get("/").status == 200, 10, "memory again")


# ---- Rights ----

def identity(pid):
    """Uid, Gid and effective capabilities of each thread."""
    threads = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        threads.append((int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1]), int(lines["CapEff"], 16),
                        int(task.name) == pid))
    return threads


def test_rights_are_given_up(region, certs, h1):
    nobody = pwd.getpwnam("nobody")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="isochrone-rights-"))
    try:
        folder.chmod(0o755)
        for name in (certs.ca, certs.cert(), certs.key()):
            shutil.copy(name, folder)
            (folder / name.name).chmod(0o644)
        port = free_port()
        tls = {"certificates": [{"cert": str(folder / certs.cert().name), "key": str(folder / certs.key().name)}]}
        with Lab(folder) as lab:  # pytest's own directories are root's alone
            lab._certs = certs
            proxy = Isochrone.over(lab, region, port=port, user="nobody", workers=2,
                                   service={"tls": {"ca": str(folder / "ca.pem")}},
                                   listeners=[{"address": f"{HOST}:{port}", "tls": tls}])
            assert h1(proxy).request("GET", "/").status == 200
            threads = identity(proxy.process.pid)
            assert {(uid, gid) for uid, gid, _, _ in threads} == {(nobody.pw_uid, nobody.pw_gid)}
            assert [caps for _, _, caps, main in threads if main] == [1 << 10], "CAP_NET_BIND_SERVICE, where it binds"
            # ThreadSanitizer has a thread of its own, which nobody asks to give anything up.
            foreign = "libtsan" in pathlib.Path(f"/proc/{proxy.process.pid}/maps").read_text()
            assert sum(caps != 0 for _, _, caps, main in threads if not main) <= foreign
            proxy.send(1)
            wait_until(lambda: proxy.status()["generation"] == 2, 10, "a reload as that user")
            proxy.stop()
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("change,words", [({"user": "no-such-user"}, "there is no user no-such-user"),
                                          ({"user": "nobody", "group": "no-such-group"}, "there is no group"),
                                          ({"user": "nobody"}, "which reloads need")])
def test_rights_that_do_not_do(lab, region, certs, change, words):
    """A key that only root may read is found out at the start, not at the first renewal."""
    certs.key().chmod(0o600)
    config, _ = isochrone_config(lab, region, **change)
    process = lab.start("isochrone", [find_binary(), "-c", lab.write("rights.json", json.dumps(config))])
    wait_until(lambda: process.popen.poll() is not None, 10, "the end")
    assert process.popen.returncode == 1 and words in process.output()
