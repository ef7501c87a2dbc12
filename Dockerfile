# emobench for CPUs, run as an ordinary user. All data are kept in the volume /data.
#
# Build:
#   docker build -t emobench .
# Run the demo (synthetic data, every feature, the leaderboard) in the volume "emobench":
#   docker run --rm -v emobench:/data --entrypoint emobench-demo emobench
# Run single commands:
#   docker run --rm -v emobench:/data emobench build-data
#   docker run --rm -v emobench:/data emobench run --features rhythm+pitch
#   docker run --rm -v emobench:/data emobench leaderboard
# Use a folder of the host instead of a volume, with files that belong to the calling user:
#   mkdir -p work
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/work:/data" emobench build-data
#
# Build arguments:
#   BASE         any Debian or Ubuntu image with Python 3.11 or newer and its venv module. A tag may move to another
#                image; to pin one, add its digest: --build-arg BASE=python:3.11-slim@sha256:...
#                (docker buildx imagetools inspect python:3.11-slim prints the digest).
#   TORCH_INDEX  pip index with torch builds without CUDA, used only for torch; empty if pip's own settings have one.
#                Its files must match requirements-torch-cpu.lock.

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# pip is in a separate environment, so that the final one contains none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/emobench
WORKDIR /src
# Dependencies come first: this layer stays cached while only the code changes.
COPY requirements-torch-cpu.lock requirements.lock ./
RUN /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --no-deps --require-hashes \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r requirements-torch-cpu.lock \
    && /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --require-hashes -r requirements.lock \
    # Remove the headers and the tests of torch.
    && cd /opt/emobench/lib/python3*/site-packages/torch && rm -rf include test bin/test_*
COPY . .
RUN /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/pip/bin/pip --python /opt/emobench/bin/python check

FROM ${BASE}
RUN useradd --no-log-init --uid 1000 --user-group --create-home emobench \
    && install -d -o emobench -g emobench /data
COPY --from=build /opt/emobench /opt/emobench
COPY --chmod=755 scripts/demo.sh /usr/local/bin/emobench-demo
ENV PATH=/opt/emobench/bin:$PATH EMOBENCH_CACHE=/data/.cache
USER emobench
WORKDIR /data
VOLUME /data
ENTRYPOINT ["emobench"]
CMD ["--help"]
