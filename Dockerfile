# docker build -t isochrone .
# docker run -p 443:443 -v /etc/isochrone:/etc/isochrone:ro isochrone
# The container holds no configuration: mount one at /etc/isochrone/isochrone.json, readable by user 10001.
FROM debian:bookworm-slim AS builder
WORKDIR /src
COPY scripts/packages scripts/packages
RUN scripts/packages build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release && strip build/release/proxy/isochrone

FROM debian:bookworm-slim
RUN apt-get update \
	&& apt-get install -y --no-install-recommends libevent-core-2.1-7 libssl3 libnghttp2-14 libjansson4 libc-ares2 \
		libmaxminddb0 libpcre2-8-0 ca-certificates \
	&& rm -rf /var/lib/apt/lists/*
COPY --from=builder /src/build/release/proxy/isochrone /usr/local/bin/isochrone
RUN groupadd --system --gid 10001 isochrone \
	&& useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin isochrone \
	&& mkdir -p /etc/isochrone
USER 10001:10001
WORKDIR /etc/isochrone
EXPOSE 443 8080 9901
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/isochrone"]
CMD ["run", "-c", "/etc/isochrone/isochrone.json"]
