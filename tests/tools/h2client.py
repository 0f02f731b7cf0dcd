"""A small HTTP/2 client on python3-h2, one connection, several streams, flow control under the test's control."""
import time

import h2.config
import h2.connection
import h2.events
import h2.settings

from h1client import client_tls, connect


class Stream:
    def __init__(self):
        self.headers, self.trailers, self.informational = [], [], []
        self.parts, self.reset, self.ended, self.received = [], None, False, 0

    @property
    def status(self):
        return int(self.get(":status", 0))

    @property
    def body(self):
        return b"".join(self.parts)

    def get(self, name, default=None):
        values = [v for k, v in self.headers if k == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else default


class H2Client:
    def __init__(self, port, ca=None, sni="api.example.test", window=1 << 20, alpn=("h2",), seconds=30,
                 receive_buffer=None, context=None):
        context = context or (client_tls(ca, list(alpn)) if ca else None)
        self.sock = connect(port, context, sni if context else None, seconds, receive_buffer)
        self.scheme, self.authority = ("https" if context else "http"), sni
        self.alpn = self.sock.selected_alpn_protocol() if context else None
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_inbound_headers=True))
        self.conn.initiate_connection()
        self.conn.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.streams, self.goaway, self.closed, self._partial = {}, None, False, b""
        self.acknowledge = True  # False: the windows are not opened again, as a client that does not read
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self.sock.sendall(data)

    def start(self, method, path, headers=(), body=b"", trailers=None, end=True):
        """Sends a request whole, or its head alone when end is false; returns the stream's id."""
        sid = self.conn.get_next_available_stream_id()
        self.streams[sid] = Stream()
        nothing = end and not body and not trailers
        self.conn.send_headers(sid, [(":method", method), (":scheme", self.scheme), (":authority", self.authority),
                                     (":path", path), *headers], end_stream=nothing)
        self.flush()
        if not nothing and (end or body):
            self.send(sid, body, trailers, end)
        return sid

    def send(self, sid, body, trailers=None, end=True):
        """Body bytes as the peer's windows allow; stops quietly when the stream has ended early."""
        at = 0
        stream = self.streams[sid]
        while at < len(body) and not stream.ended and stream.reset is None and not self.closed:
            room = min(self.conn.local_flow_control_window(sid), self.conn.max_outbound_frame_size)
            if room <= 0:
                self.pump()
                continue
            self.conn.send_data(sid, body[at:at + room])
            at += room
            self.flush()
        if end and stream.reset is None and not self.closed and not (stream.ended and at < len(body)):
            if trailers:
                self.conn.send_headers(sid, trailers, end_stream=True)
            else:
                self.conn.end_stream(sid)
            self.flush()

    def pump(self):
        """Reads once and handles what came."""
        data = self.sock.recv(262144)
        if not data:
            self.closed = True
            return
        for event in self.conn.receive_data(self._without_goaway(data)):
            self._on(event)
        self.flush()

    def _without_goaway(self, data):
        """python3-h2 takes no frame after GOAWAY although streams go on: it is taken out and noted here."""
        self._partial += data
        whole = b""
        while len(self._partial) >= 9:
            size = 9 + int.from_bytes(self._partial[:3], "big")
            if len(self._partial) < size:
                break
            frame, self._partial = self._partial[:size], self._partial[size:]
            if frame[3] == 7:
                self.goaway = int.from_bytes(frame[13:17], "big")
            else:
                whole += frame
        return whole

    def _on(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = list(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            stream.informational.append(list(event.headers))
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = list(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.parts.append(event.data)
            stream.received += len(event.data)
            if self.acknowledge:
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code)

    def wait(self, sid, seconds=30):
        """Until the stream has ended, was reset or the connection is gone."""
        stream = self.streams[sid]
        deadline = time.monotonic() + seconds
        while not stream.ended and stream.reset is None and not self.closed:
            assert time.monotonic() < deadline, f"no end of stream {sid} in {seconds} s; so far {stream.headers}"
            self.pump()
        return stream

    def request(self, method, path, headers=(), body=b"", trailers=None):
        return self.wait(self.start(method, path, headers, body, trailers))

    def get(self, path, headers=()):
        return self.request("GET", path, headers)

    def post(self, path, body=b"{}", headers=()):
        return self.request("POST", path, headers, body)
