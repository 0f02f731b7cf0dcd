"""The health functions of conf/aws, run for real by node and python3, alone and as two regions' health routes."""
import contextlib
import json
import pathlib
import shutil
import signal
import socket
import threading
import time

import jsonschema
import pytest

import gateway
import peers
from gateway import Function, Gateway, http_event, rest_event
from lab import HOST, NAME, free_port, wait_until
from product import SLOW

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOTH = ("node", "python")

# draft-inadarei-api-health-check-06: sections 3 (the whole) and 4 (checks), as far as these functions may use it.
_CHECK = {
    "type": "object",
    "required": ["componentId", "componentType", "status", "time"],
    "properties": {
        "componentId": {"type": "string", "pattern": "^[^:]+$"},
        "componentType": {"enum": ["component", "datastore", "system"]},
        "observedValue": {"type": "number", "minimum": 0},
        "observedUnit": {"const": "ms"},
        "status": {"enum": ["pass", "warn", "fail"]},
        "affectedEndpoints": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "output": {"type": "string", "minLength": 1},
    },
    "dependentRequired": {"observedValue": ["observedUnit"], "observedUnit": ["observedValue"]},
    "if": {"properties": {"status": {"const": "pass"}}},
    "then": {"not": {"anyOf": [{"required": ["output"]}, {"required": ["affectedEndpoints"]}]}},
    "else": {"required": ["output"]},
    "additionalProperties": False,
}
DRAFT = {
    "type": "object",
    "required": ["status", "checks"],
    "properties": {
        "status": {"enum": ["pass", "warn", "fail"]},
        "version": {"type": "string"}, "releaseId": {"type": "string"}, "serviceId": {"type": "string"},
        "checks": {"type": "object", "propertyNames": {"pattern": "^[^:]+(:[^:]+)?$"},
                   "additionalProperties": {"type": "array", "minItems": 1, "items": _CHECK}},
    },
    "additionalProperties": False,
}


def valid(response):
    """The parsed body of a function's response, which must be what the draft says."""
    assert response["headers"]["content-type"] == "application/health+json"
    assert response["headers"]["cache-control"] == "no-store"
    body = json.loads(response["body"])
    jsonschema.Draft202012Validator(DRAFT).validate(body)
    assert response["statusCode"] == (503 if body["status"] == "fail" else 200)
    return body


def checks_of(response):
    """{name: check}."""
    return {key.partition(":")[0]: items[0] for key, items in valid(response)["checks"].items()}


def bare(response):
    """Without what differs from run to run."""
    body = valid(response)
    for items in body["checks"].values():
        for check in items:
            check.pop("time")
            check.pop("observedValue", None)
    return body


@pytest.fixture(scope="session", autouse=True)
def readable(tmp_path_factory):
    """nginx's workers run as another user."""
    tmp_path_factory.getbasetemp().chmod(0o755)


@pytest.fixture
def function(lab):
    """function(language, checks, **env): one execution environment."""
    made = []

    def begin(language, checks=None, directory=gateway.HEALTH, **env):
        if checks is not None:
            env["HEALTH_CHECKS"] = checks if isinstance(checks, str) else json.dumps(checks)
        made.append(Function(lab, language, env, directory))
        return made[-1]

    yield begin
    for one in made:
        one.close()


class Redis:
    def __init__(self, lab, tls=False):
        self.lab, self.port, self.tls = lab, free_port(), tls
        self.start()

    def start(self):
        port = ["--port", "0", "--tls-port", self.port, "--tls-cert-file", self.lab.certs.cert(HOST), "--tls-key-file",
                self.lab.certs.key(HOST), "--tls-auth-clients", "no"] if self.tls else ["--port", self.port]
        self.process = self.lab.start("redis", ["redis-server", "--bind", HOST, *port, "--save", "", "--appendonly",
                                                "no", "--dir", self.lab.dir])
        self.process.wait_port(self.port)

    def stop(self):
        self.lab.end(self.process)


class Peer:
    """A server that counts its connections and treats each as it is told, on a thread of its own."""

    def __init__(self, serve=None):
        self.serve, self.count, self._open, self.over = serve, 0, [], threading.Event()
        self.listener = socket.create_server((HOST, 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.count += 1
                self._open.append(sock)
                if self.serve:
                    threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError):
            self.serve(self, sock)

    def close(self):
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self._open:
            sock.close()


@pytest.fixture
def peer():
    made = []

    def begin(serve=None):
        made.append(Peer(serve))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def hang_up(_, sock):
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def babble(_, sock):
    sock.recv(1)
    sock.sendall(b"good morning\r\n\r\n")


def trickle(peer, sock):
    """A head that never ends."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not peer.over.wait(0.02):
        sock.sendall(b"x")


def api(lab, body, tag="api"):
    """A real nginx as an external API, over TLS; its port."""
    port = free_port()
    peers.start_nginx(lab, tag, f"server {{ listen {HOST}:{port} ssl; ssl_certificate {lab.certs.cert(HOST)}; "
                      f"ssl_certificate_key {lab.certs.key(HOST)}; {body} }}").wait_port(port)
    return port


# ---- One answer ----

@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("event", [rest_event, http_event])
def test_an_answer(lab, function, language, event):
    redis = Redis(lab)
    made = function(language, {"cache": f"tcp://{HOST}:{redis.port}"}, HEALTH_VERSION="3",
                    AWS_LAMBDA_FUNCTION_VERSION="17", HEALTH_SERVICE="a1b2.eu-west-1")
    response = made.invoke(event())
    body = valid(response)
    assert {k: v for k, v in body.items() if k != "checks"} == {
        "status": "pass", "version": "3", "releaseId": "17", "serviceId": "a1b2.eu-west-1"}
    check = body["checks"]["cache:responseTime"][0]
    assert check["componentType"] == "datastore" and 0 < check["observedValue"] < 1000
    head = made.invoke(event("HEAD"))
    assert head["body"] == "" and (head["statusCode"], head["headers"]) == (200, response["headers"])
    post = made.invoke(event("POST"))
    assert post["statusCode"] == 405 and post["headers"]["allow"] == "GET, HEAD"
    redis.stop()
    assert made.invoke(event("HEAD"))["statusCode"] == 503
    assert valid(made.invoke(event()))["status"] == "fail"


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("event", [{}, None, {"headers": None, "requestContext": None}, {"source": "aws.events"}])
def test_an_event_that_is_no_request(function, language, event):
    """As `aws lambda invoke` sends."""
    assert valid(function(language, {}).invoke(event)) == {"status": "pass", "checks": {}}


# What fails, and in which words. Both languages have the same ones.

def situation(lab, peer):
    redis, secure = Redis(lab), Redis(lab, tls=True)
    web = api(lab, 'location = /ok { if ($http_x_api_key != "k") { return 403; } return 200 "fine"; } '
                   'location = /moved { return 302 /ok; } location / { return 500; }')
    ca = str(lab.certs.ca)
    key = {"headers": {"X-Api-Key": "${API_KEY}"}, "ca": ca}
    failures = {
        "refused": (f"tcp://{HOST}:{free_port()}", "the connection is refused"),
        "nameless": ("tcp://no-such-name.invalid:5432", "its name does not resolve"),
        "nameless-api": ("https://no-such-name.invalid/x", "its name does not resolve"),
        "breaks": ({"url": f"tcp://{HOST}:{peer(hang_up).port}", "send": "x", "expect": "y"},
                   "the connection breaks off"),
        "breaks-tls": (f"tls://{HOST}:{peer(hang_up).port}", "the connection breaks off"),
        "breaks-api": (f"http://{HOST}:{peer(hang_up).port}/", "the connection breaks off"),
        "babbles": (f"http://{HOST}:{peer(babble).port}/", "it gives no HTTP answer"),
        "other-word": ({"url": f"tcp://{HOST}:{redis.port}", "send": "PING\r\n", "expect": "+OK"},
                       "it gives an unexpected answer"),
        "stranger": (f"https://{HOST}:{web}/ok", "its certificate is not trusted, or not for this name"),
        "stranger-tls": (f"tls://{HOST}:{secure.port}", "its certificate is not trusted, or not for this name"),
        "other-name": ({"url": f"https://localhost:{web}/ok", "ca": ca},
                       "its certificate is not trusted, or not for this name"),
        "no-tls": (f"tls://{HOST}:{peer(babble).port}", "the TLS handshake fails"),
        "forbidden": ({"url": f"https://{HOST}:{web}/ok", "ca": ca}, "it answers with status 403"),
        "moved": ({"url": f"https://{HOST}:{web}/moved", "ca": ca}, "it answers with status 302"),
        "broken": ({"url": f"https://{HOST}:{web}/broken", **key}, "it answers with status 500"),
    }
    well = {
        "cache": f"tcp://{HOST}:{redis.port}",
        "cache-ping": {"url": f"tcp://{HOST}:{redis.port}", "send": "PING\r\n", "expect": "+PONG"},
        "cache-tls": {"url": f"tls://{HOST}:{secure.port}", "ca": ca, "send": "PING\r\n", "expect": "+PONG"},
        "by-name": f"tcp://localhost:{redis.port}",
        "api": {"url": f"https://{HOST}:{web}/ok", **key},
        "api-head": {"url": f"https://{HOST}:{web}/ok?a=b", "method": "HEAD", **key},
        "api-broken-as-wanted": {"url": f"https://{HOST}:{web}?x", "statuses": [500], "ca": ca, "type": "system"},
    }
    return well, failures


def test_both_languages_say_the_same(lab, function, peer):
    well, failures = situation(lab, peer)
    checks = {**well, **{name: given for name, (given, _) in failures.items()}}
    answers = {}
    for language in BOTH:
        made = function(language, checks, API_KEY="k", HEALTH_TIMEOUT_MS=10000, HEALTH_TOTAL_MS=20000)
        found = checks_of(made.invoke(rest_event()))
        assert {n: c.get("output") for n, c in found.items()} == {
            **{n: None for n in well}, **{n: words for n, (_, words) in failures.items()}}, language
        answers[language] = bare(made.invoke(http_event()))
    assert answers["node"] == answers["python"] and list(answers["node"]) == list(answers["python"])
    kinds = {k.partition(":")[0]: v[0]["componentType"] for k, v in answers["node"]["checks"].items()}
    assert (kinds["cache"], kinds["cache-tls"], kinds["api"], kinds["api-broken-as-wanted"]) == (
        "datastore", "datastore", "component", "system")


@pytest.mark.parametrize("language", BOTH)
def test_the_whole(function, peer, language):
    """A slow or optional check makes it warn, any other that fails makes it fail."""
    fine, dead = f"tcp://{HOST}:{peer().port}", f"tcp://{HOST}:{free_port()}"

    def late(_, sock):
        sock.recv(1)
        time.sleep(0.03)  # the dependency itself is what is slow here
        sock.sendall(b"+")

    slow = {"url": f"tcp://{HOST}:{peer(late).port}", "send": "?", "expect": "+", "warn_ms": 20, "affects": ["/a/{id}"]}
    for checks, whole in [
        ({"a": fine}, "pass"),
        ({"a": fine, "b": slow}, "warn"),
        ({"a": fine, "b": {"url": dead, "optional": True}}, "warn"),
        ({"a": {"url": dead, "affects": ["/x", "/y/*"]}, "b": slow, "c": fine}, "fail"),
    ]:
        response = function(language, checks).invoke(rest_event())
        assert valid(response)["status"] == whole, checks
        found = checks_of(response)
        if checks.get("b") is slow:
            assert (found["b"]["status"], found["b"]["output"]) == ("warn", "it takes longer than 20 ms")
            assert found["b"]["affectedEndpoints"] == ["/a/{id}"] and found["b"]["observedValue"] >= 30
    assert found["a"]["affectedEndpoints"] == ["/x", "/y/*"]


# ---- Time ----

def timed(call):
    began = time.monotonic()
    return call(), (time.monotonic() - began) * 1000


@pytest.mark.parametrize("language", BOTH)
def test_time_limits(function, peer, language):
    """Many dependencies that hang, each in its own way, take as long as one."""
    mute, slow = peer(), peer(trickle)
    hangs = {"tcp": {"url": f"tcp://{HOST}:{mute.port}", "expect": "x"}, "tls": f"tls://{HOST}:{mute.port}",
             "http": f"http://{HOST}:{mute.port}/", "https": f"https://{HOST}:{mute.port}/",
             "trickle": f"http://{HOST}:{slow.port}/"}
    checks = {f"{n}-{i}": c for n, c in hangs.items() for i in range(4)}
    checks["quick"] = {"url": f"tcp://{HOST}:{mute.port}", "expect": "x", "timeout_ms": 50}
    made = function(language, checks, HEALTH_TIMEOUT_MS=400, HEALTH_TOTAL_MS=5000)
    made.invoke(rest_event())
    response, took = timed(lambda: made.invoke(rest_event()))
    found = checks_of(response)
    assert 395 <= took <= 2000, "one after the other they would take eight seconds"
    assert found.pop("quick")["output"] == "it takes longer than 50 ms"
    assert {c["output"] for c in found.values()} == {"it takes longer than 400 ms"}
    assert all(c["observedValue"] >= 395 for c in found.values())


@pytest.mark.parametrize("language", BOTH)
def test_the_time_of_all(function, peer, language):
    """HEALTH_TOTAL_MS, and before the function's own time is over."""
    checks = {"mute": f"http://{HOST}:{peer().port}/"}
    made = function(language, checks, HEALTH_TIMEOUT_MS=30000, HEALTH_TOTAL_MS=300)
    made.invoke(rest_event())
    response, took = timed(lambda: made.invoke(rest_event()))
    assert checks_of(response)["mute"]["output"] == "it takes longer than 300 ms" and took <= 2000
    response, took = timed(lambda: made.invoke(rest_event(), left_ms=250))
    assert checks_of(response)["mute"]["output"] == "it takes longer than 150 ms" and took <= 2000
    assert checks_of(made.invoke(rest_event(), left_ms=20))["mute"]["status"] == "fail"


@pytest.mark.parametrize("language", BOTH)
def test_a_database_that_hangs(lab, function, language):
    """Its kernel still accepts: only a word of the protocol's own finds out."""
    redis = Redis(lab)
    url = f"tcp://{HOST}:{redis.port}"
    made = function(language, {"connect": url, "ping": {"url": url, "send": "PING\r\n", "expect": "+PONG"}},
                    HEALTH_TIMEOUT_MS=500)
    assert valid(made.invoke(rest_event()))["status"] == "pass"
    redis.process.send(signal.SIGSTOP)
    found = checks_of(made.invoke(rest_event()))
    assert (found["connect"]["status"], found["ping"]["output"]) == ("pass", "it takes longer than 500 ms")
    redis.process.send(signal.SIGCONT)
    assert valid(made.invoke(rest_event()))["status"] == "pass"


# ---- Hooks ----

HOOKS = {
    "node": """
export async function fine({ timeoutMs }) { if (timeoutMs !== 300) throw new Error("limit"); }
export function thrown() { throw new Error("password=hunter2"); }
export const ignored = () => new Promise(() => {});
export const heeded = ({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject));
export const number = 1;
""",
    "python": """
import threading
def fine(timeout): assert 0.2 < timeout <= 0.3
def thrown(timeout): raise RuntimeError("password=hunter2")
def ignored(timeout): threading.Event().wait(60)
def heeded(timeout): threading.Event().wait(timeout); raise TimeoutError
number = 1
""",
}


@pytest.fixture
def hooked(tmp_path, function):
    def begin(language, checks, hooks=None, **env):
        folder = tmp_path / f"hooks-{language}"
        shutil.copytree(gateway.HEALTH, folder, dirs_exist_ok=True)
        name = "hooks.mjs" if language == "node" else "hooks.py"
        (folder / name).write_text(HOOKS[language] if hooks is None else hooks)
        return function(language, checks, folder, HEALTH_TIMEOUT_MS=300, **env)
    return begin


@pytest.mark.parametrize("language", BOTH)
def test_hooks(hooked, language):
    made = hooked(language, {n: f"hook:{n}" for n in ("fine", "thrown", "ignored", "heeded")})
    found = checks_of(made.invoke(rest_event()))
    late = "it takes longer than 300 ms"
    assert {n: c.get("output") for n, c in found.items()} == {
        "fine": None, "thrown": "its hook fails", "ignored": late, "heeded": late}
    assert "hunter2" not in made.output()


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("hooks, check, words", [
    (None, "hook:absent", "HEALTH_CHECKS x: there is no hook of that name"),
    (None, "hook:number", "HEALTH_CHECKS x: there is no hook of that name"),
    ("{{{ hunter2", "hook:fine", "the hooks beside this function cannot be loaded"),
])
def test_hooks_that_are_not_there(hooked, language, hooks, check, words):
    made = hooked(language, {"x": check}, hooks)
    response = made.invoke(rest_event())
    assert checks_of(response)["configuration"]["output"] == words
    assert "hunter2" not in response["body"] + made.output()


# ---- Configuration ----

SECRET = "s3cr3t-hunter2"
ONE = '{"db": %s}'
PLACE = "HEALTH_CHECKS db: "
URL = PLACE + ("url must be tcp://host:port, tls://host:port, an http:// or https:// URL without user, password and #, "
               "or hook:name")
BAD = [
    (None, "HEALTH_CHECKS is not set: it names what is to be pinged"),
    ("", "HEALTH_CHECKS is not set: it names what is to be pinged"),
    ('{"db": "' + SECRET, "HEALTH_CHECKS is no valid JSON"),
    ('{"db": NaN}', "HEALTH_CHECKS is no valid JSON"),
    ("[]", "HEALTH_CHECKS must be an object of at most 32 checks"),
    (json.dumps({f"c{i}": "tcp://a:1" for i in range(33)}), "HEALTH_CHECKS must be an object of at most 32 checks"),
    (ONE % "7", PLACE + "must be a url, or an object with a url"),
    (ONE % "{}", PLACE + "must be a url, or an object with a url"),
    ('{"a:b": "tcp://a:1"}', "HEALTH_CHECKS: a name is 1 to 63 letters, digits, dots, dashes and underscores"),
    (ONE % f'"postgres://u:{SECRET}@db/x"', URL),
    (ONE % f'"https://u:{SECRET}@api/x"', URL),
    (ONE % '"https://api/x#y"', URL),
    (ONE % r'"https://api/x\n"', URL),
    (ONE % '"tcp://db"', PLACE + "tcp:// takes a host and a port, and no path"),
    (ONE % '"tls://db:1/x"', PLACE + "tls:// takes a host and a port, and no path"),
    (ONE % '"tcp://db:65536"', PLACE + "the port must be from 1 to 65535"),
    (ONE % '{"url": "tcp://a:1", "timeout": 1}', PLACE + "there is no key timeout"),
    (ONE % '{"url": "tcp://a:1", "a b": 1}', PLACE + "there is no key of that name"),
    (ONE % '{"url": "tcp://a:1", "timeout_ms": 9}', PLACE + "timeout_ms must be a whole number from 10 to 30000"),
    (ONE % '{"url": "tcp://a:1", "timeout_ms": 1e999}', PLACE + "timeout_ms must be a whole number from 10 to 30000"),
    (ONE % '{"url": "tcp://a:1", "timeout_ms": true}', PLACE + "timeout_ms must be a whole number from 10 to 30000"),
    (ONE % '{"url": "tcp://a:1", "warn_ms": "5"}', PLACE + "warn_ms must be a whole number from 1 to 30000"),
    (ONE % '{"url": "tcp://a:1", "type": "db"}', PLACE + "type must be datastore, component or system"),
    (ONE % '{"url": "tcp://a:1", "optional": 1}', PLACE + "optional must be true or false"),
    (ONE % '{"url": "tcp://a:1", "affects": "/x"}', PLACE + "affects must be a list of paths"),
    (ONE % '{"url": "tcp://a:1", "statuses": [200]}', PLACE + "statuses does not go with this url"),
    (ONE % '{"url": "http://a", "statuses": [100]}', PLACE + "statuses must be a list of numbers from 200 to 599"),
    (ONE % '{"url": "http://a", "method": "POST"}', PLACE + "method must be GET or HEAD"),
    (ONE % '{"url": "http://a", "send": "x"}', PLACE + "send does not go with this url"),
    (ONE % '{"url": "tcp://a:1", "send": ""}', PLACE + "send must be a text"),
    (ONE % '{"url": "http://a", "ca": "x.pem"}', PLACE + "ca does not go with this url"),
    (ONE % '{"url": "https://a", "ca": "no-such.pem"}',
     PLACE + "ca must be a PEM file of certificates that can be read"),
    (ONE % '{"url": "https://a", "ca": "health.py"}',
     PLACE + "ca must be a PEM file of certificates that can be read"),
    (ONE % '{"url": "http://a", "headers": []}', PLACE + "headers must be an object of texts"),
    (ONE % ('{"url": "http://a", "headers": {"a b": "%s"}}' % SECRET),
     PLACE + "headers must be an object of texts that HTTP allows"),
    (ONE % ('{"url": "http://a", "headers": {"x": "%s\\r\\ny: z"}}' % SECRET),
     PLACE + "headers must be an object of texts that HTTP allows"),
    (ONE % '{"url": "http://a", "headers": {"x": "${NO_SUCH}"}}',
     PLACE + "the environment variable NO_SUCH is not set"),
]


@pytest.mark.parametrize("checks, words", BAD)
def test_bad_configurations(function, checks, words):
    """They are told in words that hold no value, by both languages the same; nothing is pinged, nothing crashes."""
    for language in BOTH:
        made = function(language, checks)
        response = made.invoke(rest_event())
        assert response["statusCode"] == 503
        assert checks_of(response)["configuration"]["output"] == words, language
        assert SECRET not in response["body"] + made.output()
        assert words in made.output()


def test_all_mistakes_at_once(function):
    env = {"HEALTH_TIMEOUT_MS": "1s", "HEALTH_TOTAL_MS": "5", "HEALTH_CACHE_MS": "-1"}
    for language in BOTH:
        made = function(language, {"a": "x", "b": {"url": "tcp://a", "warn_ms": 0}}, **env)
        words = checks_of(made.invoke(http_event()))["configuration"]["output"].split("; ")
        assert words == ["HEALTH_TIMEOUT_MS must be a whole number from 10 to 30000",
                         "HEALTH_TOTAL_MS must be a whole number from 10 to 30000",
                         "HEALTH_CACHE_MS must be a whole number from 0 to 3600000",
                         URL.replace(" db:", " a:"),
                         "HEALTH_CHECKS b: tcp:// takes a host and a port, and no path",
                         "HEALTH_CHECKS b: warn_ms must be a whole number from 1 to 30000"], language


@pytest.mark.parametrize("language", BOTH)
def test_secrets_stay_inside(lab, function, peer, language):
    """Wherever a secret may stand, it reaches the dependency and neither the answer nor the log."""
    heard = []

    def listen(_, sock):
        heard.append(sock.recv(4096))
        sock.sendall(b"-ERR " + SECRET.encode() + b"\r\n")

    checks = {"sent": {"url": f"tcp://{HOST}:{peer(listen).port}", "send": "AUTH ${PASS}\r\n", "expect": "+OK"},
              "field": {"url": f"http://{HOST}:{peer(listen).port}/{SECRET}?q={SECRET}",
                        "headers": {"authorization": "Bearer ${PASS}"}},
              "host": f"tcp://{SECRET}.invalid:1"}
    made = function(language, checks, PASS=SECRET, HEALTH_TOKEN=SECRET)
    response = made.invoke(rest_event(headers={"X-Health-Token": SECRET}))
    assert {c["status"] for c in checks_of(response).values()} == {"fail"}
    assert b"AUTH " + SECRET.encode() + b"\r\n" in heard and sum(SECRET.encode() in h for h in heard) == 2
    assert SECRET not in json.dumps(response) + made.output()


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("event", [rest_event, http_event])
def test_a_token(function, peer, language, event):
    """Who does not know it learns nothing, and makes nobody ping."""
    db = peer()
    made = function(language, {"db": f"tcp://{HOST}:{db.port}"}, HEALTH_TOKEN="open sesame")
    for headers in (None, {}, {"x-health-token": ""}, {"x-health-token": "open"}, {"token": "open sesame"}):
        for method in ("GET", "HEAD"):
            response = made.invoke(event(method, headers=headers))
            assert response["statusCode"] == 401 and "db" not in response["body"]
    assert db.count == 0
    assert valid(made.invoke(event(headers={"X-Health-Token": "open sesame"})))["status"] == "pass"
    wait_until(lambda: db.count == 1, 5, "the ping")


# ---- A burst ----

@pytest.mark.parametrize("language", BOTH)
def test_a_burst_costs_one_ping(function, peer, language):
    db = peer(lambda _, sock: sock.sendall(b"+"))
    url = {"db": {"url": f"tcp://{HOST}:{db.port}", "expect": "+"}}
    kept = function(language, url, HEALTH_CACHE_MS=3600000)
    answers = {kept.invoke(rest_event())["body"] for _ in range(20)} | {kept.invoke(http_event())["body"]}
    assert len(answers) == 1 and db.count == 1
    assert kept.invoke(http_event("HEAD"))["body"] == "" and db.count == 1
    anew = function(language, url)
    for _ in range(3):
        assert valid(anew.invoke(rest_event()))["status"] == "pass"
    assert db.count == 4
    short = function(language, url, HEALTH_CACHE_MS=50)
    first = short.invoke(rest_event())["body"]
    wait_until(lambda: short.invoke(rest_event())["body"] != first, 10, "an answer that is not the kept one")
    assert db.count == 6


@pytest.mark.parametrize("language", BOTH)
def test_who_asks_meanwhile_waits(function, peer, language):
    """Without a cache, too: pings that are under way answer for all who ask."""
    gate = threading.Event()

    def held(_, sock):
        gate.wait(20)
        sock.sendall(b"+")

    db = peer(held)
    made = function(language, {"db": {"url": f"tcp://{HOST}:{db.port}", "expect": "+"}}, HEALTH_TIMEOUT_MS=20000,
                    HEALTH_TOTAL_MS=20000)
    first = made.begin(rest_event())
    wait_until(lambda: db.count == 1, 10, "the first ping")
    rest = [made.begin(rest_event()) for _ in range(10)]
    # A request that is answered without a ping has gone through the function behind those.
    assert made.invoke(rest_event("POST"))["statusCode"] == 405
    gate.set()
    bodies = {wait()["body"] for wait in [first, *rest]}
    assert len(bodies) == 1 and db.count == 1


# ---- Two regions behind Isochrone ----

# A probe's timeout leaves the function all its time and more, however busy the machine is.
FAST = {"path": "/health", "interval": "1s", "timeout": "1s"}
ROUTES = [{"match": {"path": "/orders/*"}, "service": "orders", "requires": ["database"]},
          {"match": {"path": "/pay/*"}, "service": "orders", "requires": ["payments"]},
          {"match": {"path": "/*"}, "service": "orders"}]


class Region:
    """A database, an external API, the function that pings them, and the gateway."""

    def __init__(self, lab, name, language, kind, **more):
        self.lab, self.name, self.language = lab, name, language
        self.redis = Redis(lab)
        self.web = api(lab, 'location / { return 200 "fine"; }', f"api-{name}")
        self.nginx = lab.processes[-1]
        self.function = Function(lab, language, self.environment())
        self.gateway = Gateway(lab, name, self.function, kind, **more)
        # A function's start is no part of the tests: the first call is made by nobody's probe.
        assert valid(self.function.invoke(rest_event()))["status"] == "pass"

    def environment(self):
        return {"HEALTH_TIMEOUT_MS": 300, "HEALTH_TOTAL_MS": 320, "HEALTH_CHECKS": json.dumps({
            "database": {"url": f"tcp://{HOST}:{self.redis.port}", "send": "PING\r\n", "expect": "+PONG"},
            "payments": {"url": f"https://{HOST}:{self.web}/status", "ca": str(self.lab.certs.ca)}})}

    def probes(self):
        return [path for _, path, _ in list(self.gateway.requests) if path.endswith("/health")]

    def close(self):
        self.gateway.close()
        self.function.close()


@pytest.fixture
def regions(lab):
    made = []

    def begin(kinds, **more):
        made.extend(Region(lab, name, language, kind, **more)
                    for name, (language, kind) in zip(("us-east-1", "eu-west-1"), kinds))
        return made

    yield begin
    for one in made:
        one.close()


def asked(client, path, count=20):
    """Which regions answered so many requests."""
    seen = set()
    for sid in [client.start("GET", path) for _ in range(count)]:
        answer = client.wait(sid)
        assert answer.status == 200, answer.status
        seen.add(answer.get("x-emulated-region"))
    return seen


def said(proxy, region):
    return {n: d["status"] for n, d in proxy.region(region.name)["dependencies"].items()}


def stay(proxy, client, region, paths):
    """More bad probes than make a region unhealthy do not make this one, and it serves these paths all the while."""
    before = len(region.probes())

    def serves():
        for path in paths:
            assert region.name in asked(client, path), (path, proxy.region(region.name))
        return len(region.probes()) >= before + 5

    wait_until(serves, 20 * SLOW, "five more probes")
    assert proxy.region(region.name)["state"] in ("healthy", "degraded"), proxy.region(region.name)["why"]


def behind(start, regions, **more):
    proxy = start({r.name: {"url": r.gateway.url, "host": NAME} for r in regions},
                  service={"health": FAST, "balance": {"policy": "weighted"}, **more.pop("service", {})}, **more)
    return proxy


@pytest.mark.parametrize("kinds", [(("node", "rest"), ("python", "http")), (("python", "rest"), ("node", "http"))],
                         ids=["node-rest+python-http", "python-rest+node-http"])
def test_a_dependency_of_one_region(start, regions, h2, kinds):
    """What breaks in one region moves the routes that require it, and those alone; what breaks in both moves none."""
    here, there = regions(kinds, base_path="/prod")
    proxy = behind(start, (here, there), routes=ROUTES)
    well = {"database": "pass", "payments": "pass"}
    wait_until(lambda: said(proxy, here) == well and said(proxy, there) == well, 20 * SLOW, "both to be well")
    proxy.wait_states({here.name: "healthy", there.name: "healthy"})
    client, both = h2(proxy), {here.name, there.name}
    for path in ("/orders/1", "/pay/1", "/other"):
        wait_until(lambda: asked(client, path) == both, 10 * SLOW, f"both regions to answer {path}")

    here.redis.stop()
    wait_until(lambda: asked(client, "/orders/1") == {there.name}, 10 * SLOW, "/orders to leave")
    assert said(proxy, here) == {"database": "fail", "payments": "pass"} and said(proxy, there) == well
    stay(proxy, client, here, ("/pay/1", "/other"))

    there.lab.end(there.nginx)
    wait_until(lambda: asked(client, "/pay/1") == {here.name}, 10 * SLOW, "/pay to leave the other")
    assert said(proxy, there) == {"database": "pass", "payments": "fail"}
    assert asked(client, "/orders/1", 40) == {there.name}
    stay(proxy, client, there, ("/other",))

    here.redis.start()
    wait_until(lambda: asked(client, "/orders/1") == both, 10 * SLOW, "/orders to come back")
    there.redis.process.send(signal.SIGSTOP)
    wait_until(lambda: said(proxy, there) == {"database": "fail", "payments": "fail"}, 10 * SLOW, "the hang")
    assert asked(client, "/orders/1") == {here.name}
    stay(proxy, client, there, ("/other",))
    there.redis.process.send(signal.SIGCONT)
    wait_until(lambda: asked(client, "/orders/1") == both, 10 * SLOW, "/orders to come back")
    shown = proxy.region(here.name)["dependencies"]["database"]["observed_ms"]
    assert 0 < shown < 300
    assert set(here.probes()) == {"/prod/health"}


def test_a_deployment_without_configuration(start, regions):
    """The region that got a broken function leaves, and comes back with a good one."""
    here, there = regions((("node", "rest"), ("python", "rest")))
    proxy = behind(start, (here, there), routes=ROUTES)
    proxy.wait_states({here.name: "healthy", there.name: "healthy"})
    good, bad = here.function, Function(here.lab, "python", {"HEALTH_CHECKS": "{"})
    bad.invoke(rest_event())
    here.gateway.function = bad
    proxy.wait_states({here.name: "unhealthy", there.name: "healthy"})
    assert said(proxy, here) == {"configuration": "fail"}
    here.gateway.function = good
    proxy.wait_states({here.name: "healthy"})
    bad.close()


def test_probes_with_a_token(start, regions):
    """health.headers go to the function; without them the region is told apart."""
    here, there = regions((("node", "http"), ("python", "rest")))
    for region in (here, there):
        region.function.close()
        region.function = region.gateway.function = Function(
            region.lab, region.language, {**region.environment(), "HEALTH_TOKEN": "open sesame"})
        region.function.invoke(rest_event("POST"))
    proxy = behind(start, (here, there), service={"health": {**FAST, "headers": {"x-health-token": "open sesame"}}})
    proxy.wait_states({here.name: "healthy", there.name: "healthy"})
    assert said(proxy, here) == said(proxy, there) == {"database": "pass", "payments": "pass"}
    stranger = behind(start, (here, there))
    stranger.wait_states({here.name: "unhealthy", there.name: "unhealthy"})
    assert "unexpected status" in stranger.region(here.name)["why"]


def test_a_wrong_host(start, regions):
    """API Gateway's 403 for a name that is no custom domain is told in words."""
    here, there = regions((("node", "http"), ("python", "rest")))
    proxy = start({here.name: {"url": here.gateway.url, "host": "other.example.test", "sni": NAME},
                   there.name: {"url": there.gateway.url, "host": NAME}}, service={"health": FAST})
    proxy.wait_states({here.name: "unhealthy", there.name: "healthy"})
    assert "the Host or SNI matches no custom domain" in proxy.region(here.name)["why"]


# ---- Route 53 before several proxies (docs/aws.md) ----

def test_the_health_check_of_a_node(start, emulator, h2):
    """A route that the proxy answers itself, which a reload turns into 503 before the node is taken away."""
    route = {"match": {"path": "/isochrone-node", "methods": ["GET", "HEAD"]},
             "respond": {"status": 200, "body": "in service\n"}}
    one, two = emulator("us-east-1"), emulator("eu-west-1")
    proxy = start({r.name: {"url": r.url, "host": NAME} for r in (one, two)},
                  routes=[route, {"match": {"path": "/*"}, "service": "orders"}])
    client = h2(proxy)
    one.kill()
    two.kill()
    answer = client.get("/isochrone-node")
    assert (answer.status, answer.body) == (200, b"in service\n"), "without any region"
    config = json.loads(json.dumps(proxy.config))
    config["routes"][0]["respond"] = {"status": 503, "body": "leaving\n"}
    proxy.rewrite(config)
    proxy.send(signal.SIGHUP)
    wait_until(lambda: client.get("/isochrone-node").status == 503, 10 * SLOW, "the node to say that it leaves")
