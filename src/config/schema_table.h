/*
 * The table: X(path, type, need, min, max, default as JSON, values, unavailable, documentation). A parent
 * stands before its children. Times are in microseconds, sizes in bytes; 0, 0 means no limits.
 * `need`: 0 optional, 1 required, 2 one of several (enum iso_schema_need).
 */
#ifndef ISO_SCHEMA_TABLE_H
#define ISO_SCHEMA_TABLE_H

#define MS 1e3
#define SEC 1e6
#define MINUTE 6e7
#define HOUR 3.6e9
#define KIB 1024.0
#define MIB 1048576.0
#define GIB 1073741824.0
#define NAME_PATTERN "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
#define ADDRESS_PATTERN "([0-9.]+|\\\\[[0-9A-Fa-f:.]+\\\\]):[0-9]{1,5}"
#define NETWORK_PATTERN "[0-9A-Fa-f:.]+(/[0-9]{1,3})?"

/* clang-format off */
#define ISO_SCHEMA_TABLE(X) \
X("", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "The configuration of isochrone.") \
X("$schema", STRING, 0, 0, 0, NULL, NULL, NULL, \
  "Ignored by the proxy; lets an editor find the JSON Schema.") \
X("include", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "More files, which are read as if they stood here. Objects are joined member by member, so that " \
  "services may stand in several files; `listeners` and `routes` are appended; what two files have " \
  "otherwise is an error that names both places. Included files may include others, 8 levels deep.") \
X("include[]", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "A file, or a pattern such as `routes.d/*.json` with `*`, `?` and `[...]` in its last part: files in the " \
  "order of their names, or none. A relative name starts at the directory of the file that it stands in, " \
  "as all names in an included file do.") \
X("watch", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "Reload when this file or an included one changes, within two seconds. Certificates, keys and other " \
  "files that are named here are looked after always.") \
X("workers", INTEGER, 0, 1, 256, NULL, NULL, NULL, \
  "Worker threads. Default: one per usable core; CPU affinity and the cgroup's limit are honoured.") \
X("user", STRING, 0, 1, 256, NULL, NULL, NULL, \
  "The user that the process becomes once everything is bound; it must be able to read the certificates. " \
  "Absent: whoever has started it.") \
X("group", STRING, 0, 1, 256, NULL, NULL, NULL, \
  "Its group. Default: the user's own.") \
X("listeners", ARRAY, 1, 1, 64, NULL, NULL, NULL, \
  "Where clients are accepted.") \
X("listeners[]", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "One address and port.") \
X("listeners[].address", STRING, 1, 1, 4096, NULL, ADDRESS_PATTERN, NULL, \
  "IP address and port, such as `0.0.0.0:443` or `[::]:443`; port 0 takes a free one.") \
X("listeners[].protocols", ARRAY, 0, 1, 2, "[\"h2\", \"http/1.1\"]", NULL, NULL, \
  "What is spoken: by ALPN under TLS; in cleartext h2 by prior knowledge.") \
X("listeners[].protocols[]", ENUM, 0, 0, 0, NULL, "h2|http/1.1", NULL, \
  "One protocol.") \
X("listeners[].proxy_protocol", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "Networks whose connections begin with a PROXY protocol header, version 1 or 2, and are refused without " \
  "one. Everybody else's begin as usual. Absent: nobody's.") \
X("listeners[].proxy_protocol[]", STRING, 0, 1, 64, NULL, NETWORK_PATTERN, NULL, \
  "`10.0.0.0/8`, `2001:db8::/32` or an address.") \
X("listeners[].trusted_proxies", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "Networks whose `X-Forwarded-*` and `Forwarded` fields are believed and added to. Of everybody " \
  "else's nothing is passed on: what the proxy itself knows stands in their place. Absent: nobody's are " \
  "believed.") \
X("listeners[].trusted_proxies[]", STRING, 0, 1, 64, NULL, NETWORK_PATTERN, NULL, \
  "`10.0.0.0/8`, `2001:db8::/32` or an address.") \
X("listeners[].tls", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "TLS of this listener. Absent: cleartext.") \
X("listeners[].tls.certificates", ARRAY, 1, 1, 64, NULL, NULL, NULL, \
  "Certificates, chosen by SNI; an unknown or absent SNI gets the first.") \
X("listeners[].tls.certificates[]", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "A certificate chain and its key.") \
X("listeners[].tls.certificates[].cert", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "PEM file, the leaf first. A relative name starts at the configuration file's directory.") \
X("listeners[].tls.certificates[].key", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "PEM file of the private key. A relative name starts at the configuration file's directory.") \
X("listeners[].tls.certificates[].ocsp", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "DER file of an OCSP response, which is stapled to handshakes. A relative name starts at the " \
  "configuration file's directory.") \
X("listeners[].tls.certificates[].client_certificates", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What holds for the names in this certificate instead of `tls.client_certificates`. A request for " \
  "them that comes on a connection of another certificate's, under another policy, is answered 421; so is " \
  "one for a name that no certificate bears, below a wildcard certificate that asks for more.") \
X("listeners[].tls.certificates[].client_certificates.ca", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "PEM file of the CAs that sign them. A relative name starts at the configuration file's directory.") \
X("listeners[].tls.certificates[].client_certificates.required", BOOLEAN, 0, 0, 0, "true", NULL, NULL, \
  "A client without one is refused. A wrong one always is.") \
X("listeners[].tls.certificates[].min_version", ENUM, 0, 0, 0, NULL, "1.2|1.3", NULL, \
  "The oldest TLS version accepted for the names in this certificate, instead of `tls.min_version`.") \
X("listeners[].tls.client_certificates", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Clients are asked for a certificate (mutual TLS). Absent: they are not.") \
X("listeners[].tls.client_certificates.ca", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "PEM file of the CAs that sign them. A relative name starts at the configuration file's directory.") \
X("listeners[].tls.client_certificates.required", BOOLEAN, 0, 0, 0, "true", NULL, NULL, \
  "A client without one is refused. A wrong one always is.") \
X("listeners[].tls.min_version", ENUM, 0, 0, 0, "\"1.2\"", "1.2|1.3", NULL, \
  "The oldest TLS version accepted.") \
X("admin", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "The admin listener: status, metrics, dashboard. Absent: none.") \
X("admin.address", STRING, 1, 1, 4096, NULL, ADDRESS_PATTERN, NULL, \
  "IP address and port. It asks for no password: keep it on a loopback address.") \
X("dns", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Name resolution of the regions' hosts.") \
X("dns.servers", ARRAY, 0, 1, 8, NULL, NULL, NULL, \
  "Name servers instead of the system's.") \
X("dns.servers[]", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "IP address, with a port where it is not 53: `192.0.2.53`, `127.0.0.1:5353`, `[2001:db8::53]:53`.") \
X("dns.min_ttl", DURATION, 0, 1000 * MS, HOUR, "\"5s\"", NULL, NULL, \
  "An answer is not asked for again before this time, however short its TTL is.") \
X("dns.max_ttl", DURATION, 0, 1000 * MS, 24 * HOUR, "\"5m\"", NULL, NULL, \
  "An answer is asked for again after this time, however long its TTL is.") \
X("access_log", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "One JSON line for each exchange. Absent: off.") \
X("access_log.path", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "File, or `-` for standard output. A relative name starts at the configuration file's directory.") \
X("access_log.decisions", NUMBER, 0, 0, 1, "0.01", NULL, NULL, \
  "The part of the requests whose choices of a region are recorded, as `decision` (those of earlier tries " \
  "as `earlier_decisions`): everything that they looked at, so that they can be computed again by " \
  "`isochrone explain --recompute`.") \
X("access_log.query", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "Log the path with its query, which may hold secrets.") \
X("geo", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Where clients are, for the policy `geo`.") \
X("geo.database", STRING, 1, 1, 4096, NULL, NULL, NULL, \
  "MaxMind DB file of cities, such as `GeoLite2-City.mmdb`: records with `location.latitude` and " \
  "`location.longitude`. Replace it by renaming a new file to its name, never by writing into it; a new " \
  "one is taken up within seconds. A relative name starts at the configuration file's directory.") \
X("limits", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What clients may use.") \
X("limits.header_bytes", SIZE, 0, KIB, MIB, "\"64KiB\"", NULL, NULL, \
  "One request head, decoded. Beyond: 431.") \
X("limits.header_count", INTEGER, 0, 10, 1000, "100", NULL, NULL, \
  "Fields of one head. Beyond: 431.") \
X("limits.body_bytes", SIZE, 0, 0, 64 * GIB, "\"0B\"", NULL, NULL, \
  "One request body. Beyond: 413, also when it turns out on the way. 0B: no limit.") \
X("limits.streams", INTEGER, 0, 1, 1024, "128", NULL, NULL, \
  "Concurrent HTTP/2 streams of one connection.") \
X("limits.handshake_timeout", DURATION, 0, 10 * MS, 10 * MINUTE, "\"10s\"", NULL, NULL, \
  "From accepting a connection to the end of its TLS handshake.") \
X("limits.header_timeout", DURATION, 0, 10 * MS, 10 * MINUTE, "\"10s\"", NULL, NULL, \
  "From the first byte of a request head to its last.") \
X("limits.keepalive_timeout", DURATION, 0, 10 * MS, 24 * HOUR, "\"60s\"", NULL, NULL, \
  "A client's connection without a request is closed after this time.") \
X("limits.h2_resets", INTEGER, 0, 1, 1000000, "200", NULL, NULL, \
  "HTTP/2 streams that a client may reset, or make the proxy reset, within 10s. Beyond: its connection " \
  "ends. Ten times what a browser does that gives up a page.") \
X("limits.h2_control_frames", INTEGER, 0, 10, 1000000, "1000", NULL, NULL, \
  "SETTINGS, PING, PRIORITY and unknown frames of one connection within 10s, and WINDOW_UPDATE frames " \
  "that no data justifies. Beyond: it ends.") \
X("limits.h2_empty_frames", INTEGER, 0, 1, 1000000, "100", NULL, NULL, \
  "Frames without content within 10s: they cost the sender nothing. Beyond: the connection ends.") \
X("limits.body_rate", SIZE, 0, 0, MIB, "\"240B\"", NULL, NULL, \
  "The least per second that a client must send of a body, or take of an answer that waits for it, " \
  "over `rate_window`; single bytes do not start the clock again. Below: 408, or the connection ends. " \
  "0B: no rate.") \
X("limits.rate_window", DURATION, 0, 100 * MS, 10 * MINUTE, "\"10s\"", NULL, NULL, \
  "The time over which `body_rate` is measured.") \
X("limits.loop_lag", DURATION, 0, 0, MINUTE, "\"250ms\"", NULL, NULL, \
  "A worker is overloaded when its loop is never idle and each turn takes longer than this: new requests " \
  "get 503 until it has caught up. 0s: never.") \
X("limits.drain_timeout", DURATION, 0, 0, 24 * HOUR, "\"30s\"", NULL, NULL, \
  "After SIGTERM, running exchanges have this long to finish.") \
X("limits.upgrade_timeout", DURATION, 0, 100 * MS, 24 * HOUR, "\"60s\"", NULL, NULL, \
  "After SIGUSR2, the new process has this long to get ready; else it is ended.") \
X("limits.replay_memory", SIZE, 0, 0, 64 * GIB, "\"64MiB\"", NULL, NULL, \
  "Request bodies kept for replay, all together. What comes when that is full streams through, or gets " \
  "503 where `retry.large_body` refuses or an Idempotency-Key needs it whole.") \
X("limits.body_memory", SIZE, 0, MIB, 64 * GIB, "\"256MiB\"", NULL, NULL, \
  "Memory for message bodies on the way, of each worker.") \
X("limits.connections", INTEGER, 0, 1, 1000000, "10000", NULL, NULL, \
  "Client connections of each worker. Beyond: closed at once.") \
X("limits.connections_per_client", INTEGER, 0, 0, 1000000, "0", NULL, NULL, \
  "Connections of one client address (IPv6: one /64), over all workers. Beyond: closed at once. 0: no " \
  "limit.") \
X("services", MAP, 1, 1, 64, NULL, NAME_PATTERN, NULL, \
  "The APIs behind the proxy, by name.") \
X("services.*", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "One API, deployed in regions.") \
X("services.*.regions", MAP, 1, 1, 16, NULL, NAME_PATTERN, NULL, \
  "Where the API is deployed, by the region's name; two or more (one is allowed and noted).") \
X("services.*.regions.*", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "One regional deployment.") \
X("services.*.regions.*.url", STRING, 1, 1, 4096, NULL, "https?://.+", NULL, \
  "`https://` or `http://`, host, port where it is not the scheme's, and the stage or base path.") \
X("services.*.regions.*.host", STRING, 0, 1, 262, NULL, NULL, NULL, \
  "What goes upstream as `:authority` or Host. Default: the URL's host, with its port where that is " \
  "not the scheme's.") \
X("services.*.regions.*.sni", STRING, 0, 1, 255, NULL, NULL, NULL, \
  "TLS server name, also the name that is verified. Default: `host` without its port. An IP address is " \
  "verified and not sent.") \
X("services.*.regions.*.protocol", ENUM, 0, 0, 0, "\"auto\"", "auto|h2|http/1.1", NULL, \
  "`auto` is ALPN's choice under TLS and http/1.1 in cleartext.") \
X("services.*.regions.*.weight", INTEGER, 0, 0, 10000, "100", NULL, NULL, \
  "For the policies `weighted` and `sticky`: the region's part of the sum of all weights.") \
X("services.*.regions.*.priority", INTEGER, 0, 0, 1000, NULL, NULL, NULL, \
  "For the policy `failover`: the lowest is used first. Default: the position in the file, from 0.") \
X("services.*.regions.*.location", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "For the policy `geo`: where the region is. Default: where AWS has the region of this name.") \
X("services.*.regions.*.location.latitude", NUMBER, 1, -90, 90, NULL, NULL, NULL, \
  "Degrees; north is positive.") \
X("services.*.regions.*.location.longitude", NUMBER, 1, -180, 180, NULL, NULL, NULL, \
  "Degrees; east is positive.") \
X("services.*.regions.*.max_in_flight", INTEGER, 0, 0, 1000000, "0", NULL, NULL, \
  "Requests that the region may have running, over all workers; what exceeds it goes to another " \
  "region. 0: no limit.") \
X("services.*.regions.*.headers", MAP, 0, 0, 32, NULL, NULL, NULL, \
  "Header fields set on each request to this region, probes included.") \
X("services.*.regions.*.headers.*", STRING, 0, 0, 8192, NULL, NULL, NULL, \
  "The value; `${NAME}` or `${file:PATH}` keeps a secret out of the file.") \
X("services.*.regions.*.tls", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "TLS towards this region.") \
X("services.*.regions.*.tls.ca", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "PEM file of trusted CAs. Default: the service's `tls.ca`, else the system's. A relative name starts " \
  "at the configuration file's directory.") \
X("services.*.tls", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "TLS towards all regions of the service.") \
X("services.*.tls.ca", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "PEM file of trusted CAs. Default: the system's. A relative name starts at the configuration file's " \
  "directory.") \
X("services.*.tls.cert", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "PEM file of the certificate that regions are shown when they ask for one, the leaf first. Goes with " \
  "`key`.") \
X("services.*.tls.key", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "PEM file of its private key.") \
X("services.*.health", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Probes of the regions.") \
X("services.*.health.path", STRING, 0, 1, 4096, "\"/health\"", "/[!-~]*", NULL, \
  "Path of the health endpoint; the region's base path goes before it.") \
X("services.*.health.headers", MAP, 0, 0, 32, NULL, NULL, NULL, \
  "Header fields of a probe.") \
X("services.*.health.headers.*", STRING, 0, 0, 8192, NULL, NULL, NULL, \
  "The value.") \
X("services.*.health.interval", DURATION, 0, 50 * MS, 24 * HOUR, "\"10s\"", NULL, NULL, \
  "Time between two probes of a region.") \
X("services.*.health.probes_per_hour", INTEGER, 0, 0, 1000000, "0", NULL, NULL, \
  "The most probes of one region in an hour, whatever it looks like: each is a billed call. A sixtieth " \
  "of them may come at once. 0: as `interval` and the region's state want.") \
X("services.*.health.timeout", DURATION, 0, 10 * MS, 10 * MINUTE, "\"2s\"", NULL, NULL, \
  "A probe fails after this time. At most the interval; by default the interval where that is shorter.") \
X("services.*.health.healthy_threshold", INTEGER, 0, 1, 100, "2", NULL, NULL, \
  "Good probes in a row that make a region healthy.") \
X("services.*.health.unhealthy_threshold", INTEGER, 0, 1, 100, "3", NULL, NULL, \
  "Failed probes in a row that make a region unhealthy.") \
X("services.*.health.contains", STRING, 0, 1, 1024, NULL, NULL, NULL, \
  "A text that the first 5,120 bytes of the answer must hold.") \
X("services.*.health.use_affected_endpoints", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "Requests under a path that a failing check names in its `affectedEndpoints` go to another region.") \
X("services.*.health.statuses", ARRAY, 0, 1, 16, "[200]", NULL, NULL, \
  "Statuses of a good probe.") \
X("services.*.health.statuses[]", INTEGER, 0, 200, 599, NULL, NULL, NULL, \
  "One status code.") \
X("services.*.balance", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "How a region is chosen.") \
X("services.*.balance.policy", ENUM, 0, 0, 0, "\"latency\"", "latency|failover|weighted|geo|sticky", NULL, \
  "`latency`: by predicted response time. `failover`: the lowest priority that is healthy. `weighted`: " \
  "by weight. `geo`: the nearest to the client that is healthy; needs `geo.database`. `sticky`: the same " \
  "region for the same client.") \
X("services.*.balance.after_write", DURATION, 0, 0, HOUR, "\"0s\"", NULL, NULL, \
  "For APIs over tables that are replicated between the regions: for so long a client stays in the region " \
  "of its last request that was not GET, HEAD or OPTIONS, while that region is in order, whatever the " \
  "policy. It is known by what `sticky` says, where that is there or the policy, else by its address. " \
  "`0s`: off.") \
X("services.*.balance.sticky", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What clients are known by, for `after_write` and for the policy `sticky`, in the service or a route, " \
  "which spreads clients over the regions by `weight`, by a hash that is the same in every proxy. Its " \
  "clients move only when their region is out, full or silent.") \
X("services.*.balance.sticky.by", ENUM, 0, 0, 0, "\"cookie\"", "cookie|header|client_ip", NULL, \
  "What a client is known by. `cookie`: one that the proxy sets on the first answer (for `after_write` " \
  "alone: to a request that is not safe). `header`: the value of a request header field. `client_ip`: its " \
  "address (IPv6: its /64). With the policy `sticky` a request without it goes by `latency`.") \
X("services.*.balance.sticky.name", STRING, 0, 1, 64, NULL, NULL, NULL, \
  "Name of the header field, or of the cookie (default `isochrone`). Services of one host need cookies of " \
  "their own where `return` is `false` and their regions differ.") \
X("services.*.balance.sticky.ttl", DURATION, 0, 0, 9600 * HOUR, "\"1h\"", NULL, NULL, \
  "How long browsers keep the cookie, from when it is set. 0s: until they are closed.") \
X("services.*.balance.sticky.return", BOOLEAN, 0, 0, 0, "true", NULL, NULL, \
  "A client that had to move comes back when its region is well again. `false`: it stays where it went, " \
  "which the cookie then says; only with `by` `cookie`.") \
X("services.*.retry", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What is tried again; only requests that can safely be tried again ever are.") \
X("services.*.retry.attempts", INTEGER, 0, 1, 3, "3", NULL, NULL, \
  "Tries of one request, the first included.") \
X("services.*.retry.per_try_timeout", DURATION, 0, MS, 24 * HOUR, NULL, NULL, NULL, \
  "A try without a response head ends after this time, if another may follow. Default: none.") \
X("services.*.retry.budget", NUMBER, 0, 0, 2, "0.2", NULL, NULL, \
  "Retries per request, in the long run.") \
X("services.*.retry.statuses", ARRAY, 0, 0, 16, "[502, 503, 504]", NULL, NULL, \
  "Statuses that are tried again.") \
X("services.*.retry.statuses[]", INTEGER, 0, 400, 599, NULL, NULL, NULL, \
  "One status code.") \
X("services.*.retry.body_limit", SIZE, 0, 0, 16 * MIB, "\"64KiB\"", NULL, NULL, \
  "Request bodies up to this size are kept so that they can be sent again.") \
X("services.*.retry.large_body", ENUM, 0, 0, 0, "\"stream\"", "stream|refuse", NULL, \
  "What becomes of a larger body. `stream`: it goes through and cannot be sent again. `refuse`: 413.") \
X("services.*.hedge", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "A second try in another region while the first is still waited for; the first good answer wins. Only " \
  "for safe methods and routes that are `idempotent`. Absent: none.") \
X("services.*.hedge.after", STRING, 0, 1, 64, "\"p95\"", "p95|p99|[0-9]+([.][0-9]+)?(us|ms|s|m|h)", NULL, \
  "How long the first is waited for: `p95` or `p99` of the region's own answers in the last minute, or a " \
  "duration such as `80ms`.") \
X("services.*.hedge.share", NUMBER, 0, 0.001, 1, "0.05", NULL, NULL, \
  "Hedges per request, at most. They count in `retry.budget` too.") \
X("services.*.throttle", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Regions that answer 429 because of their own limit.") \
X("services.*.throttle.learn", BOOLEAN, 0, 0, 0, "true", NULL, NULL, \
  "Learn from the 429s how many requests a second a region takes, and send only what exceeds that to the " \
  "others. Not from those of one client that sends an `x-api-key`: that is its own quota.") \
X("services.*.marker", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "A header field by which the gateway's own answers say what they are; set per gateway response type by " \
  "the API's owner (docs/aws.md). It makes certain what a status only suggests, and is not passed on.") \
X("services.*.marker.header", STRING, 1, 1, 128, NULL, "[!#$%&'*+.^_`|~0-9A-Za-z-]+", NULL, \
  "Name of the field, such as `x-gw-type`.") \
X("services.*.marker.secret", STRING, 1, 8, 128, NULL, "[!-~]{8,128}", NULL, \
  "What its value begins with, before the gateway response type: a function that does not know it cannot " \
  "forge the field. `${NAME}` or `${file:PATH}` keeps it out of the file.") \
X("services.*.connect_timeout", DURATION, 0, 10 * MS, 10 * MINUTE, "\"1s\"", NULL, NULL, \
  "TCP and TLS together.") \
X("services.*.timeout", DURATION, 0, 10 * MS, 24 * HOUR, "\"31s\"", NULL, NULL, \
  "Until the final response head, all tries included.") \
X("services.*.idle_timeout", DURATION, 0, 10 * MS, 24 * HOUR, "\"60s\"", NULL, NULL, \
  "After the response head: no byte in either direction for this time ends the exchange.") \
X("services.*.tunnel_idle_timeout", DURATION, 0, 10 * MS, 24 * HOUR, "\"10m\"", NULL, NULL, \
  "The same for tunnels (WebSocket).") \
X("services.*.proxy_status", ENUM, 0, 0, 0, "\"errors\"", "errors|asked|always", NULL, \
  "Which answers tell in `Proxy-Status` (RFC 9209) where the request has been and how that ended. " \
  "`errors`: the proxy's own, in short. `asked`: all that a client asks for too, by " \
  "`Want-Proxy-Status: ?1`. `always`: all.") \
X("services.*.connection_idle_timeout", DURATION, 0, 100 * MS, 24 * HOUR, "\"50s\"", NULL, NULL, \
  "A connection to a region that has carried nothing for so long is closed, before the region does it. A " \
  "region that twice closed idle connections earlier, after the same time, is forestalled by a tenth.") \
X("services.*.idempotency", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Requests with an `Idempotency-Key`.") \
X("services.*.idempotency.honoured", ENUM, 0, 0, 0, "\"none\"", "none|region|global", NULL, \
  "Where the API itself recognises a repeated key: such a request may be tried again there.") \
X("services.*.idempotency.store", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "Let the proxy itself see to it that a POST or PATCH with an `Idempotency-Key` runs once: what comes " \
  "again gets the first one's answer, 409 while that runs (see `duplicates`) or when its outcome " \
  "is not known, 422 when it is another request. Its body is awaited whole, and may be as large as " \
  "`retry.body_limit`.") \
X("services.*.idempotency.scope", ENUM, 0, 0, 0, "\"global\"", "global|region", NULL, \
  "Where the store's keys count. `global`: a key runs once, in whichever region. `region`: once in each " \
  "region that it comes to, for APIs whose regions keep their data apart; no try goes elsewhere.") \
X("services.*.idempotency.duplicates", ENUM, 0, 0, 0, "\"refuse\"", "refuse|wait", NULL, \
  "What becomes of a key that comes again while the first request runs. `refuse`: 409. `wait`: it gets the " \
  "first one's answer, or 504 when that has not come within the `timeout`.") \
X("services.*.idempotency.client", ARRAY, 0, 0, 8, "[\"authorization\", \"x-api-key\"]", NULL, NULL, \
  "What tells clients apart, so that each has keys of its own; a verified client certificate always does. " \
  "Absent: a key that comes with other cookies than at first gets 422 besides.") \
X("services.*.idempotency.client[]", STRING, 0, 1, 128, NULL, \
  "(cookie:)?[!#$%&'*+.^_`|~0-9A-Za-z-]+", NULL, \
  "A header field, such as `x-user`, or a cookie, such as `cookie:session`.") \
X("services.*.idempotency.ttl", DURATION, 0, SEC, 9600 * HOUR, "\"24h\"", NULL, NULL, \
  "How long a key is remembered, from when its request ended.") \
X("services.*.idempotency.max_answer", SIZE, 0, 0, 16 * MIB, "\"64KiB\"", NULL, NULL, \
  "Larger answers are not kept: what comes again gets 409.") \
X("idempotency", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "The memory of keys, for all services whose `idempotency.store` is on.") \
X("idempotency.memory", SIZE, 0, 64 * KIB, 64 * GIB, "\"64MiB\"", NULL, NULL, \
  "Keys and answers, all together. When it is full, what was used least recently is forgotten.") \
X("idempotency.journal", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "A file that keeps them over a restart; of one process only. Absent: they end with the process.") \
X("idempotency.sync", ENUM, 0, 0, 0, "\"always\"", "always|interval|never", NULL, \
  "When the journal is on disk. `always`: before a request is sent, so that not even a power failure " \
  "makes it run twice. `interval`: within a second. `never`: when the system likes; a killed process " \
  "loses nothing.") \
X("routes", ARRAY, 0, 1, 10000, NULL, NULL, NULL, \
  "Which service takes a request; the most specific match wins, not the first. Absent: the only " \
  "service takes everything.") \
X("routes[]", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "One rule.") \
X("routes[].name", STRING, 0, 1, 4096, NULL, NAME_PATTERN, NULL, \
  "Name in logs. Default: `routes/N`, N being the position from 0.") \
X("routes[].match", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What the rule takes; what is not given matches everything.") \
X("routes[].match.host", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "`api.example.com`, or `*.example.com` with one or more labels for the star; without a port, which " \
  "is ignored.") \
X("routes[].match.path", STRING, 0, 1, 4096, NULL, "/.*", NULL, \
  "`/orders`, `/orders/{id}` with a name for one segment, or `/orders/*`, which takes `/orders` and all " \
  "below it.") \
X("routes[].match.methods", ARRAY, 0, 1, 16, NULL, NULL, NULL, \
  "Methods; all when absent.") \
X("routes[].match.methods[]", STRING, 0, 1, 4096, NULL, "[!#$%&'*+.^_`|~0-9A-Z-]+", NULL, \
  "One method, in upper case.") \
X("routes[].match.headers", MAP, 0, 1, 16, NULL, NULL, NULL, \
  "Header fields by name; of several the first one counts.") \
X("routes[].match.headers.*", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What its value must be: one of these keys.") \
X("routes[].match.headers.*.exact", STRING, 2, 0, 0, NULL, NULL, NULL, \
  "The whole value, byte by byte.") \
X("routes[].match.headers.*.prefix", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "How the value begins.") \
X("routes[].match.headers.*.regex", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "A Perl-compatible regular expression of the whole value; one that takes too many steps does not match.") \
X("routes[].match.headers.*.present", BOOLEAN, 2, 0, 0, NULL, NULL, NULL, \
  "It is there, whatever its value; `false`: it is not.") \
X("routes[].match.query", MAP, 0, 1, 16, NULL, NULL, NULL, \
  "Query parameters by name, decoded as forms are; of several the first one counts.") \
X("routes[].match.query.*", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What its value must be: one of these keys.") \
X("routes[].match.query.*.exact", STRING, 2, 0, 0, NULL, NULL, NULL, \
  "The whole value, byte by byte.") \
X("routes[].match.query.*.prefix", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "How the value begins.") \
X("routes[].match.query.*.regex", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "A Perl-compatible regular expression of the whole value; one that takes too many steps does not match.") \
X("routes[].match.query.*.present", BOOLEAN, 2, 0, 0, NULL, NULL, NULL, \
  "It is there, whatever its value; `false`: it is not.") \
X("routes[].match.cookies", MAP, 0, 1, 16, NULL, NULL, NULL, \
  "Cookies by name; of several the first one counts.") \
X("routes[].match.cookies.*", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What its value must be: one of these keys.") \
X("routes[].match.cookies.*.exact", STRING, 2, 0, 0, NULL, NULL, NULL, \
  "The whole value, byte by byte.") \
X("routes[].match.cookies.*.prefix", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "How the value begins.") \
X("routes[].match.cookies.*.regex", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "A Perl-compatible regular expression of the whole value; one that takes too many steps does not match.") \
X("routes[].match.cookies.*.present", BOOLEAN, 2, 0, 0, NULL, NULL, NULL, \
  "It is there, whatever its value; `false`: it is not.") \
X("routes[].match.clients", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "Networks that the client is in (behind trusted proxies: the one that they name).") \
X("routes[].match.clients[]", STRING, 0, 1, 64, NULL, NETWORK_PATTERN, NULL, \
  "`10.0.0.0/8`, `2001:db8::/32` or an address.") \
X("routes[].match.percentage", NUMBER, 0, 0, 100, NULL, NULL, NULL, \
  "Of the requests that fit in all else, drawn for each request and rule anew.") \
X("routes[].order", INTEGER, 0, -1000000, 1000000, "0", NULL, NULL, \
  "Decides between rules that are equally specific: the lower one goes first.") \
X("routes[].service", STRING, 2, 1, 4096, NULL, NULL, NULL, \
  "The service that takes the request. A route has this, `respond` or `redirect`.") \
X("routes[].respond", OBJECT, 2, 0, 0, NULL, NULL, NULL, \
  "The proxy answers itself.") \
X("routes[].respond.status", INTEGER, 1, 200, 599, NULL, NULL, NULL, \
  "Status of the answer.") \
X("routes[].respond.body", STRING, 0, 0, 65536, NULL, NULL, NULL, \
  "Its content; none when absent.") \
X("routes[].respond.content_type", STRING, 0, 1, 256, "\"text/plain; charset=utf-8\"", NULL, NULL, \
  "Its `Content-Type`, where it has content.") \
X("routes[].redirect", OBJECT, 2, 0, 0, NULL, NULL, NULL, \
  "The client is sent elsewhere.") \
X("routes[].redirect.location", TEMPLATE, 1, 1, 4096, NULL, NULL, NULL, \
  "Where to, such as `https://www.example.com${path}${query}`.") \
X("routes[].redirect.status", INTEGER, 0, 301, 308, "308", "301|302|303|307|308", NULL, \
  "301, 302, 303, 307 or 308.") \
X("routes[].rewrite", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What goes upstream in place of the request's path.") \
X("routes[].rewrite.path", TEMPLATE, 1, 1, 4096, NULL, NULL, NULL, \
  "The path, such as `/v2/${rest}`: named segments of the route's path by their names, `rest` for what its " \
  "star stands for. The query stays, and the result is normalised.") \
X("routes[].request_headers", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Edits of what goes upstream, after the region's own `headers`.") \
X("routes[].request_headers.set", MAP, 0, 1, 64, NULL, NULL, NULL, \
  "Fields by name, in place of those that are there.") \
X("routes[].request_headers.set.*", TEMPLATE, 0, 0, 4096, NULL, NULL, NULL, \
  "The value. Variables: `${region}`, `${version}` (the alias), `${client_ip}`, `${request_id}`, " \
  "`${method}`, `${scheme}`, `${host}`, `${path}`, `${query}` (with its `?`), `${route}`, `${service}`, " \
  "the names in the route's path, `${rest}`.") \
X("routes[].request_headers.add", MAP, 0, 1, 64, NULL, NULL, NULL, \
  "Fields by name, beside those that are there.") \
X("routes[].request_headers.add.*", TEMPLATE, 0, 0, 4096, NULL, NULL, NULL, \
  "The value, with the same variables.") \
X("routes[].request_headers.remove", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "Fields that go, before any are set.") \
X("routes[].request_headers.remove[]", STRING, 0, 1, 256, NULL, NULL, NULL, \
  "One name.") \
X("routes[].response_headers", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "Edits of what the client gets, of the proxy's own answers by this route too.") \
X("routes[].response_headers.set", MAP, 0, 1, 64, NULL, NULL, NULL, \
  "Fields by name, in place of those that are there.") \
X("routes[].response_headers.set.*", TEMPLATE, 0, 0, 4096, NULL, NULL, NULL, \
  "The value. Variables as in `request_headers`.") \
X("routes[].response_headers.add", MAP, 0, 1, 64, NULL, NULL, NULL, \
  "Fields by name, beside those that are there.") \
X("routes[].response_headers.add.*", TEMPLATE, 0, 0, 4096, NULL, NULL, NULL, \
  "The value, with the same variables.") \
X("routes[].response_headers.remove", ARRAY, 0, 1, 64, NULL, NULL, NULL, \
  "Fields that go, before any are set.") \
X("routes[].response_headers.remove[]", STRING, 0, 1, 256, NULL, NULL, NULL, \
  "One name.") \
X("routes[].timeout", DURATION, 0, 10 * MS, 24 * HOUR, NULL, NULL, NULL, \
  "Until the final response head, all tries included. Default: the service's.") \
X("routes[].idle_timeout", DURATION, 0, 10 * MS, 24 * HOUR, NULL, NULL, NULL, \
  "No byte in either direction for so long ends an answer. Default: the service's.") \
X("routes[].hedge", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What is different for these requests.") \
X("routes[].hedge.after", STRING, 1, 1, 64, NULL, "off|[0-9]+([.][0-9]+)?(us|ms|s|m|h)", NULL, \
  "`off`, or the time after which another region is asked too.") \
X("routes[].alias", STRING, 0, 1, 4096, NULL, NAME_PATTERN, NULL, \
  "Name of a version alias; kept and logged.") \
X("routes[].requires", ARRAY, 0, 1, 16, NULL, NULL, NULL, \
  "Dependencies, by the names in the health endpoint's JSON answer (application/health+json, or a plain " \
  "map of names to words), without which a region does not take these requests, as long as another one " \
  "has them. `warn` leaves a region a quarter of its weight.") \
X("routes[].requires[]", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "One dependency.") \
X("routes[].idempotent", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "Running such a request twice does no harm, whatever its method: it may be tried again.") \
X("routes[].proxy_status", ENUM, 0, 0, 0, NULL, "errors|asked|always", NULL, \
  "Default: the service's.") \
X("routes[].idempotency_key", ENUM, 0, 0, 0, "\"optional\"", "optional|required", NULL, \
  "`required`: a POST or PATCH without an `Idempotency-Key` gets 400. For services with " \
  "`idempotency.store`.") \
X("routes[].retry", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "What is different for these requests.") \
X("routes[].retry.attempts", INTEGER, 0, 1, 3, NULL, NULL, NULL, \
  "Tries of one request, the first included. Default: the service's.") \
X("routes[].retry.per_try_timeout", DURATION, 0, MS, 24 * HOUR, NULL, NULL, NULL, \
  "Default: the service's.") \
X("routes[].retry.statuses", ARRAY, 0, 0, 16, NULL, NULL, NULL, \
  "Default: the service's.") \
X("routes[].retry.statuses[]", INTEGER, 0, 400, 599, NULL, NULL, NULL, \
  "One status.") \
X("routes[].regions", ARRAY, 0, 1, 16, NULL, NULL, NULL, \
  "The only regions that these requests may go to (data residency). Default: all of the service.") \
X("routes[].regions[]", STRING, 0, 1, 4096, NULL, NULL, NULL, \
  "One region of the service.") \
X("routes[].rate_limit", OBJECT, 0, 0, 0, NULL, NULL, NULL, \
  "How many requests each client may make by this route, over all workers. Beyond: 429 with `Retry-After`; " \
  "answers tell by `RateLimit` and `RateLimit-Policy` what is left.") \
X("routes[].rate_limit.requests", INTEGER, 1, 1, 1000000, NULL, NULL, NULL, \
  "Requests of one client within `per`.") \
X("routes[].rate_limit.per", DURATION, 0, 1 * SEC, 24 * HOUR, "\"1s\"", NULL, NULL, \
  "The time; requests come back evenly over it, and after a rest all of them may go at once.") \
X("routes[].rate_limit.key", STRING, 0, 1, 256, NULL, NULL, NULL, \
  "The header field that tells clients apart, such as `x-api-key`; who sends none counts by address. " \
  "Default: the client's address (IPv6: its /64).") \
X("routes[].policy", ENUM, 0, 0, 0, NULL, "latency|failover|weighted|geo|sticky", NULL, \
  "Overrides the service's `balance.policy`.") \
X("routes[].measure", BOOLEAN, 0, 0, 0, "false", NULL, NULL, \
  "The times of these requests are kept apart for each region; the choice of the region, what counts as " \
  "silence, and `hedge` go by them. For a route that is much slower or quicker than the others of its " \
  "service, or slow where they are quick. At most 32 routes; each takes 40 KiB of memory for each region.")
/* clang-format on */

#endif
