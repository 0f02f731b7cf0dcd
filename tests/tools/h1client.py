"""A raw HTTP/1.1 client: sends any bytes, reads answers strictly, reports 1xx and trailers."""
import socket
import ssl


class Answer:
    def __init__(self, status, reason, headers):
        self.status, self.reason, self.headers = status, reason, headers
        self.body, self.trailers, self.informational = b"", [], []

    def get(self, name, default=None):
        """The only value of a header; more than one is an error of the test's expectation."""
        values = [v for k, v in self.headers if k == name.lower()]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else default


def client_tls(ca, alpn):
    context = ssl.create_default_context(cafile=str(ca))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def connect(port, context=None, sni=None, seconds=20, receive_buffer=None):
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(seconds)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock, server_hostname=sni) if context else sock


class H1Client:
    def __init__(self, port, context=None, sni=None, seconds=20):
        self.sock = connect(port, context, sni, seconds)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, headers=(), body=None, host="api.example.test"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in headers)]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        return self.answer(method)

    def _more(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise EOFError(f"the connection ended inside a line: {self.buffer[:200]!r}")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        assert b"\n" not in line and b"\r" not in line, f"a bare CR or LF in {line!r}"
        return line.decode("latin-1")

    def _fields(self):
        fields = []
        while True:
            line = self._line()
            if not line:
                return fields
            name, colon, value = line.partition(":")
            assert colon and name.strip() == name and name, f"a bad field line: {line!r}"
            fields.append((name.lower(), value.strip()))

    def _take(self, count):
        parts, missing = [], count
        while missing:
            if not self.buffer and not self._more():
                raise EOFError(f"the connection ended {missing} bytes early")
            part, self.buffer = self.buffer[:missing], self.buffer[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def head(self):
        """One head, a 1xx one too."""
        version, status, reason = (self._line().split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", version
        return Answer(int(status), reason, self._fields())

    def answer(self, method="GET"):
        informational = []
        answer = self.head()
        while answer.status < 200 and answer.status != 101:
            informational.append(answer)
            answer = self.head()
        answer.informational = informational
        if method == "HEAD" or answer.status in (101, 204, 304):
            return answer
        coding, length = answer.get("transfer-encoding"), answer.get("content-length")
        assert not (coding and length), "both Transfer-Encoding and Content-Length"
        if coding == "chunked":
            answer.body, answer.trailers = self._chunked()
        elif length is not None:
            answer.body = self._take(int(length))
        else:
            while self._more():
                pass
            answer.body, self.buffer = self.buffer, b""
        return answer

    def _chunked(self):
        parts = []
        while True:
            size = int(self._line().split(";")[0], 16)
            if size == 0:
                return b"".join(parts), self._fields()
            parts.append(self._take(size))
            assert self._line() == "", "no CRLF after a chunk"

    def ended(self):
        """True when the peer closes without sending anything more."""
        try:
            return not self.buffer and not self._more()
        except (ConnectionError, ssl.SSLError):
            return True
