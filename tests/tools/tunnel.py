"""Raw ends of WebSocket tunnels, client's and region's, over HTTP/1.1 and HTTP/2: what each says is said at a certain
moment and in certain writes, and a direction can be ended by itself.

Every end is an `End`: `got` is what has come so far, `ended` that the peer has ended its direction in order, `broken`
how it broke off else. A thread reads; the test writes.
"""
import base64
import contextlib
import hashlib
import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.settings

from h1client import client_tls, connect
from lab import HOST, NAME, wait_until
from origin import Origin, Request

ASK = (f"GET /socket HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()
SECONDS = 10


class Pipe:
    """A socket, in clear or under TLS, whose writing side can be ended while the other one goes on."""

    def __init__(self, sock, context=None, server=False):
        self.sock, self.tls, self._lock = sock, None, threading.Lock()
        self._early = b""  # what was read before our end was made
        if context:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self._in, self._out, server_side=server,
                                        server_hostname=None if server else NAME)
            while not self._step(self.tls.do_handshake)[0]:
                self._feed()

    def _step(self, action):
        """(done, result) of an operation of OpenSSL's; what it has made is sent."""
        with self._lock:
            try:
                result = True, action()
            except ssl.SSLWantReadError:
                result = False, None
            data = self._out.read()
        if data:
            self.sock.sendall(data)
        return result

    def _feed(self):
        data = self.sock.recv(262144)
        with self._lock:
            if data:
                self._in.write(data)
            else:
                self._in.write_eof()

    def _read_all(self):
        """OpenSSL makes no end while something that has come is unread."""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self.tls.read(262144):
                self._early += data

    def send(self, data, end=False):
        """In one write to the kernel, the end as well where that can be (it cannot for a FIN)."""
        if not self.tls:
            self.sock.sendall(data)
        else:
            with self._lock:
                if data:
                    self.tls.write(data)
                if end:
                    self._read_all()
                    try:
                        self.tls.unwrap()
                    except ssl.SSLWantReadError:
                        pass
                wire = self._out.read()
            self.sock.sendall(wire)
        if end:
            self.sock.shutdown(socket.SHUT_WR)

    def recv(self):
        """Bytes; none at the peer's end, which under TLS is close_notify."""
        if not self.tls:
            return self.sock.recv(262144)
        while True:
            with self._lock:
                early, self._early = self._early, b""
            if early:
                return early
            try:
                done, data = self._step(lambda: self.tls.read(262144))
            except ssl.SSLZeroReturnError:
                return b""
            if done:
                return data
            self._feed()


class End:
    def __init__(self):
        self.got, self.ended, self.broken, self.status = bytearray(), False, None, None

    def read_in_background(self):
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            self.read()
        except (OSError, EOFError, ValueError) as e:
            self.broken = self.broken or repr(e)

    def check_got(self, data, end):
        """Just these bytes come, and the end after them if there is to be one."""
        wait_until(lambda: len(self.got) >= len(data) and (self.ended or not end) or self.broken, SECONDS,
                   f"{len(data)} bytes{' and the end' if end else ''}; {self!r}")
        assert bytes(self.got) == bytes(data) and self.ended == end and not self.broken, repr(self)

    def __repr__(self):
        return f"{len(self.got)} bytes came, ended {self.ended}, broken {self.broken}, status {self.status}"


class H1End(End):
    """Over HTTP/1.1, once the tunnel is open."""

    def __init__(self, pipe, rest=b""):
        super().__init__()
        self.pipe, self.got = pipe, bytearray(rest)

    def read(self):
        while data := self.pipe.recv():
            self.got += data
        self.ended = True

    def send(self, data, end=False):
        self.pipe.send(data, end)

    def vanish(self):
        """A FIN, and no close_notify."""
        self.pipe.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.pipe.sock.close()


def read_head(pipe, buffer=b""):
    """(head, what came behind it)."""
    while b"\r\n\r\n" not in buffer:
        data = pipe.recv()
        if not data:
            raise EOFError(f"no head: {buffer[:200]!r}")
        buffer += data
    head, _, rest = buffer.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def h1_client(port, ca, first=b"", end=False):
    """Asks, and says `first` in the same write; comes back with the tunnel open."""
    pipe = Pipe(connect(port, seconds=SECONDS), client_tls(ca, ["http/1.1"]) if ca else None)
    pipe.send(ASK + first, end)
    head, rest = read_head(pipe)
    made = H1End(pipe, rest)
    made.status = int(head.split(" ")[1])
    made.read_in_background()
    return made


class H2End(End):
    """One stream of a connection whose thread reads for it."""

    def __init__(self, conn, lock, sid, pipe):
        super().__init__()
        self.conn, self.lock, self.sid, self.pipe = conn, lock, sid, pipe

    def send(self, data, end=False):
        """As one write, if the windows allow; else in as many as it takes."""
        left = memoryview(data)
        while True:
            with self.lock:
                room = min(self.conn.local_flow_control_window(self.sid), len(left))
                wire = b""
                while room > 0:
                    n = min(room, self.conn.max_outbound_frame_size)
                    self.conn.send_data(self.sid, bytes(left[:n]), end_stream=end and n == len(left))
                    left, room = left[n:], room - n
                if not data and end:
                    self.conn.end_stream(self.sid)
                wire = self.conn.data_to_send()
            if wire:
                self.pipe.send(wire)
            if not left:
                return
            wait_until(lambda: self.conn.local_flow_control_window(self.sid) > 0, SECONDS, "the window")

    def on(self, event):
        """The reader's; with the lock held."""
        if isinstance(event, h2.events.DataReceived):
            self.got += event.data
            if event.flow_controlled_length:
                self.conn.acknowledge_received_data(event.flow_controlled_length, self.sid)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.broken = f"RST_STREAM {event.error_code}"
        elif isinstance(event, h2.events.ResponseReceived):
            self.status = int(dict(event.headers)[":status"])

    def close(self):
        self.pipe.sock.close()


def configuration(client):
    return h2.config.H2Configuration(client_side=client, header_encoding="utf-8", validate_inbound_headers=False,
                                     validate_outbound_headers=False, normalize_outbound_headers=False)


class H2Client(H2End):
    def __init__(self, port, ca, first=b"", end=False):
        pipe = Pipe(connect(port, seconds=SECONDS), client_tls(ca, ["h2"]) if ca else None)
        conn = h2.connection.H2Connection(configuration(True))
        super().__init__(conn, threading.Lock(), 1, pipe)
        conn.initiate_connection()
        conn.send_headers(1, [(":method", "CONNECT"), (":protocol", "websocket"),
                              (":scheme", "https" if ca else "http"), (":authority", NAME), (":path", "/socket"),
                              ("sec-websocket-version", "13")], end_stream=end and not first)
        if first:
            conn.send_data(1, first, end_stream=end)
        pipe.send(conn.data_to_send())
        self.read_in_background()
        wait_until(lambda: self.status or self.broken, SECONDS, "the answer")

    def read(self):
        while data := self.pipe.recv():
            with self.lock:
                for event in self.conn.receive_data(data):
                    self.on(event)
                wire = self.conn.data_to_send()
            if wire:
                self.pipe.send(wire)
        self.broken = self.broken or (None if self.ended else "the connection ended")


class Region(Origin):
    """Opens a tunnel for everyone who asks and keeps its End; `first` and `end` go out with its answer."""

    def __init__(self, lab, first=b"", end=False, tls=True):
        self.first, self.end, self.tunnels = first, end, []
        super().__init__(lab, None, tls=tls)
        self.pipe_context, self.context = self.context, None  # a Pipe puts TLS around its socket itself


class H1Region(Region):
    alpn = ["http/1.1"]

    def serve(self, sock, number):
        pipe = Pipe(sock, self.pipe_context, server=True)
        rest = b""
        while True:
            head, rest = read_head(pipe, rest)
            fields = dict((line.partition(":")[0].lower(), line.partition(":")[2].strip())
                          for line in head.split("\r\n")[1:])
            self.requests.append(Request([(":path", head.split(" ")[1])], number))
            if "sec-websocket-key" not in fields:
                pipe.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            accept = accept_of(fields["sec-websocket-key"])
            made = H1End(pipe, rest)
            pipe.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + self.first, self.end)
            self.tunnels.append(made)
            made._read()
            threading.Event().wait(SECONDS)  # the test writes as long as it likes; it closes, or the lab does
            return


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


class H2Region(Region):
    alpn = ["h2"]

    def serve(self, sock, number):
        pipe, lock, ends = Pipe(sock, self.pipe_context, server=True), threading.Lock(), {}
        conn = h2.connection.H2Connection(configuration(False))
        conn.initiate_connection()
        conn.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        pipe.send(conn.data_to_send())
        while data := pipe.recv():
            with lock:
                for event in conn.receive_data(data):
                    sid = getattr(event, "stream_id", None)
                    if isinstance(event, h2.events.RequestReceived):
                        fields = dict(event.headers)
                        self.requests.append(Request(list(event.headers), number))
                        if fields[":method"] == "CONNECT":
                            ends[sid] = H2End(conn, lock, sid, pipe)
                            self.tunnels.append(ends[sid])
                            conn.send_headers(sid, [(":status", "200")], end_stream=self.end and not self.first)
                            if self.first:
                                conn.send_data(sid, self.first, end_stream=self.end)
                        else:
                            conn.send_headers(sid, [(":status", "200")], end_stream=True)
                    elif sid in ends:
                        ends[sid].on(event)
                wire = conn.data_to_send()
            if wire:
                pipe.send(wire)
        for end in ends.values():
            end.broken = end.broken or (None if end.ended else "the connection ended")
