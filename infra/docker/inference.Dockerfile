# The inference function. Whoever starts it puts what it shall do into MILLRACE_FUNCTION.
#
#   docker build -f infra/docker/inference.Dockerfile -t millrace-inference .
#
# The libraries of the image are those of the system that the programs were compiled on, so both are one image.
ARG RUST=docker.io/library/rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1

FROM ${RUST} AS compiled
# hadolint ignore=DL3008 # The image names the system; its updates are wanted.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends cmake python3-venv \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /millrace
COPY . .
# The versions and digests of ONNX Runtime and Node stand in these scripts, for a checkout and for an image alike.
ENV MILLRACE_CACHE=/cache MILLRACE_REQUIRE_WEB=1
RUN for part in python onnxruntime node web; do "infra/setup/$part" || exit 1; done
RUN cargo build --locked --release -p millrace -p millrace-inference -p millrace-training \
  && mkdir /binaries \
  && cp target/release/millrace target/release/millrace-inference target/release/millrace-training Cargo.lock /binaries \
  && cp /cache/onnxruntime/libonnxruntime.so.* /binaries/libonnxruntime.so

# Named so that `--build-context binaries=FOLDER` puts programs there that are compiled already.
FROM scratch AS binaries
COPY --from=compiled /binaries /

FROM ${RUST} AS gathered
COPY --from=binaries / /binaries/
COPY infra/docker/gather /usr/local/bin/
RUN gather /binaries /image millrace-inference

FROM scratch
COPY --from=gathered /image /
ENV MILLRACE_ONNXRUNTIME__LIBRARY=/usr/lib/libonnxruntime.so
USER 65532:65532
ENTRYPOINT ["/usr/bin/millrace-inference"]
