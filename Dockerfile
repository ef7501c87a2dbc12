# emobench for the processor alone, run as an ordinary user; all work is kept in the volume /data.
#
# Build:
#   docker build -t emobench .
# The demo (synthetic data, every feature, the leaderboard), kept in the volume "emobench":
#   docker run --rm -v emobench:/data --entrypoint emobench-demo emobench
# One command at a time:
#   docker run --rm -v emobench:/data emobench build-data
#   docker run --rm -v emobench:/data emobench run --features rhythm+pitch
#   docker run --rm -v emobench:/data emobench leaderboard
# In a folder of the host instead of a volume, with the files belonging to who calls:
#   mkdir -p work
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/work:/data" emobench build-data
#
# Build arguments:
#   BASE         any Debian or Ubuntu image with Python 3.11 or newer and its venv module. A tag can be moved to another
#                image; to build on exactly one, add its digest: --build-arg BASE=python:3.11-slim@sha256:...
#                (docker buildx imagetools inspect python:3.11-slim prints the digest).
#   TORCH_INDEX  pip index of torch builds without CUDA, used for torch alone; empty where pip's own settings have one.
#                Its files must be those of requirements-torch-cpu.lock.

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# pip lives in an environment of its own, so that none is in the one which is kept.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/emobench
WORKDIR /src
# The dependencies first: this step stays in the engine's cache while only the code changes.
COPY requirements-torch-cpu.lock requirements.lock ./
RUN /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --no-deps --require-hashes \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r requirements-torch-cpu.lock \
    && /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --require-hashes -r requirements.lock \
    # What torch has for compilers and for its own tests.
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
