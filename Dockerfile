# docker build -t isochrone .
# docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 -p 8443:8443 \
#   -v /etc/isochrone:/etc/isochrone:ro isochrone
#
# The image holds no configuration: mount one at /etc/isochrone/isochrone.json, readable by user 10001, or name
# another by ISOCHRONE_CONFIG; docs/deploy.md says more. The base is pinned by its date, so that a build can be
# repeated; a later date brings Debian's fixes.
ARG DEBIAN=bookworm-20250520-slim

FROM debian:${DEBIAN} AS builder
WORKDIR /src
COPY scripts/packages scripts/packages
RUN scripts/packages build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release --target isochrone \
	&& strip build/release/proxy/isochrone

FROM debian:${DEBIAN}
# MORE: further packages; the demo needs "curl", see conf/compose.yaml.
ARG MORE=""
RUN apt-get update \
	&& apt-get install -y --no-install-recommends ca-certificates libc-ares2 libevent-core-2.1-7 libjansson4 \
		libmaxminddb0 libnghttp2-14 libpcre2-8-0 libssl3 ${MORE} \
	&& apt-get clean \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
	&& groupadd --system --gid 10001 isochrone \
	&& useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin isochrone \
	&& mkdir -p /etc/isochrone
COPY --from=builder /src/build/release/proxy/isochrone /usr/local/bin/isochrone
ENV ISOCHRONE_CONFIG=/etc/isochrone/isochrone.json
WORKDIR /etc/isochrone
USER 10001:10001
EXPOSE 8443 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --retries=3 CMD ["/usr/local/bin/isochrone", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/isochrone"]
CMD ["run"]
