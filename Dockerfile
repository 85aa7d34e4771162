# Two images from one build:
#
#   docker build -t trunkline .                         the hub alone, for servers behind URLs
#   docker build -t trunkline:stdio --target stdio .    with Node.js and uv, for npx and uvx servers

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo ./.cargo
COPY crates ./crates
COPY tests ./tests
COPY bench ./bench
COPY examples ./examples
COPY xtask ./xtask
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --package trunkline \
    && install -D --mode 0755 target/dist/trunkline /out/trunkline \
    && install -d --mode 0700 /out/data

# Both run as user 65532 and write nowhere but to /data: the database and the
# key that seals its secrets. Keep a copy of /data/secret.key elsewhere.

FROM node:22-bookworm-slim AS stdio
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /uvx /usr/local/bin/
COPY --from=build /out/trunkline /usr/local/bin/trunkline
COPY --from=build --chown=65532:65532 /out/data /data
# npx and uvx keep what they download below HOME.
ENV HOME=/data
USER 65532:65532
EXPOSE 7400
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["trunkline"]
CMD ["serve", "--data", "/data", "--config", "/etc/trunkline/trunkline.yaml", "--listen", "0.0.0.0:7400"]

FROM gcr.io/distroless/cc-debian12:nonroot AS hub
COPY --from=build /out/trunkline /usr/local/bin/trunkline
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
EXPOSE 7400
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["trunkline"]
CMD ["serve", "--data", "/data", "--config", "/etc/trunkline/trunkline.yaml", "--listen", "0.0.0.0:7400"]
