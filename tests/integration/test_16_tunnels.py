"""WebSockets (RFC 6455, RFC 8441) in all four combinations of protocols, and gRPC, with real peers.

The echo server is python3-websockets; nghttpx before it makes an HTTP/2 region that takes extended CONNECT. Clients:
python3-websockets over HTTP/1.1, and over HTTP/2 python3-h2 with wsproto's framing.
"""
import asyncio
import http
import os
import ssl
import threading

import grpc
import h2.settings
import pytest
import websockets
import wsproto.frame_protocol as frames
from attacker import Bill
from conftest import H1Origin
from h1client import client_tls
from lab import HOST, NAME, free_port, wait_until

COUNT = 10000


class Echo:
    """A WebSocket echo server over TLS in a thread of its own; /slow reads nothing for two seconds."""

    def __init__(self, certs):
        self.port, self.closed = free_port(), []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certs.cert(), certs.key())
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._ready.wait(20)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())
        self.loop.run_forever()

    async def _serve(self):
        self.server = await websockets.serve(self._echo, HOST, self.port, ssl=self.context, max_size=None,
                                             process_request=self._plain, subprotocols=["chat"])
        self._ready.set()

    @staticmethod
    async def _plain(path, _headers):
        if path == "/health":
            return http.HTTPStatus.OK, [], b"ok"
        if path == "/refused":
            return http.HTTPStatus.FORBIDDEN, [("content-type", "text/plain")], b"not here"
        return None

    async def _echo(self, socket, path):
        try:
            if path == "/slow":
                await asyncio.sleep(2)
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass
        self.closed.append(socket.close_code)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


@pytest.fixture
def echo(certs):
    server = Echo(certs)
    yield server
    server.stop()


@pytest.fixture(params=["h1", "h2"])
def proxy(request, start, lab, certs, echo):
    """A proxy over one region that speaks HTTP/1.1, or HTTP/2 with extended CONNECT."""
    port = echo.port
    if request.param == "h2":
        port = free_port()
        lab.start("nghttpx", ["nghttpx", f"--frontend={HOST},{port}", f"--backend={HOST},{echo.port};;tls;proto=http/1.1",
                              "--workers=1", f"--cacert={certs.ca}", "--conf=/dev/null", "--no-ocsp",
                              "--backend-address-family=IPv4", f"--tls-sct-dir={lab.dir}", "--insecure",
                              str(certs.key()), str(certs.cert())]).wait_port(port)
    regions = {"one": {"url": f"https://{HOST}:{port}", "host": NAME,
                       "protocol": "h2" if request.param == "h2" else "http/1.1"}}
    made = start(regions, workers=1, limits={"body_memory": "64MiB"})
    wait_until(lambda: made.region("one")["connections"] > 0, 10, "the region's connection")
    return made


class H1Socket:
    """python3-websockets' client."""

    def __init__(self, proxy, certs, path="/"):
        async def connect():
            return await websockets.connect(
                f"wss://{NAME}:{proxy.port}{path}", host=HOST, server_hostname=NAME, max_size=None,
                ssl=client_tls(certs.ca, ["http/1.1"]), subprotocols=["chat"], open_timeout=20, ping_interval=None)

        self.loop = asyncio.new_event_loop()
        self.socket = self.run(connect())

    def run(self, action):
        return self.loop.run_until_complete(asyncio.wait_for(action, 120))

    def exchange(self, messages, pause=0):
        async def both():
            async def send():
                for message in messages:
                    await self.socket.send(message)
            sender = asyncio.ensure_future(send())
            if pause:
                await asyncio.sleep(pause)
            got = [await self.socket.recv() for _ in messages]
            await sender
            return got
        return self.run(both())

    def close(self):
        self.run(self.socket.close())
        self.loop.close()


class H2Socket:
    """Extended CONNECT on python3-h2; masks as a client must (RFC 6455 section 5.3)."""

    def __init__(self, connect, proxy, path="/"):
        self.client = connect(proxy, seconds=60)
        wait_until(lambda: self._enabled(), 10, "SETTINGS_ENABLE_CONNECT_PROTOCOL")
        conn = self.client.conn
        self.sid = conn.get_next_available_stream_id()
        from h2client import Stream
        self.stream = self.client.streams[self.sid] = Stream()
        conn.send_headers(self.sid, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
                                     (":authority", NAME), (":path", path), ("sec-websocket-version", "13"),
                                     ("sec-websocket-protocol", "chat")])
        self.client.flush()
        while not self.stream.headers:
            self.client.pump()
        self.frames = frames.FrameProtocol(client=True, extensions=[])

    def _enabled(self):
        if self.client.conn.remote_settings.enable_connect_protocol:
            return True
        self.client.pump()
        return False

    def exchange(self, messages, pause=0):
        got, part, at, out, sent = [], [], 0, b"", 0
        if pause:
            self.client.acknowledge = False
        held = threading.Event()
        timer = threading.Timer(pause, held.set)
        timer.start()
        while len(got) < len(messages):
            while sent < len(messages) and len(out) - at < 65536:
                message = messages[sent]
                out = out[at:] + self.frames.send_data(message, fin=True)
                at, sent = 0, sent + 1
            room = min(self.client.conn.local_flow_control_window(self.sid),
                       self.client.conn.max_outbound_frame_size, len(out) - at)
            if room > 0:
                self.client.conn.send_data(self.sid, out[at:at + room])
                self.client.flush()
                at += room
            if pause and held.is_set() and not self.client.acknowledge:
                self.client.acknowledge = True
                self.client.conn.increment_flow_control_window(1 << 20, self.sid)
                self.client.conn.increment_flow_control_window(1 << 20)
                self.client.flush()
            if room <= 0 or sent == len(messages):
                if not (pause and not held.is_set()):
                    self.client.pump()
                else:
                    held.wait(5)
            data, self.stream.parts = b"".join(self.stream.parts), []
            self.frames.receive_bytes(data)
            for frame in self.frames.received_frames():
                part.append(frame.payload)
                if frame.message_finished:
                    got.append((b"" if isinstance(part[0], (bytes, bytearray)) else "").join(part))
                    part = []
        return got

    def close(self):
        self.client.conn.end_stream(self.sid)
        self.client.flush()


@pytest.fixture(params=["h1", "h2"])
def open_socket(request, proxy, certs, h2):
    made = []

    def begin(path="/"):
        made.append(H1Socket(proxy, certs, path) if request.param == "h1" else H2Socket(h2, proxy, path))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def test_ten_thousand_frames(open_socket):
    """Nothing lost, nothing reordered, in texts and binaries of many sizes."""
    messages = [os.urandom(i % 300) if i % 2 else f"{i} " + "x" * (i % 200) for i in range(COUNT)]
    got = open_socket().exchange(messages)
    assert [bytes(m) if isinstance(m, bytearray) else m for m in got] == messages


PEAK_KIB = 16 * 1024


def check_peak(bill, slow, text=""):
    """The most that it was since, not what is left of it; a sanitizer's memory says nothing."""
    growth = bill.spent()[2]
    assert growth < PEAK_KIB or slow > 1, f"{growth} KiB at the peak {text}"


def test_a_reader_that_stops(proxy, open_socket, slow):
    """8 MiB each way, and the client reads nothing for two seconds: the region is held up, not stored."""
    bill = Bill(proxy.process)
    messages = [bytes(16384)] * 512
    socket = open_socket()
    got = socket.exchange(messages, pause=2)
    assert [len(m) for m in got] == [16384] * 512
    check_peak(bill, slow)


def test_a_region_that_stops(proxy, open_socket, slow):
    bill = Bill(proxy.process)
    messages = [bytes(16384)] * 512
    got = open_socket("/slow").exchange(messages)
    assert [len(m) for m in got] == [16384] * 512
    check_peak(bill, slow)


def test_the_close_goes_through(proxy, echo, certs):
    socket = H1Socket(proxy, certs)
    assert socket.socket.subprotocol == "chat"
    assert socket.exchange(["hello"]) == ["hello"]
    socket.close()
    wait_until(lambda: echo.closed == [1000], 10, "the close frame")
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the tunnel's end")


def test_a_client_that_vanishes(proxy, echo, certs):
    socket = H1Socket(proxy, certs)
    socket.exchange(["hello"])

    async def abort():
        socket.socket.transport.abort()
        await asyncio.sleep(0)
    socket.run(abort())
    wait_until(lambda: len(echo.closed) == 1, 10, "the region to hear of it")
    wait_until(lambda: proxy.metric("isochrone_exchanges_in_flight") == 0, 10, "the tunnel's end")


def test_a_refusal_is_an_answer(proxy, certs, h1):
    client = h1(proxy)
    asks = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    refused = client.request("GET", "/refused", asks)
    assert (refused.status, refused.body) == (403, b"not here")
    assert client.request("GET", "/health").status == 200, "the connection goes on"
    opened = client.request("GET", "/", asks)
    assert opened.status == 101
    assert opened.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455 section 1.3"


def test_a_tunnel_in_a_region_without_extended_connect(start, lab, echo, certs, h2):
    """ALPN says h2, but nginx takes no tunnels over that: HTTP/1.1 for the WebSocket alone."""
    port = free_port()
    lab.start("nginx", ["nginx", "-p", lab.dir, "-e", "stderr", "-c", lab.write("region.conf", f"""
daemon off; worker_processes 1; pid {lab.dir}/nginx.pid;
events {{ worker_connections 100; }}
http {{
  access_log off; client_body_temp_path {lab.dir}/b; proxy_temp_path {lab.dir}/p; fastcgi_temp_path {lab.dir}/f;
  uwsgi_temp_path {lab.dir}/u; scgi_temp_path {lab.dir}/s;
  server {{
    listen {HOST}:{port} ssl http2; ssl_certificate {certs.cert()}; ssl_certificate_key {certs.key()};
    location / {{
      proxy_pass https://{HOST}:{echo.port}; proxy_http_version 1.1; proxy_set_header Host {NAME};
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
    location = /health {{ return 200; }}
    location = /protocol {{ return 200 $server_protocol; }}
  }}
}}
""")]).wait_port(port)
    made = start({"one": {"url": f"https://{HOST}:{port}", "host": NAME}}, workers=1)
    wait_until(lambda: made.region("one")["connections"] > 0, 10, "the region's connection")
    assert h2(made).get("/protocol").body == b"HTTP/2.0"
    socket = H1Socket(made, certs)
    assert socket.exchange([str(i) for i in range(100)]) == [str(i) for i in range(100)]
    assert h2(made).get("/protocol").body == b"HTTP/2.0", "other requests go on as before"
    socket.close()


# ---- gRPC ----

IDENTITY = dict(request_serializer=None, response_deserializer=None)


go_on = threading.Event()  # Late takes its messages


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        def echo(messages, context):
            context.send_initial_metadata((("first", "yes"),))
            for message in messages:
                yield message
            context.set_trailing_metadata((("last", "yes"),))

        def refuse(_message, context):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")

        def late(messages, context):
            go_on.wait(60)
            yield sum(len(m) for m in messages).to_bytes(8, "big")

        if details.method == "/test.Echo/Both":
            return grpc.stream_stream_rpc_method_handler(echo)
        if details.method == "/test.Echo/Late":
            return grpc.stream_stream_rpc_method_handler(late)
        if details.method == "/test.Echo/Refuse":
            return grpc.unary_unary_rpc_method_handler(refuse)
        return None


@pytest.fixture
def channel(start, certs):
    from concurrent import futures
    server = grpc.server(futures.ThreadPoolExecutor(8), [Service()])
    credentials = grpc.ssl_server_credentials([(certs.key().read_bytes(), certs.cert().read_bytes())])
    port = server.add_secure_port(f"{HOST}:0", credentials)
    server.start()
    # gRPC servers answer other requests with 415 and the like: that will do as a sign of life.
    made = start({"one": {"url": f"https://{HOST}:{port}", "host": NAME, "protocol": "h2"}}, workers=1,
                 service={"tls": {"ca": str(certs.ca)}, "health": {"statuses": [200, 404, 405, 415, 501]}})
    channel = grpc.secure_channel(f"{HOST}:{made.port}", grpc.ssl_channel_credentials(certs.ca.read_bytes()),
                                  [("grpc.ssl_target_name_override", NAME)])
    yield channel, made
    channel.close()
    server.stop(None)


def test_ten_thousand_grpc_messages_both_ways(channel):
    call = channel[0].stream_stream("/test.Echo/Both")
    messages = [i.to_bytes(4, "big") * (1 + i % 50) for i in range(COUNT)]
    answer = call(iter(messages), timeout=120)
    try:
        assert list(answer) == messages
    except grpc.RpcError as e:
        told = [x for x in channel[1].metrics().splitlines() if "_total" in x and x[0] != "#" and not x.endswith(" 0")]
        raise AssertionError(f"{e.code()}, {e.details()}; the proxy counted {told}") from e
    assert dict(answer.initial_metadata())["first"] == "yes"
    assert dict(answer.trailing_metadata())["last"] == "yes"
    assert answer.code() == grpc.StatusCode.OK


def test_a_grpc_status_comes_through(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel[0].unary_unary("/test.Echo/Refuse")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION and failed.value.details() == "not today"


def stands_still(count):
    """Whether what count() says has not moved for half a second, and is more than nothing."""
    seen = []

    def still():
        seen.append(count())
        return seen[-1] > 0 and len(seen) >= 26 and seen[-1] == seen[-26]
    wait_until(still, 20, "the stream to stand still", every=0.02)
    return seen[-1]


def test_a_grpc_reader_that_stops(channel, slow):
    """64 MiB of answers, of which the client takes one and no more until everything stands still."""
    bill, sent = Bill(channel[1].process), []

    def messages():
        for _ in range(1024):
            sent.append(65536)
            yield bytes(65536)
    answer = channel[0].stream_stream("/test.Echo/Both")(messages(), timeout=120)
    got = len(next(answer))
    assert stands_still(lambda: len(sent)) < 1024, "all of it went somewhere, though nobody reads"
    check_peak(bill, slow, "while it stood still")
    assert got + sum(len(m) for m in answer) == 1024 * 65536
    check_peak(bill, slow)


def test_a_grpc_server_that_stops(channel, slow):
    """64 MiB of requests that the server takes none of until everything stands still."""
    bill, sent = Bill(channel[1].process), []

    def messages():
        for _ in range(1024):
            sent.append(65536)
            yield bytes(65536)
    go_on.clear()
    answer = channel[0].stream_stream("/test.Echo/Late")(messages(), timeout=120)
    try:
        assert stands_still(lambda: len(sent)) < 1024, "all of it went somewhere, though nobody reads"
        check_peak(bill, slow, "while it stood still")
    finally:
        go_on.set()
    assert int.from_bytes(next(answer), "big") == 1024 * 65536
    check_peak(bill, slow)


def test_grpc_to_a_region_over_http1_is_a_clear_status(start, origin, certs):
    region = origin(H1Origin, lambda sock, request: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    made = start({"one": {"url": region.url, "host": NAME, "protocol": "http/1.1"}})
    channel = grpc.secure_channel(f"{HOST}:{made.port}", grpc.ssl_channel_credentials(certs.ca.read_bytes()),
                                  [("grpc.ssl_target_name_override", NAME)])
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Echo/One")(b"x", timeout=20)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "HTTP/2" in failed.value.details()
    assert not [r for r in region.requests if not r.is_probe]
    channel.close()
