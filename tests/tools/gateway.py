"""An API Gateway regional endpoint in small: a REST or HTTP API behind a custom domain, whose health route is a Lambda
proxy integration with one of the functions of conf/aws/health, run for real by node or python3.

Everything else under the base path is answered with 200 and the region's name. A Host that is not the custom domain
gets 403, as the service gives it. The events are those of payload format 1.0 (REST) and 2.0 (HTTP). An nginx before it
speaks TLS and HTTP/2 to clients, as the service does.
"""
import http.server
import itertools
import json
import pathlib
import subprocess
import sys
import threading

import peers
from lab import HOST, NAME, ROOT, LabError, free_port

HEALTH = ROOT / "conf" / "aws" / "health"
FILES = {"node": "health.mjs", "python": "health.py"}
TOOLS = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"


class Function:
    """One execution environment: a process that lives from its first call to `close`."""

    def __init__(self, lab, language, env, directory=HEALTH):
        runner = ["node", TOOLS / "lambda_run.mjs"] if language == "node" else [PYTHON, "-B", TOOLS / "lambda_run.py"]
        self.log = lab.path(f"function-{language}.log")
        self._ids, self._waiting, self._lock = itertools.count(), {}, threading.Lock()
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [*map(str, runner), str(pathlib.Path(directory) / FILES[language])], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=lab.dir,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", **{k: str(v) for k, v in env.items()}})
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            answer = json.loads(line)
            with self._lock:
                slot = self._waiting.pop(answer["id"])
            slot["answer"] = answer
            slot["done"].set()

    def begin(self, event, left_ms=None):
        """Starts an invocation; the result is called to wait for its response."""
        slot = {"done": threading.Event()}
        call = {"id": next(self._ids), "event": event, **({} if left_ms is None else {"left_ms": left_ms})}
        with self._lock:
            self._waiting[call["id"]] = slot
            self.popen.stdin.write(json.dumps(call) + "\n")
            self.popen.stdin.flush()

        def wait(seconds=30):
            if not slot["done"].wait(seconds):
                raise LabError(f"the function does not answer:\n{self.output()}")
            if "error" in slot["answer"]:
                raise LabError(f"the function raises:\n{slot['answer']['error']}")
            return slot["answer"]["response"]
        return wait

    def invoke(self, event, left_ms=None):
        return self.begin(event, left_ms)()

    def output(self):
        return self.log.read_text(errors="replace")

    def close(self):
        """It must end by itself when its input does."""
        self.popen.stdin.close()
        try:
            self.popen.wait(10)
        finally:
            if self.popen.poll() is None:
                self.popen.kill()
                self.popen.wait()
            self.popen.stdout.close()


# ---- Events and answers ----

def rest_event(method="GET", path="/health", headers=None, stage="prod"):
    """Payload format 1.0: a client's header names keep their case."""
    headers = headers or {}
    return {"resource": path, "path": path, "httpMethod": method, "headers": dict(headers) or None,
            "multiValueHeaders": {k: [v] for k, v in headers.items()} or None, "queryStringParameters": None,
            "multiValueQueryStringParameters": None, "pathParameters": None, "stageVariables": None,
            "requestContext": {"resourcePath": path, "httpMethod": method, "path": f"/{stage}{path}", "stage": stage,
                               "protocol": "HTTP/1.1", "identity": {"sourceIp": "192.0.2.1"}},
            "body": None, "isBase64Encoded": False}


def http_event(method="GET", path="/health", headers=None, stage="$default"):
    """Payload format 2.0: header names are in lower case."""
    return {"version": "2.0", "routeKey": f"ANY {path}", "rawPath": path, "rawQueryString": "",
            "headers": {k.lower(): v for k, v in (headers or {}).items()},
            "requestContext": {"http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                                        "sourceIp": "192.0.2.1", "userAgent": "test"},
                               "routeKey": f"ANY {path}", "stage": stage, "domainName": NAME},
            "isBase64Encoded": False}


EVENTS = {"rest": rest_event, "http": http_event}


def checked(response):
    """(status, headers, body) of a response, which must be one that a proxy integration takes, else 502."""
    if not isinstance(response, dict) or not isinstance(response.get("statusCode"), int) or \
            not isinstance(response.get("body"), str) or not isinstance(response.get("isBase64Encoded"), bool) or \
            not all(isinstance(v, str) for v in response.get("headers", {}).values()) or \
            set(response) - {"statusCode", "headers", "body", "isBase64Encoded"}:
        return 502, {"content-type": "application/json"}, '{"message": "Internal server error"}'
    return response["statusCode"], response["headers"], response["body"]


# ---- The endpoint ----

FRONT = f"""
  upstream inner {{ server {HOST}:%d; keepalive 64; }}
  server {{
    listen {HOST}:%d ssl http2;
    location / {{ proxy_pass http://inner; proxy_set_header Host $host; proxy_set_header Connection "";
                 proxy_http_version 1.1; }}
  }}
"""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        gateway, path = self.server.gateway, self.path.partition("?")[0]
        gateway.requests.append((self.command, self.path, dict(self.headers)))
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers["host"] != gateway.domain:
            self._send(403, {"x-amzn-ErrorType": "ForbiddenException"}, '{"message":"Forbidden"}')
        elif not path.startswith(gateway.base_path + "/"):
            self._send(403, {"x-amzn-ErrorType": "ForbiddenException"}, '{"message":"Forbidden"}')
        elif path == gateway.base_path + "/health":
            self._send(*checked(gateway.function.invoke(gateway.event(self.command, "/health", dict(self.headers)))))
        else:
            self._send(200, {"x-emulated-region": gateway.name}, f"{gateway.name} {len(body)}")

    do_GET = do_HEAD = do_POST = _answer

    def _send(self, status, headers, body):
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, address):
        """A connection that the other side ends is none, nor what is under way when the test is over."""
        if not isinstance(sys.exc_info()[1], OSError) and not self.gateway.closing:
            super().handle_error(request, address)


class Gateway:
    """One region. `function` may be replaced while it runs, as by a deployment."""

    def __init__(self, lab, name, function, kind="rest", base_path="", domain=NAME):
        self.name, self.function, self.event, self.base_path = name, function, EVENTS[kind], base_path
        self.domain, self.requests, self.port, self.closing = domain, [], free_port(), False
        inner = free_port()
        self._server = _Server((HOST, inner), _Handler)
        self._server.gateway = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        peers.start_nginx(lab, f"front-{name}", FRONT % (inner, self.port)).wait_port(self.port)

    @property
    def url(self):
        return f"https://{HOST}:{self.port}{self.base_path}"

    def close(self):
        self.closing = True
        self._server.shutdown()
        self._server.server_close()
