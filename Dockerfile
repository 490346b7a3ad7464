# syntax=docker/dockerfile:1
# A static binary with its model on an empty image: there is nothing else to attack or update.
# Build: docker build --tag attn-fiqa .   Run: docker run --rm -p 8080:8080 attn-fiqa

FROM rust:1.95-alpine AS build
# hadolint ignore=DL3018
RUN apk add --no-cache musl-dev
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin attn-fiqa --package attn-fiqa-cli \
    && strip target/release/attn-fiqa

FROM scratch
COPY --from=build /source/target/release/attn-fiqa /attn-fiqa
# The user nobody: the service writes no files.
USER 65534:65534
ENV ATTN_FIQA_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/attn-fiqa", "serve", "--check"]
ENTRYPOINT ["/attn-fiqa"]
CMD ["serve", "--log-format", "json"]
