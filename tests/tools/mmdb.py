"""Writes databases in MaxMind's format (MaxMind DB File Format Specification, version 2.0), small ones for tests.

A network may lie in another one only if it is written after it: the longer prefix then holds within the shorter one.
"""
import ipaddress
import os
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"
TEXT, DOUBLE, MAP, UINT16, UINT32, UINT64, ARRAY = 2, 3, 7, 5, 6, 9, 11


class Uint(int):
    """A number with the type that the format wants for it."""

    def __new__(cls, value, kind):
        made = super().__new__(cls, value)
        made.kind = kind
        return made


def control(kind, size):
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    return bytes([first | 30]) + extended + struct.pack(">H", size - 285)


def encode(value):
    if isinstance(value, Uint):
        raw = value.to_bytes(8, "big").lstrip(b"\0")
        return control(value.kind, len(raw)) + raw
    if isinstance(value, float):
        return control(DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode()
        return control(TEXT, len(raw)) + raw
    if isinstance(value, dict):
        return control(MAP, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(encode, value))
    raise TypeError(f"{value!r} has no form in the format")


class Tree:
    """Nodes are [left, right]; an entry is None, a node, or the place of a record in the data (int)."""

    def __init__(self, version):
        self.version = version
        self.root = [None, None]

    def add(self, network, record):
        network = ipaddress.ip_network(network)
        if network.version > self.version:
            raise ValueError(f"{network} in a database of IPv4")
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[:network.prefixlen]
        if self.version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        node = self.root
        for bit in map(int, bits[:-1]):
            if not isinstance(node[bit], list):
                node[bit] = [node[bit], node[bit]]
            node = node[bit]
        node[int(bits[-1])] = record

    def nodes(self):
        found = [self.root]
        for node in found:
            found.extend(entry for entry in node if isinstance(entry, list))
        return found

    def encode(self, record_size):
        nodes = self.nodes()
        number = {id(node): i for i, node in enumerate(nodes)}

        def value(entry):
            if entry is None:
                return len(nodes)
            return number[id(entry)] if isinstance(entry, list) else len(nodes) + 16 + entry
        out = bytearray()
        for node in nodes:
            left, right = map(value, node)
            if record_size == 28:
                out += (left & 0xffffff).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24])
                out += (right & 0xffffff).to_bytes(3, "big")
            else:
                out += left.to_bytes(record_size // 8, "big") + right.to_bytes(record_size // 8, "big")
        return bytes(out), len(nodes)


def place(latitude, longitude):
    return {"location": {"latitude": float(latitude), "longitude": float(longitude)}}


def write(path, networks, version=6, record_size=24, kind="Test-City"):
    """{network: record or (latitude, longitude)}; the file takes its name when it is whole."""
    tree, data = Tree(version), b""
    for network, record in networks.items():
        tree.add(network, len(data))
        data += encode(place(*record) if isinstance(record, tuple) else record)
    search, count = tree.encode(record_size)
    metadata = {
        "binary_format_major_version": Uint(2, UINT16), "binary_format_minor_version": Uint(0, UINT16),
        "build_epoch": Uint(1750000000, UINT64), "database_type": kind, "description": {"en": "made for a test"},
        "ip_version": Uint(version, UINT16), "languages": ["en"], "node_count": Uint(count, UINT32),
        "record_size": Uint(record_size, UINT16),
    }
    half = f"{path}.half"
    with open(half, "wb") as out:
        out.write(search + bytes(16) + data + MARKER + encode(metadata))
    os.replace(half, path)
    return path
