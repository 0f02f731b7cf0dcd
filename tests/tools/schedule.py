"""Fault schedules: what each region does to each attempt of one request, and what must come of it.

A schedule travels in the request itself (field `x-schedule`), so that regions need no memory of it: for each region a
list of behaviours, one for each attempt that reaches it. What a region executed is recorded as a function would see
it: the request was whole, and the behaviour lets it run.
"""
import collections
import json
import random
import socket
import threading

from origin import H1Origin, H2Origin, reset_tcp

SECRET = "0123456789-gw:"
MARKER = {"header": "x-gw-type", "secret": SECRET}

# Whether the function runs, and what the proxy may make of it: a good answer; a final one (it goes to the client); one
# that broke after it had begun (final too); one after which only what may run twice goes on; one that never ran.
GOOD, FINAL, BROKEN, MAYBE, NEVER = "good", "final", "broken", "maybe", "never"
Behaviour = collections.namedtuple("Behaviour", "runs kind weight")

BOTH = {
    "ok": Behaviour(True, GOOD, 50), "slow": Behaviour(True, GOOD, 2), "late": Behaviour(True, GOOD, 2), "hang": Behaviour(True, MAYBE, 1),
    "lost": Behaviour(True, MAYBE, 8), "dropped": Behaviour(False, MAYBE, 5),
    "half": Behaviour(True, BROKEN, 3), "404": Behaviour(True, FINAL, 3), "500": Behaviour(True, FINAL, 3),
    "502": Behaviour(True, MAYBE, 3), "503": Behaviour(False, MAYBE, 5), "504": Behaviour(True, MAYBE, 3),
    "429": Behaviour(False, MAYBE, 3), "421": Behaviour(False, NEVER, 2), "425": Behaviour(False, NEVER, 2),
    "421 ran": Behaviour(True, MAYBE, 3), "425 ran": Behaviour(True, MAYBE, 3),
    "THROTTLED": Behaviour(False, NEVER, 4), "AUTHORIZER_FAILURE": Behaviour(False, NEVER, 3),
    "INTEGRATION_TIMEOUT": Behaviour(True, MAYBE, 3), "QUOTA_EXCEEDED": Behaviour(False, FINAL, 2),
    "forged": Behaviour(True, MAYBE, 3),
}
H1_ONLY = {"reset in body": Behaviour(False, MAYBE, 3), "malformed": Behaviour(True, MAYBE, 3), "reset": Behaviour(True, MAYBE, 5), "half_head": Behaviour(True, MAYBE, 4)}
H2_ONLY = {"malformed": Behaviour(True, BROKEN, 2), **{f"rst{code}": Behaviour(True, MAYBE, 1) for code in range(14) if code != 7},
           "rst7": Behaviour(False, NEVER, 6), "early7": Behaviour(False, NEVER, 3),
           "early2": Behaviour(False, MAYBE, 3), "goaway_below": Behaviour(False, NEVER, 4),
           "goaway_at": Behaviour(True, MAYBE, 4), "goaway_max": Behaviour(True, MAYBE, 2)}
STATUS = {"THROTTLED": 429, "AUTHORIZER_FAILURE": 500, "INTEGRATION_TIMEOUT": 504, "QUOTA_EXCEEDED": 429, "forged": 429}
ATTEMPTS = 3
PAUSE = 0.12  # seconds: longer than it takes to be suspected, shorter than per_try_timeout


def pause():
    """A region that takes its time."""
    threading.Event().wait(PAUSE)


def behaviours(kind):
    return {**BOTH, **(H1_ONLY if kind == "h1" else H2_ONLY)}


def answer_of(region, ident, attempt):
    """A body that tells whose it is from each of its parts."""
    return f"{region}/{ident}/{attempt};".encode() * 200


class Record:
    """What reached the regions, by request."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seen = collections.defaultdict(list)  # id: [region, behaviour, ran]

    def enter(self, region, request):
        """An attempt's head is here: its number in this region and what to do to it."""
        ident, plan = request.get("x-request-id"), json.loads(request.get("x-schedule"))
        with self.lock:
            number = sum(entry[0] == region for entry in self.seen[ident])
            entry = [region, plan[region][min(number, ATTEMPTS - 1)], False]
            self.seen[ident].append(entry)
        return ident, number, entry

    def of(self, ident):
        with self.lock:
            return [tuple(entry) for entry in self.seen.get(ident, [])]


def fields_of(name):
    """Status and fields of an answer that is not the good one."""
    if name in ("THROTTLED", "AUTHORIZER_FAILURE", "INTEGRATION_TIMEOUT", "QUOTA_EXCEEDED"):
        return STATUS[name], [("x-gw-type", SECRET + name)]
    if name == "forged":
        return STATUS[name], [("x-gw-type", "THROTTLED"), ("x-amzn-errortype", "TooManyRequestsException")]
    if name.endswith(" ran"):  # the function's own: the gateway's id is on it, and cannot be taken off
        return int(name[:3]), [("x-amzn-requestid", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")]
    return int(name), [("x-amzn-errortype", "InternalServerErrorException")] if name[0] == "5" else []


def h2_region(lab, name, record):
    def early(connection, request):
        request.ident, request.number, request.entry = record.enter(name, request)
        if request.entry[1].startswith("early"):
            connection.reset(request.sid, int(request.entry[1][5:]))

    def script(connection, request):
        what, sid = request.entry[1], request.sid
        if what.startswith("early"):
            return
        request.entry[2] = H2_ALL[what].runs
        body = b"" if request.method == "HEAD" else answer_of(name, request.ident, request.number)
        if what == "late":
            pause()
        if what in ("ok", "late", "slow", "half"):
            good_h2(connection, sid, what, body)
        elif what.startswith("rst"):
            connection.reset(sid, int(what[3:]))
        elif what in ("lost", "dropped"):
            connection.abort()
        elif what.startswith("goaway"):
            connection.goaway({"below": max(sid - 2, 0), "at": sid, "max": 2**31 - 1}[what[7:]])
            # A reset could overtake what was said before it; the GOAWAY that absolves has to arrive.
            if what == "goaway_below":
                connection.sock.shutdown(socket.SHUT_WR)
            else:
                connection.abort()
        elif what == "malformed":
            connection.respond(sid, 200, [("content-length", "3")], body)
        elif what != "hang":
            connection.respond(sid, *fields_of(what), b"" if request.method == "HEAD" else b"{}")
    H2_ALL = behaviours("h2")
    return H2Origin(lab, script, early=early)


def good_h2(connection, sid, what, body):
    if what in ("ok", "late"):
        connection.respond(sid, 200, [("content-length", str(len(body)))] if body else [], body)
        return
    connection.h2.send_headers(sid, [(":status", "200"), ("content-length", str(len(body)))])
    third = len(body) // 3
    for piece in (body[:third], body[third:2 * third]):
        connection.h2.send_data(sid, piece)
        connection.flush()
        if what == "slow":
            pause()
    if what == "half":
        connection.reset(sid, 2)
    else:
        connection.h2.send_data(sid, body[2 * third:], end_stream=True)


def h1_region(lab, name, record):
    all_of = behaviours("h1")

    def early(sock, request):
        request.seen = record.enter(name, request)
        if request.seen[2][1] != "reset in body":
            return True
        reset_tcp(sock)  # some of the body may lie here unread, and more be on its way
        return False

    def script(sock, request):
        ident, number, entry = request.seen
        what = entry[1]
        entry[2] = all_of[what].runs
        body = answer_of(name, ident, number)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return write_h1(sock, what, head, body) if request.method != "HEAD" else write_h1(sock, what, head, b"", b"")
    return H1Origin(lab, script, early=early)


def write_h1(sock, what, head, body, error=b"{}"):
    """False ends the connection."""
    if what in ("ok", "late"):
        if what == "late":
            pause()
        sock.sendall(head + body)
    elif what == "slow":
        for piece in (head, body[:1000], body[1000:]):
            sock.sendall(piece)
            pause()
    elif what == "half":
        sock.sendall(head + body[:len(body) // 2])
        return not body  # HEAD: that was all
    elif what in ("lost", "dropped"):
        return False
    elif what == "reset":
        reset_tcp(sock)
        return False
    elif what == "half_head":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-")
        return False
    elif what == "malformed":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
        return False
    elif what == "hang":
        sock.settimeout(20)
        sock.recv(1)  # until the proxy gives up
        return False
    else:
        status, fields = fields_of(what)
        more = "".join(f"{k}: {v}\r\n" for k, v in fields)
        sock.sendall(f"HTTP/1.1 {status} X\r\n{more}Content-Length: 2\r\n\r\n".encode() + error)
    return True


class Schedule:
    """One request and what becomes of its attempts. The same seed and lane give the same schedule."""

    METHODS = ["GET", "GET", "HEAD", "PUT", "DELETE", "POST", "POST", "POST", "PATCH"]

    def __init__(self, seed, lane):
        rng = random.Random(f"{seed}/{lane.name}")
        self.seed, self.lane, self.ident = seed, lane, f"{lane.name}-{seed}"
        self.method = rng.choice(self.METHODS)
        self.declared = rng.random() < 0.2
        self.keyed = rng.random() < 0.3
        self.body = b"" if self.method in ("GET", "HEAD") else rng.choice([b"", b"{}", b"x" * 3000, b"x" * 50000])
        self.plan = {}
        for name, kind in lane.scripted.items():
            table = behaviours(kind)
            self.plan[name] = rng.choices(list(table), [b.weight for b in table.values()], k=ATTEMPTS)

    @property
    def idempotent(self):
        return self.declared or self.method in ("GET", "HEAD", "PUT", "DELETE")

    @property
    def path(self):
        return f"/{self.lane.name}/{'declared' if self.declared else 'plain'}"

    @property
    def headers(self):
        key = [("idempotency-key", f'"{self.ident}"')] if self.keyed else []
        return [("x-request-id", self.ident), ("x-schedule", json.dumps(self.plan)), *key]

    def kind_of(self, region, what):
        return behaviours(self.lane.scripted[region])[what].kind

    def __str__(self):
        return f"seed {self.seed} lane {self.lane.name}: {self.method} {self.path} keyed {self.keyed} {self.plan}"
