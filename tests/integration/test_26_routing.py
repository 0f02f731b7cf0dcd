"""Routes: what they match by beyond host, path and method, what they do, and what a wrong one gets."""
import json
import subprocess

import pytest

import peers
from h1client import H1Client, client_tls
from lab import HOST, NAME, find_binary, free_port

# What came, told by a real nginx in fields of its answer.
ECHO = """
server {
    listen 127.0.0.1:PORT;
    add_header x-uri $request_uri always;
    add_header x-got-region "$http_x_region" always;
    add_header x-got-a "$http_x_a" always;
    add_header x-got-about "$http_x_about" always;
    add_header x-secret "internal" always;
    location / { return 200 "TAG"; }
}
"""


@pytest.fixture(scope="session", autouse=True)
def readable(tmp_path_factory):
    """nginx's workers run as another user."""
    tmp_path_factory.getbasetemp().chmod(0o755)


@pytest.fixture
def echo(lab):
    """echo(tag): the URL of a region that says its tag and what it got."""
    def begin(tag):
        port = free_port()
        text = ECHO.replace("PORT", str(port)).replace("TAG", tag)
        peers.start_nginx(lab, tag, text).wait_port(port)
        return f"http://{HOST}:{port}"
    return begin


def two_services(echo):
    return {"services": {tag: {"regions": {"one": {"url": echo(tag)}}, "health": {"path": "/"}} for tag in ("blue", "green")}}


def ask(proxy, path="/", method="GET", **fields):
    with H1Client(proxy.port) as client:
        return client.request(method, path, [(k.replace("_", "-"), v) for k, v in fields.items()], host=NAME)


def begin(start, echo, routes, **more):
    port = free_port()
    return start({}, port=port, listeners=[{"address": f"{HOST}:{port}", **more}], routes=routes, **two_services(echo))


def test_conditions_choose_the_service(start, echo):
    proxy = begin(start, echo, [
        {"service": "blue"},
        {"service": "green", "match": {"headers": {"x-version": {"exact": "2"}}}},
        {"service": "green", "match": {"query": {"preview": {"present": True}}}, "order": -1},
        {"service": "green", "match": {"cookies": {"group": {"regex": "beta-[0-9]+"}}}, "order": -2},
        {"service": "blue", "match": {"headers": {"x-version": {"exact": "2"}, "x-stable": {"present": True}}}},
        {"service": "green", "match": {"path": "/nobody/*", "headers": {"x-user": {"present": False}}}},
    ])
    assert ask(proxy).body == b"blue"
    assert ask(proxy, x_version="2").body == b"green"
    assert ask(proxy, x_version="3").body == b"blue"
    assert ask(proxy, x_version="2", x_stable="").body == b"blue", "more conditions go first"
    assert ask(proxy, "/?preview").body == b"green"
    assert ask(proxy, "/?preview=1&x=2").body == b"green"
    assert ask(proxy, "/?pre%76iew=1").body == b"green"
    assert ask(proxy, "/?no=preview").body == b"blue"
    assert ask(proxy, cookie="a=b; group=beta-7").body == b"green"
    assert ask(proxy, cookie="group=beta-x").body == b"blue"
    assert ask(proxy, "/nobody/here").body == b"green"
    assert ask(proxy, "/nobody/here", x_user="me").body == b"blue"


def test_clients_by_network_behind_a_proxy(start, echo):
    proxy = begin(start, echo, [{"service": "blue"},
                                {"service": "green", "match": {"clients": ["10.0.0.0/8", "2001:db8::/32"]}}],
                  trusted_proxies=[HOST])
    assert ask(proxy, x_forwarded_for="10.1.2.3").body == b"green"
    assert ask(proxy, x_forwarded_for="2001:db8::7").body == b"green"
    assert ask(proxy, x_forwarded_for="11.1.2.3").body == b"blue"
    assert ask(proxy).body == b"blue"


def test_a_percentage_of_the_requests(start, echo):
    proxy = begin(start, echo, [{"service": "blue"}, {"service": "green", "match": {"percentage": 25}}])
    with H1Client(proxy.port) as client:
        green = [client.request("GET", "/", host=NAME).body for _ in range(2000)].count(b"green")
    assert 400 <= green <= 600  # five standard deviations


def test_rewrite_and_edits(start, echo):
    proxy = begin(start, echo, [
        {"name": "order", "service": "blue", "alias": "v7", "match": {"path": "/orders/{id}/*"},
         "rewrite": {"path": "/v2/${rest}/of/${id}"},
         "request_headers": {"remove": ["x-a"], "set": {"x-region": "${region}"},
                             "add": {"x-about": "${service} ${version} ${route} ${client_ip} ${method} ${path}${query}"}},
         "response_headers": {"remove": ["x-secret"], "set": {"x-served-by": "${region}/${version}",
                                                              "x-literal": "$${region}"}}},
        {"service": "blue"},
    ])
    answer = ask(proxy, "/orders/42/items/7?full=1", x_a="1", x_region="forged")
    assert answer.body == b"blue"
    assert answer.get("x-uri") == "/v2/items/7/of/42?full=1"
    assert answer.get("x-got-region") == "one", "set replaces what the client sent"
    assert answer.get("x-got-a") is None, "removed"
    assert answer.get("x-got-about") == f"blue v7 order {HOST} GET /orders/42/items/7?full=1"
    assert answer.get("x-secret") is None
    assert answer.get("x-served-by") == "one/v7"
    assert answer.get("x-literal") == "${region}"
    plain = ask(proxy, "/other", x_a="1")
    assert (plain.get("x-uri"), plain.get("x-got-a"), plain.get("x-secret")) == ("/other", "1", "internal")
    # A name stands for one whole segment, however it is escaped; dot segments never get through.
    assert ask(proxy, "/orders/a%2Fb/c").get("x-uri") == "/v2/c/of/a%2Fb"
    assert ask(proxy, "/orders/x/../../../etc/passwd").get("x-uri") == "/etc/passwd"


def test_what_is_made_of_names_holds_no_dot_segment(start, echo):
    proxy = begin(start, echo, [{"service": "blue", "match": {"path": "/f/{name}"}, "rewrite": {"path": "/files/.${name}/x"}}])
    assert ask(proxy, "/f/a").get("x-uri") == "/files/.a/x"
    assert ask(proxy, "/f/.a").get("x-uri") == "/files/..a/x"
    assert ask(proxy, "/f/%2E").status == 404, "a dot segment is gone before anything is matched"


def test_own_answers(start, echo, h2):
    routes = [
        {"service": "blue"},
        {"match": {"path": "/robots.txt"}, "respond": {"status": 200, "body": "User-agent: *\nDisallow: /\n"},
         "response_headers": {"set": {"cache-control": "max-age=60"}}},
        {"match": {"path": "/gone"}, "respond": {"status": 204}},
        {"match": {"path": "/old/*"}, "redirect": {"location": "https://www.example.test/${rest}${query}", "status": 301}},
        {"match": {"path": "/secure"}, "redirect": {"location": "https://${host}${path}"}},
        {"match": {"path": "/limited"}, "respond": {"status": 200}, "rate_limit": {"requests": 1, "per": "60s"}},
    ]
    proxy = begin(start, echo, routes)
    robots = ask(proxy, "/robots.txt")
    assert (robots.status, robots.body) == (200, b"User-agent: *\nDisallow: /\n")
    assert robots.get("content-type") == "text/plain; charset=utf-8"
    assert robots.get("cache-control") == "max-age=60"
    assert robots.get("content-length") == str(len(robots.body))
    head = ask(proxy, "/robots.txt", method="HEAD")
    assert (head.status, head.body, head.get("content-length")) == (200, b"", robots.get("content-length"))
    gone = ask(proxy, "/gone")
    assert (gone.status, gone.body, gone.get("content-length")) == (204, b"", None)
    old = ask(proxy, "/old/a/b?c=d")
    assert (old.status, old.get("location")) == (301, "https://www.example.test/a/b?c=d")
    secure = ask(proxy, "/secure?x")
    assert (secure.status, secure.get("location")) == (308, f"https://{NAME}/secure")
    assert [ask(proxy, "/limited").status for _ in range(2)] == [200, 429]
    # A body that nobody asked for is taken, and the connection goes on.
    with H1Client(proxy.port) as client:
        assert client.request("POST", "/robots.txt", body=b"x" * 100000, host=NAME).status == 200
        assert client.request("GET", "/robots.txt", host=NAME).status == 200


def test_own_answers_over_http2(start, emulator, h2):
    proxy = start({"one": emulator("one").url}, routes=[
        {"service": "orders"}, {"match": {"path": "/teapot"}, "respond": {"status": 418, "body": "short and stout"}}])
    client = h2(proxy)
    for _ in range(3):
        answer = client.get("/teapot")
        assert (answer.status, answer.body) == (418, b"short and stout")
    assert client.get("/other").status == 200


def test_own_timeouts_and_retries(start, emulator, h2):
    slow, other = emulator("slow", 400), emulator("other", 400)
    proxy = start({"slow": slow.url, "other": other.url}, routes=[
        {"service": "orders"},
        {"match": {"path": "/quick"}, "service": "orders", "timeout": "100ms"},
        {"match": {"path": "/teapot"}, "service": "orders", "retry": {"statuses": [418]}}])
    client = h2(proxy)
    assert client.get("/other").status == 200
    assert client.get("/quick").status == 504
    for region in (slow, other):
        region.set(mode="status", status=418)
    before = proxy.metric("isochrone_retries_total")
    assert client.get("/other").status == 418
    assert proxy.metric("isochrone_retries_total") == before
    assert client.get("/teapot").status == 418
    assert proxy.metric("isochrone_retries_total") > before, "tried again, as the route says"


def test_signed_requests_are_not_altered(start, echo):
    proxy = begin(start, echo, [{"service": "blue"}])
    signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/execute-api/aws4_request"
    assert ask(proxy, "/a/b", authorization=signature).get("x-uri") == "/a/b"
    refused = ask(proxy, "/a/./b", authorization=signature)
    assert refused.status == 400 and "normal form" in json.loads(refused.body)["detail"]
    assert ask(proxy, "/a/./b").get("x-uri") == "/a/b"
    assert ask(proxy, "/%7Ea?X-Amz-Signature=12").status == 400


def test_explain_with_conditions(start, echo, lab):
    routes = [{"name": "all", "service": "blue"},
              {"name": "new", "service": "green", "match": {"headers": {"x-version": {"exact": "2"}}}},
              {"name": "near", "service": "green", "match": {"clients": ["10.0.0.0/8"]}, "order": 1},
              {"name": "own", "match": {"path": "/own"}, "respond": {"status": 418}}]
    proxy = begin(start, echo, routes)

    def explain(*args):
        done = subprocess.run([find_binary(), "explain", "--json", "--admin", f"{HOST}:{proxy.admin}", *args],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["route"]

    assert explain("GET", "/x")["name"] == "all"
    assert explain("-H", "X-Version: 2", "GET", "/x")["name"] == "new"
    assert explain("--client", "10.2.3.4", "GET", "/x")["name"] == "near"
    assert explain("GET", "/own") == {"name": "own", "service": None, "status": 418}


BROKEN = [
    ({"match": {"path": "/x"}}, "/routes/1", "what it is about is missing"),
    ({"service": "blue", "respond": {"status": 200}}, "/routes/1", "exclude each other"),
    ({"respond": {"status": 99}}, "/routes/1/respond/status", "out of range"),
    ({"respond": {"status": 204, "body": "x"}}, "/routes/1/respond/body", "has no content"),
    ({"respond": {"status": 200}, "timeout": "1s"}, "/routes/1/timeout", "means nothing"),
    ({"redirect": {"location": "/x", "status": 304}}, "/routes/1/redirect/status", "no redirect"),
    ({"redirect": {"location": "/${nothing}"}}, "/routes/1/redirect/location", "no variable ${nothing}"),
    ({"redirect": {"location": "/${no"}}, "/routes/1/redirect/location", "not well formed"),
    ({"service": "blue", "rewrite": {"path": "x/${rest}"}, "match": {"path": "/*"}}, "/routes/1/rewrite/path", "no path"),
    ({"service": "blue", "rewrite": {"path": "/${rest}"}}, "/routes/1/rewrite/path", "no variable ${rest}"),
    ({"service": "blue", "request_headers": {"set": {"content-length": "1"}}}, "/routes/1/request_headers/set/content-length",
     "cannot be set"),
    ({"service": "blue", "response_headers": {"set": {"x-a": "a\nb"}}}, "/routes/1/response_headers/set/x-a", "no header field's value"),
    ({"service": "blue", "response_headers": {"remove": ["a b"]}}, "/routes/1/response_headers/remove/0", "no header field's name"),
    ({"service": "blue", "match": {"headers": {"x-a": {"regex": "("}}}}, "/routes/1/match/headers/x-a/regex", "no regular expression"),
    ({"service": "blue", "match": {"headers": {"x-a": {}}}}, "/routes/1/match/headers/x-a", "is missing"),
    ({"service": "blue", "match": {"headers": {"host": {"exact": "x"}}}}, "/routes/1/match/headers/host", "no header field here"),
    ({"service": "blue", "match": {"clients": ["10.0.0.1/8"]}}, "/routes/1/match/clients/0", "no network"),
    ({"service": "blue", "match": {"percentage": 101}}, "/routes/1/match/percentage", "out of range"),
    ({"service": "blue", "hedge": {"after": "soon"}}, "/routes/1/hedge/after", "says no time"),
    ({"service": "blue", "match": {"path": "/first"}}, "/routes/1", "equally specific"),
]


@pytest.mark.parametrize("route,pointer,words", BROKEN, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(BROKEN)])
def test_a_wrong_route_is_reported(lab, route, pointer, words):
    config = {"listeners": [{"address": f"{HOST}:0"}],
              "services": {"blue": {"regions": {"a": {"url": "http://a.test"}, "b": {"url": "http://b.test"}}}},
              "routes": [{"service": "blue", "match": {"path": "/first"}}, route]}
    path = lab.write("broken.json", json.dumps(config, indent=1))
    done = subprocess.run([find_binary(), "check", "-c", path], capture_output=True, text=True, timeout=30)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "error at" in line]
    assert done.returncode == 1
    assert len(said) == 1, said
    assert f"error at {pointer}:" in said[0] and words in said[0], said[0]
