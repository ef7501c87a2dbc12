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
#   BASE         any Debian or Ubuntu image with Python 3.11 or newer and its venv module
#   TORCH_INDEX  pip index of torch builds without CUDA; empty where pip's own settings have one

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# pip lives in an environment of its own, so that none is in the one which is kept.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/emobench
WORKDIR /src
# The dependencies first: this step stays in the engine's cache while only the code changes.
COPY pyproject.toml requirements.lock ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > dependencies.txt \
    && /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir -c requirements.lock \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r dependencies.txt \
    # What torch has for compilers and for its own tests.
    && cd /opt/emobench/lib/python3*/site-packages/torch && rm -rf include test bin/test_*
COPY . .
RUN /opt/pip/bin/pip --python /opt/emobench/bin/python install --no-cache-dir --no-deps . \
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
