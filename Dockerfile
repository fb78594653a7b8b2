# Every image of the system; docs/images.md tells how to build and to check them.
# Each is a program, the libraries that it links and what belongs to them: no
# shell, no package manager.
#
#   docker build --target gateway .      or scripts/images, for all of them

# Anything with this Rust on Debian 12; name@sha256:... pins it.
ARG BASE=docker.io/library/rust:1.95-bookworm

FROM ${BASE} AS base
WORKDIR /src
COPY scripts/packages scripts/
RUN scripts/packages && apt-get install --yes --no-install-recommends jq >/dev/null && rm -rf /var/lib/apt/lists/*

# Its own stage: it changes rarely, and takes a minute.
FROM base AS ffmpeg
COPY converter-job/ffmpeg converter-job/ffmpeg
RUN AUDIO_CONVERTER_CACHE=/opt converter-job/ffmpeg/build

# They put the list of all crates into a program, and read it out again.
FROM base AS tools
ARG CARGO_AUDITABLE=0.7.7
ARG AUDITABLE2CDX=0.1.0
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    cargo install --quiet --locked --root /opt/tools \
    cargo-auditable@${CARGO_AUDITABLE} auditable2cdx@${AUDITABLE2CDX}

FROM base AS build
COPY --from=tools /opt/tools/bin/ /usr/local/cargo/bin/
COPY --from=ffmpeg /opt/ /opt/
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    images/compile
RUN images/root gateway gateway && \
    images/root auth auth && \
    images/root dispatcher dispatcher && \
    images/root converter-job converter-job && \
    images/root audio-converter audio-converter converter-job

# What all of them have in common.
FROM scratch AS image
ENV PATH=/usr/local/bin
USER 10001:10001
ARG VERSION
ARG REVISION
ARG SOURCE
LABEL org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"

FROM image AS gateway
COPY --from=build /images/gateway/ /
ENV GATEWAY_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/gateway"]
LABEL org.opencontainers.image.title="gateway" \
    org.opencontainers.image.description="Audio converter: HTTP in and out"

FROM image AS auth
COPY --from=build /images/auth/ /
ENV AUTH_LISTEN=0.0.0.0:5000
EXPOSE 5000
ENTRYPOINT ["/usr/local/bin/auth"]
LABEL org.opencontainers.image.title="auth" \
    org.opencontainers.image.description="Audio converter: accounts, passwords and tokens"

FROM image AS dispatcher
COPY --from=build /images/dispatcher/ /
ENTRYPOINT ["/usr/local/bin/dispatcher"]
LABEL org.opencontainers.image.title="dispatcher" \
    org.opencontainers.image.description="Audio converter: from a queued conversion to its Job and its event"

FROM image AS converter-job
COPY --from=build /images/converter-job/ /
ENTRYPOINT ["/usr/local/bin/converter-job"]
LABEL org.opencontainers.image.title="converter-job" \
    org.opencontainers.image.description="Audio converter: one video in, one MP3 out, exit" \
    org.opencontainers.image.licenses="Apache-2.0 AND LGPL-2.1-or-later AND LGPL-2.0-or-later"

# The whole system in one process, over files in /data.
FROM image AS audio-converter
COPY --from=build /images/audio-converter/ /
COPY --from=build --chown=10001:10001 /images/data/ /data/
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/audio-converter"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data", "/data"]
LABEL org.opencontainers.image.title="audio-converter" \
    org.opencontainers.image.description="Audio converter: the whole system in one process" \
    org.opencontainers.image.licenses="Apache-2.0 AND LGPL-2.1-or-later AND LGPL-2.0-or-later"
