"""Scripted regions in Python: an HTTP/2 one (TLS or cleartext) and a raw HTTP/1.1 one, a thread per connection.

A script is a function that is called for each request that is not for /health; health requests are answered with
200 until `healthy` is set to False. What a region saw is kept in `requests`.
"""
import os
import socket
import ssl
import struct
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from lab import HOST, free_port


class Request:
    def __init__(self, headers, connection):
        self.headers, self.connection = headers, connection
        self.body, self.trailers, self.sid = bytearray(), [], 0

    def get(self, name, default=None):
        return next((v for k, v in self.headers if k == name), default)

    @property
    def path(self):
        return self.get(":path")

    @property
    def is_probe(self):
        return self.path.endswith("/health")

    @property
    def method(self):
        return self.get(":method")


class Origin:
    """Listens, accepts and keeps the threads; what a connection does is the subclass's."""

    alpn = None

    def __init__(self, lab, script, tls=True, cert=None):
        self.script, self.requests, self.healthy = script, [], True
        self.accepted, self.errors, self.names = 0, [], []
        self.ended = set()  # numbers of connections that were closed
        self.scheme = "https" if tls else "http"
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*(cert or (lab.certs.cert(), lab.certs.key())))
            self.context.sni_callback = lambda _sock, name, _context: self.names.append(name)
            if self.alpn:
                self.context.set_alpn_protocols(self.alpn)
        self.listener = socket.create_server((HOST, free_port()), backlog=128, reuse_port=False)
        self.port = self.listener.getsockname()[1]
        self._open, self._lock = set(), threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://{HOST}:{self.port}"

    @property
    def served(self):
        """Requests that were not probes."""
        return [r for r in self.requests if not r.is_probe]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self._lock:
            for sock in list(self._open):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._run, args=(sock, self.accepted), daemon=True).start()

    def _run(self, sock, number):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.add(sock)
            self.serve(sock, number)
        except (OSError, EOFError, ValueError):
            pass  # the peer went away, as it may
        except Exception as e:  # a fault of the script itself must fail the test
            self.errors.append(e)
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()
            self.ended.add(number)

    def serve(self, sock, number):
        raise NotImplementedError


def close_cleanly(sock):
    """Ends TLS with close_notify, so that a body that runs until the close is whole."""
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(0.5)
        try:
            sock.unwrap()
        except OSError:
            pass
    return False


def reset_tcp(sock):
    """
    Closes with RST instead of FIN. The descriptor's number stays taken, by nothing: TLS would go on by it, and read and
    write what belongs to the next connection that gets it.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, sock.fileno(), inheritable=False)
    os.close(nothing)


class H2Connection:
    """One connection of an H2Origin, as scripts see it."""

    def __init__(self, sock, number, streams=None):
        self.sock, self.number = sock, number
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.pending, self.acknowledged, self.pings = {}, False, 0
        self.h2.initiate_connection()
        opening = self.h2.data_to_send()
        if streams:
            # Said in the first SETTINGS frame and not to python3-h2, which would hold the peer to it too early.
            opening = opening.replace(struct.pack(">HI", 3, 100), struct.pack(">HI", 3, streams), 1)
        self.sock.sendall(opening)

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def informational(self, sid, status, headers=()):
        self.h2.send_headers(sid, [(":status", str(status)), *headers])
        self.flush()

    def respond(self, sid, status=200, headers=(), body=b"", trailers=None):
        self.h2.send_headers(sid, [(":status", str(status)), *headers], end_stream=not body and not trailers)
        if body or trailers:
            self.pending[sid] = [memoryview(body), trailers]
        self.pour()

    def pour(self):
        """Sends of the pending bodies what the windows allow."""
        for sid in list(self.pending):
            body, trailers = self.pending[sid]
            while body:
                room = min(self.h2.local_flow_control_window(sid), self.h2.max_outbound_frame_size)
                if room <= 0:
                    break
                self.h2.send_data(sid, bytes(body[:room]))
                body = body[room:]
                self.flush()
            self.pending[sid][0] = body
            if body:
                continue
            del self.pending[sid]
            if trailers:
                self.h2.send_headers(sid, trailers, end_stream=True)
            else:
                self.h2.end_stream(sid)
        self.flush()

    def reset(self, sid, code):
        self.pending.pop(sid, None)
        self.h2.reset_stream(sid, code)
        self.flush()

    def goaway(self, last, code=0):
        self.h2.close_connection(code, last_stream_id=last)
        self.flush()

    def abort(self):
        reset_tcp(self.sock)


class H2Origin(Origin):
    """script(connection, request) runs when a request is complete; early(connection, request) at its head."""

    alpn = ["h2"]

    def __init__(self, lab, script, early=None, streams=None, acknowledge=True, **more):
        self.early, self.streams, self.acknowledge = early, streams, acknowledge
        self.resets = []  # streams that the proxy has reset, and its error codes
        super().__init__(lab, script, **more)

    def serve(self, sock, number):
        connection = H2Connection(sock, number, self.streams)
        running = {}
        while True:
            data = sock.recv(262144)
            if not data:
                return
            try:
                events = connection.h2.receive_data(data)
            except h2.exceptions.ProtocolError as e:
                raise AssertionError(f"the proxy sent bad HTTP/2: {e}; {len(data)} bytes: {data[:80]!r}") from e
            for event in events:
                self._on(connection, running, event)
            connection.flush()

    def _on(self, connection, running, event):
        if isinstance(event, h2.events.RequestReceived):
            request = Request(list(event.headers), connection.number)
            request.sid = event.stream_id
            running[event.stream_id] = request
            self.requests.append(request)
            if self.early and not request.is_probe:
                self.early(connection, request)
            if request.get("expect") == "100-continue":
                connection.informational(request.sid, 100)
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in running:
                running[event.stream_id].body += event.data
            if self.acknowledge:
                connection.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            running[event.stream_id].trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            request = running.pop(event.stream_id, None)
            if request and request.is_probe:
                connection.respond(request.sid, 200 if self.healthy else 503)
            elif request and self.script:
                self.script(connection, request)
        elif isinstance(event, h2.events.StreamReset):
            if event.remote_reset:
                self.resets.append((event.stream_id, int(event.error_code)))
            running.pop(event.stream_id, None)
            connection.pending.pop(event.stream_id, None)
        elif isinstance(event, h2.events.WindowUpdated):
            connection.pour()
        elif isinstance(event, h2.events.PingReceived):
            connection.pings += 1
        elif isinstance(event, h2.events.SettingsAcknowledged):
            connection.acknowledged = True


class H1Origin(Origin):
    """
    script(sock, request) runs when a request is complete and writes the answer; False ends the connection. The same
    for early(sock, request) at its head, before its body is read.
    """

    alpn = ["http/1.1"]

    def __init__(self, lab, script, early=None, **more):
        self.early = early
        super().__init__(lab, script, **more)

    def serve(self, sock, number):
        stream = sock.makefile("rb")
        while True:
            line = stream.readline()
            if not line:
                return
            method, path, _ = line.decode("latin-1").split(" ", 2)
            request = Request([(":method", method), (":path", path)], number)
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                request.headers.append((name.lower(), value.strip()))
            self.requests.append(request)
            if request.get("expect") == "100-continue":
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if self.early and not request.is_probe and self.early(sock, request) is False:
                return
            self._body(stream, request)
            if request.is_probe:
                status = b"200 OK" if self.healthy else b"503 Service Unavailable"
                sock.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
            elif self.script(sock, request) is False:
                return

    @staticmethod
    def _body(stream, request):
        if request.get("transfer-encoding") == "chunked":
            while (size := int(stream.readline().split(b";")[0], 16)) > 0:
                request.body += stream.read(size)
                stream.readline()
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                request.trailers.append((name.lower(), value.strip()))
        else:
            request.body += stream.read(int(request.get("content-length", 0)))
