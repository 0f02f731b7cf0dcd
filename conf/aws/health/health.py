"""A health function for AWS Lambda: pings what the API depends on and answers application/health+json.

It needs nothing but Python 3.9 or newer; health.mjs beside it does the same. ../README.md says how to set it up.

Nothing that is configured ever gets into an answer or a log but the checks' names and affected endpoints: errors are
told in the few words below, since a system's own words may hold addresses and secrets.
"""
import errno
import hashlib
import hmac
import http.client
import importlib.util
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from datetime import datetime, timezone

TYPES = ("datastore", "component", "system")
KEYS = ("url", "timeout_ms", "warn_ms", "type", "optional", "affects", "statuses", "method", "headers", "ca", "send",
        "expect")
FOR_HTTP = ("statuses", "method", "headers")
FOR_STREAM = ("send", "expect")
CHECKS_MAX = 32
RESERVE_MS = 100  # what is left of the function's own time for the answer
LATE_MS = 250  # before another address of a name is tried

ADDRESS = re.compile(r"(tcp|tls|http|https)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?"
                     r"([/?][\x21\x22\x24-\x7e]*)?")
HOOK = re.compile(r"hook:([A-Za-z_][A-Za-z0-9_]*)")
NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")
FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VALUE = re.compile(r"[\x20-\x7e\t]*")

NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)


class Unwell(Exception):
    pass


def say(words):
    print(f"health: {words}", file=sys.stderr, flush=True)


def now_ms():
    return time.monotonic() * 1000


def utc():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---- Configuration ----

def number(env, name, usual, least, most, problems):
    text = env.get(name, "")
    if text == "":
        return usual
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    problems.append(f"{name} must be a whole number from {least} to {most}")
    return usual


def expand(text, env, place, problems):
    """${NAME} is taken from the environment, so that a secret is no part of HEALTH_CHECKS."""
    def value(match):
        if match[1] not in env:
            problems.append(f"{place}: the environment variable {match[1]} is not set")
        return env.get(match[1], "")
    return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)


def is_whole(value, least, most):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most and \
        value == int(value)


def is_texts(value):
    return isinstance(value, list) and len(value) > 0 and all(isinstance(v, str) for v in value)


class Check:
    """One entry of HEALTH_CHECKS; what is wrong with it is appended to `problems`."""

    def __init__(self, name, given, env, problems):
        self.name, self.given, self.env, self.problems = name, given, env, problems
        self.scheme = self.hook = self.host = self.port = self.path = self.context = None
        self.place = f"HEALTH_CHECKS {name}" if NAME.fullmatch(name) else "HEALTH_CHECKS"
        if not NAME.fullmatch(name):
            self._problem("a name is 1 to 63 letters, digits, dots, dashes and underscores")
        if isinstance(given, str):
            self.given = given = {"url": given}
        if not isinstance(given, dict) or not isinstance(given.get("url"), str):
            self._problem("must be a url, or an object with a url")
            return
        self._read_address(given["url"])
        if self.scheme:
            self._read_options()

    def _problem(self, words):
        self.problems.append(f"{self.place}: {words}")

    def _read_address(self, url):
        hook = HOOK.fullmatch(url)
        if hook:
            self.scheme, self.hook = "hook", hook[1]
            return
        parts = ADDRESS.fullmatch(url)
        if not parts:
            self._problem("url must be tcp://host:port, tls://host:port, an http:// or https:// URL without user, "
                          "password and #, or hook:name")
            return
        is_http = parts[1] in ("http", "https")
        self.scheme, self.host = parts[1], parts[2].strip("[]")
        self.port = int(parts[3] or (443 if parts[1] == "https" else 80))
        self.path = re.sub(r"^\?", "/?", parts[4] or "/")
        if not is_http and (parts[3] is None or parts[4] is not None):
            self._problem(f"{parts[1]}:// takes a host and a port, and no path")
        if not 1 <= self.port <= 65535:
            self._problem("the port must be from 1 to 65535")

    def _read_options(self):
        given = self.given
        is_http, is_stream = self.scheme in ("http", "https"), self.scheme in ("tcp", "tls")
        for key in given:
            if key not in KEYS:
                self._problem(f"there is no key {key if NAME.fullmatch(key) else 'of that name'}")
            elif (key in FOR_HTTP and not is_http) or (key in FOR_STREAM and not is_stream) or \
                    (key == "ca" and self.scheme not in ("tls", "https")):
                self._problem(f"{key} does not go with this url")

        def take(key, usual, is_right, words):
            if key not in given:
                return usual
            if not is_right(given[key]):
                self._problem(f"{key} must be {words}")
                return usual
            return given[key]

        self.timeout_ms = take("timeout_ms", None, lambda v: is_whole(v, 10, 30000),
                               "a whole number from 10 to 30000")
        self.warn_ms = take("warn_ms", None, lambda v: is_whole(v, 1, 30000), "a whole number from 1 to 30000")
        self.type = take("type", "component" if is_http else "datastore", lambda v: v in TYPES,
                         "datastore, component or system")
        self.optional = take("optional", False, lambda v: isinstance(v, bool), "true or false")
        self.affects = take("affects", None, is_texts, "a list of paths")
        self.statuses = take("statuses", range(200, 300), lambda v: isinstance(v, list) and len(v) > 0 and
                             all(is_whole(s, 200, 599) for s in v), "a list of numbers from 200 to 599")
        self.method = take("method", "GET", lambda v: v in ("GET", "HEAD"), "GET or HEAD")
        self.send, self.expect = (self._read_text(key, take) for key in ("send", "expect"))
        self._read_headers(take("headers", {}, lambda v: isinstance(v, dict), "an object of texts"))
        if self.scheme in ("tls", "https"):
            self._read_ca(given.get("ca"))

    def _read_text(self, key, take):
        text = take(key, None, lambda v: isinstance(v, str) and v != "", "a text")
        return None if text is None else expand(text, self.env, self.place, self.problems).encode()

    def _read_headers(self, headers):
        self.headers = {"accept": "*/*", "user-agent": "health-function"}
        for name, value in headers.items():
            text = expand(value, self.env, self.place, self.problems) if isinstance(value, str) else None
            if text is None or not FIELD.fullmatch(name) or not VALUE.fullmatch(text):
                self._problem("headers must be an object of texts that HTTP allows")
            else:
                self.headers[name.lower()] = text

    def _read_ca(self, name):
        """A file's name counts from this function's directory."""
        try:
            path = None if name is None else os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
            self.context = ssl.create_default_context(cafile=path)
        except (OSError, TypeError, ValueError):
            self._problem("ca must be a PEM file of certificates that can be read")


def refuse_constant(_):
    raise ValueError


def read_checks(env, problems):
    if not env.get("HEALTH_CHECKS"):
        problems.append("HEALTH_CHECKS is not set: it names what is to be pinged")
        return []
    try:
        root = json.loads(env["HEALTH_CHECKS"], parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        problems.append("HEALTH_CHECKS is no valid JSON")
        return []
    if not isinstance(root, dict) or len(root) > CHECKS_MAX:
        problems.append(f"HEALTH_CHECKS must be an object of at most {CHECKS_MAX} checks")
        return []
    return [Check(name, given, env, problems) for name, given in root.items()]


def read_hooks(checks, problems):
    """Hooks are the owner's own pings, such as a query: functions of hooks.py that take timeout= in seconds and raise
    when something is wrong."""
    if not any(check.hook for check in checks):
        return None
    try:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hooks.py")
        spec = importlib.util.spec_from_file_location("health_hooks", path)
        hooks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hooks)
    except Exception:  # whatever a file of the owner's raises
        problems.append("the hooks beside this function cannot be loaded")
        return None
    for check in checks:
        if check.hook and not callable(getattr(hooks, check.hook, None)):
            problems.append(f"HEALTH_CHECKS {check.name}: there is no hook of that name")
    return hooks


class Config:
    def __init__(self, env):
        self.problems = []
        self.check_ms = number(env, "HEALTH_TIMEOUT_MS", 1000, 10, 30000, self.problems)
        self.total_ms = number(env, "HEALTH_TOTAL_MS", 1500, 10, 30000, self.problems)
        self.cache_ms = number(env, "HEALTH_CACHE_MS", 0, 0, 3600000, self.problems)
        self.token = env.get("HEALTH_TOKEN") or None
        about = (("version", "HEALTH_VERSION"), ("releaseId", "AWS_LAMBDA_FUNCTION_VERSION"),
                 ("serviceId", "HEALTH_SERVICE"))
        self.about = {key: env[name] for key, name in about if env.get(name)}
        self.checks = read_checks(env, self.problems)
        self.hooks = read_hooks(self.checks, self.problems)
        for problem in self.problems:
            say(problem)


# ---- Pings ----

def words_of(error):
    if isinstance(error, Unwell):
        return str(error)
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "the connection breaks off"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted, or not for this name"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake fails"
    if isinstance(error, TimeoutError):
        return "the connection times out"
    if isinstance(error, OSError) and error.errno in NO_WAY:
        return "there is no way to it"
    if isinstance(error, http.client.HTTPException):
        return "it gives no HTTP answer"
    return "it fails"


class Ping:
    """One check under way, on a thread of its own: a name server that hangs can be left behind by no other means."""

    def __init__(self, check, config, deadline):
        self.check, self.hooks = check, config.hooks
        self.began = now_ms()
        self.limit = max(1, min(check.timeout_ms or config.check_ms, deadline - self.began))
        self.sock = self.failure = self.took = None
        self.stopped = False
        self.done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _left(self):
        """Seconds, for a socket."""
        left = (self.began + self.limit - now_ms()) / 1000
        if left <= 0:
            raise TimeoutError
        return left

    def _run(self):
        failure = None
        try:
            if self.check.hook:
                self._ping_hook()
            elif self.check.scheme in ("http", "https"):
                self._ping_http()
            else:
                self._ping_stream()
        except Exception as error:  # whatever it is, it is this check's failure and nobody else's
            failure = words_of(error)
        self._close()
        self.failure, self.took = failure, now_ms() - self.began
        self.done.set()

    def _close(self):
        sock = self.sock
        if sock is not None:
            try:
                sock.close()
            except OSError:
                pass

    def _connect(self):
        found = socket.getaddrinfo(self.check.host, self.check.port, type=socket.SOCK_STREAM)
        for i, (family, kind, protocol, _, address) in enumerate(found):
            is_last = i == len(found) - 1
            self.sock = socket.socket(family, kind, protocol)
            if self.stopped:
                raise TimeoutError
            self.sock.settimeout(self._left() if is_last else min(self._left(), LATE_MS / 1000))
            try:
                self.sock.connect(address)
                break
            except OSError:
                if is_last:
                    raise
                self.sock.close()
        self.sock.settimeout(self._left())
        if self.check.context:
            # The handshake comes after, so that it can be ended by way of self.sock.
            self.sock = self.check.context.wrap_socket(self.sock, server_hostname=self.check.host,
                                                       do_handshake_on_connect=False)
            self.sock.do_handshake()
        return self.sock

    def _ping_stream(self):
        sock, want, heard = self._connect(), self.check.expect, b""
        if self.check.send is not None:
            sock.sendall(self.check.send)
        while want is not None and not heard.startswith(want):
            if not want.startswith(heard):
                raise Unwell("it gives an unexpected answer")
            sock.settimeout(self._left())
            more = sock.recv(4096)
            if not more:
                raise ConnectionResetError
            heard += more

    def _ping_http(self):
        check = self.check
        host = f"[{check.host}]" if ":" in check.host else check.host
        conn = http.client.HTTPConnection(host, check.port)
        conn.default_port = 443 if check.context else 80
        conn.sock = self._connect()
        conn.request(check.method, check.path, headers=check.headers)
        status = conn.getresponse().status
        if status not in check.statuses:
            raise Unwell(f"it answers with status {status}")

    def _ping_hook(self):
        try:
            getattr(self.hooks, self.check.hook)(timeout=self._left())
        except Exception:
            raise Unwell("its hook fails") from None

    def outcome(self):
        """Waits for its end, or for its time to be up."""
        if not self.done.wait(max(0, self.began + self.limit - now_ms()) / 1000) or self.took >= self.limit:
            self.stopped = True
            try:
                self.sock.shutdown(socket.SHUT_RDWR)  # ends what the thread waits for
            except (OSError, AttributeError):
                pass
            return outcome(self.check, max(self.limit, now_ms() - self.began),
                           f"it takes longer than {round(self.limit)} ms")
        return outcome(self.check, self.took, self.failure)


def outcome(check, took, failure):
    """A finished check as the draft has it."""
    is_slow = failure is None and check.warn_ms is not None and took > check.warn_ms
    status = "fail" if failure is not None else "warn" if is_slow else "pass"
    words = f"it takes longer than {round(check.warn_ms)} ms" if is_slow else failure
    value = round(took * 10) / 10
    result = {"componentId": check.name, "componentType": check.type,
              "observedValue": int(value) if value == int(value) else value, "observedUnit": "ms", "status": status}
    if status != "pass" and check.affects:
        result["affectedEndpoints"] = check.affects
    result["time"] = utc()
    if words is not None:
        result["output"] = words
        say(f"{check.name}: {status}: {words}")
    return result


# ---- The whole ----

def text_of(body):
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def answer_of(config, results):
    status = "pass"
    for check, result in results:
        if result["status"] == "fail" and not check.optional:
            status = "fail"
        elif result["status"] != "pass" and status == "pass":
            status = "warn"
    body = {"status": status, **config.about,
            "checks": {f"{check.name}:responseTime": [result] for check, result in results}}
    return 503 if status == "fail" else 200, text_of(body)


def broken(config):
    return 503, text_of({"status": "fail", **config.about, "checks": {"configuration": [{
        "componentId": "configuration", "componentType": "component", "status": "fail", "time": utc(),
        "output": "; ".join(config.problems)}]}})


def examine(config, context):
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    left = remaining() if remaining else float("inf")
    deadline = now_ms() + min(config.total_ms, left - RESERVE_MS)
    pings = [Ping(check, config, deadline) for check in config.checks]
    return answer_of(config, [(ping.check, ping.outcome()) for ping in pings])


_config_lock, _ping_lock = threading.Lock(), threading.Lock()
_config = None
_last = None  # (when it ended, the same by the wall's clock, the answer)


def is_fresh(kept, cache_ms):
    """An environment that Lambda froze may have missed time by the one clock, and the other may be set: both must
    agree."""
    return all(0 <= age < cache_ms for age in (now_ms() - kept[0], time.time() * 1000 - kept[1]))


def examined(config, context):
    """Who asks while pings are under way waits for those; who asks soon enough afterwards gets what they said."""
    global _last
    asked = now_ms()
    with _ping_lock:
        if _last and (asked < _last[0] or is_fresh(_last, config.cache_ms)):
            return _last[2]
        answer = examine(config, context)
        _last = now_ms(), time.time() * 1000, answer
        return answer


def configured():
    global _config
    with _config_lock:
        if _config is None:
            _config = Config(os.environ)
        return _config


def has_token(config, event):
    def digest(text):
        return hashlib.sha256(text.encode()).digest()
    headers = event.get("headers") or {}
    found = next((str(v) for k, v in headers.items() if k.lower() == "x-health-token"), "")
    return config.token is None or hmac.compare_digest(digest(found), digest(config.token))


def reply(status, kind, body, **more):
    return {"statusCode": status, "headers": {"content-type": kind, "cache-control": "no-store", **more},
            "body": body, "isBase64Encoded": False}


def method_of(event):
    """A REST API's event (and payload format 1.0) has it at the top, an HTTP API's 2.0 in requestContext.http."""
    deep = ((event.get("requestContext") or {}).get("http") or {}).get("method")
    return event.get("httpMethod") or deep or "GET"


def handler(event, context=None):
    event = event if isinstance(event, dict) else {}
    method = method_of(event)
    config = configured()
    if method not in ("GET", "HEAD"):
        return reply(405, "application/json", '{"message":"only GET and HEAD"}', allow="GET, HEAD")
    if not has_token(config, event):
        return reply(401, "application/json",
                     "" if method == "HEAD" else '{"message":"x-health-token is missing or wrong"}')
    status, body = broken(config) if config.problems else examined(config, context)
    return reply(status, "application/health+json", "" if method == "HEAD" else body)
