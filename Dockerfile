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
# compose.yaml starts a Dask cluster of three workers.
#
# Build arguments:
#   BASE         any Debian or Ubuntu image with Python 3.11 or newer and its venv module. A tag may move to another
#                image; to pin one, add its digest: --build-arg BASE=python:3.11-slim@sha256:...
#                (docker buildx imagetools inspect python:3.11-slim prints the digest).
#   LOCK         lock file of the packages: that of an extra, such as requirements-cluster.lock, adds the extra.
#   TORCH_INDEX  pip index with torch builds without CUDA, used only for torch; empty if pip's own settings have one.
#                Its files must match requirements-torch-cpu.lock.

ARG BASE=python:3.11-slim

# The packages that emobench needs. This stage, and its layer in the image, change only with the lock files.
FROM ${BASE} AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG LOCK=requirements.lock
# pip is in a separate environment, so that the final one contains none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/packages
COPY requirements-torch-cpu.lock ${LOCK} /src/
RUN /opt/pip/bin/pip --python /opt/packages/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r /src/requirements-torch-cpu.lock \
    && /opt/pip/bin/pip --python /opt/packages/bin/python install --no-cache-dir --no-compile --require-hashes \
        -r "/src/${LOCK}" \
    && cd /opt/packages/lib/python3*/site-packages \
    # Headers, static libraries, tests and sample data are needed to build or test the packages, not to run them.
    && rm -rf torch/include torch/test torch/bin/test_* torch/share pyarrow/include pyarrow/src \
        matplotlib/mpl-data/sample_data \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && find . -name '*.a' -delete \
    # Some packages contain files for other versions of Python, which cannot be compiled.
    && { /opt/packages/bin/python -m compileall -q . >/dev/null || true; } \
    # The code of emobench is in a folder, and so in a layer, of its own.
    && echo /opt/emobench > "$(echo /opt/packages/lib/python3*/site-packages)/emobench.pth"

FROM packages AS code
COPY . /src/emobench
RUN /opt/pip/bin/pip --python /opt/packages/bin/python install --no-cache-dir --no-deps --no-build-isolation \
        --target /opt/emobench /src/emobench \
    && /opt/pip/bin/pip --python /opt/packages/bin/python check

FROM ${BASE}
# Any user may write to the volume, so that `--user` works with volumes too.
RUN useradd --no-log-init --uid 1000 --user-group --no-create-home --home-dir /data emobench \
    && install -d -o emobench -g emobench -m 1777 /data
COPY --from=packages /opt/packages /opt/packages
COPY --from=code /opt/emobench /opt/emobench
COPY --chmod=755 scripts/demo.sh /usr/local/bin/emobench-demo
# HOME is that of users that the image does not know, too: libraries keep caches and settings there.
ENV PATH=/opt/emobench/bin:/opt/packages/bin:$PATH HOME=/data EMOBENCH_CACHE=/data/.cache
USER emobench
WORKDIR /data
VOLUME /data
ENTRYPOINT ["emobench"]
CMD ["--help"]
