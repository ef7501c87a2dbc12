#!/usr/bin/env bash
# Build the image that the Dockerfile describes and run the demo in it, without a Docker engine.
#
# Needs root, buildah, debootstrap, a python3 with pip, about 10 GB in TMPDIR (default /var/tmp), and the network or
# pip settings that work without it. The pip settings of this machine (indexes, folders of wheels, certificates) are
# mounted while the image is built; the script then checks that none of them remained in the image. Settings:
#   FULL=1            run the full demo instead of a small one
#   LOCK=FILE         build argument; with requirements-cluster.lock, the cluster of compose.yaml is tried too
#   BASE=IMAGE        pull this base image instead of making one with debootstrap
#   SUITE, MIRROR     suite and mirror for debootstrap (default: bookworm, from the default mirror)
#   TORCH_INDEX=URL   build argument (default: empty if pip's settings name local folders, else the Dockerfile's)
#   PYTHON            interpreter whose pip settings are used (default: python3)
set -euo pipefail
cd "$(dirname "$0")/.."

FULL=${FULL:-}
LOCK=${LOCK:-requirements.lock}
BASE=${BASE:-}
SUITE=${SUITE:-bookworm}
MIRROR=${MIRROR:-}
PYTHON=${PYTHON:-python3}
IMAGE=localhost/emobench-check
BUILT_BASE=localhost/emobench-check-base
USER_ID=1000
OTHER_ID=4242

fail() {
    echo "container-check: $*" >&2
    exit 1
}

step() {
    printf '%4ds  %s\n' "$SECONDS" "$*"
}

[ "$(id -u)" = 0 ] || fail "must be run as root: an image is built in a chroot."
missing=
command -v buildah >/dev/null || missing="$missing buildah"
[ -n "$BASE" ] || command -v debootstrap >/dev/null || missing="$missing debootstrap"
[ -z "$missing" ] || fail "not installed:$missing. Try: apt-get install --no-install-recommends$missing"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/emobench-container.XXXXXX")

# buildah leaves a small cache and empty folders outside its storage; they are removed if this run created them.
fresh=()
for folder in /var/lib/containers /run/containers; do
    [ -e "$folder" ] || fresh+=("$folder")
done

cleanup() {
    local mounted folder
    # Folders of the machine may be mounted below: unmount them before anything is removed.
    awk -v top="$work/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mounted; do
        umount "$mounted" || true
    done
    if grep -qF " $work/" /proc/self/mountinfo; then
        echo "container-check: something is still mounted under $work, which was therefore not removed." >&2
    else
        rm -rf "$work"
    fi
    for folder in "${fresh[@]}"; do
        rm -f "$folder/cache/blob-info-cache-v1.boltdb"
        [ ! -d "$folder" ] || find "$folder" -depth -type d -empty -delete
    done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export TMPDIR=$work/tmp
mkdir -p "$TMPDIR" "$work/mnt" "$work/root/.config/pip"

engine() {
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

logged() {
    "$@" >"$work/log" 2>&1 || {
        tail -n 60 "$work/log" >&2
        fail "failed: $*"
    }
}

# Write the machine's pip settings as a configuration for root in the build. The folders it names are mounted below
# /mnt and the configuration over /root: both exist in every base image, so that no mount point remains in the image.
"$PYTHON" - "$work" <<'PY' || fail "the settings of pip could not be read."
import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

PLACES = {"index-url", "extra-index-url", "find-links"}
FILES = {"cert", "client-cert"}
OTHERS = {"no-index", "proxy", "trusted-host", "timeout", "default-timeout", "retries"}

work = Path(sys.argv[1])
mounts: dict[Path, str] = {}
hidden: set[str] = set()


def mounted(folder: Path) -> str:
    """Return the path in the build of a folder of the machine; an index is mounted with the files that it links to."""
    top = folder
    for page in sorted(folder.glob("*/index.html"))[:1]:
        for link in re.findall(r'href="([^"#]+)', page.read_text(encoding="utf-8"))[:1]:
            if not urlsplit(link).scheme:
                target = os.path.normpath(page.parent / unquote(link))
                top = Path(os.path.commonpath([folder, target]))
    for known, place in mounts.items():
        if top.is_relative_to(known):
            return f"{place}/{folder.relative_to(known)}"
    mounts[top] = f"/mnt/{len(mounts)}"
    (work / "mnt" / str(len(mounts) - 1)).mkdir()
    hidden.update((str(top), mounts[top]))
    return f"{mounts[top]}/{folder.relative_to(top)}"


def translated(word: str) -> str:
    parts = urlsplit(word)
    if parts.password:
        hidden.add(parts.password)
    if parts.scheme == "file":
        return "file://" + mounted(Path(unquote(parts.path)))
    folder = Path(word).expanduser()
    return mounted(folder.resolve()) if not parts.scheme and folder.is_dir() else word


listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
settings: dict[tuple[str, str], str] = {}
# The environment takes precedence over configuration files.
for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
    name, _, value = line.partition("=")
    section, _, option = name.rpartition(".")
    settings["global" if section == ":env:" else section, option] = str(ast.literal_eval(value))

lines: dict[str, list[str]] = {}
for (section, option), value in settings.items():
    if option in PLACES:
        kept = "\n    ".join(translated(word) for word in value.split())
    elif option in FILES:
        shutil.copyfile(value, work / "root" / f"{option}.pem")
        kept = f"/root/{option}.pem"
        hidden.add(kept)
    elif option in OTHERS:
        kept = value
    else:
        continue
    lines.setdefault(section, []).append(f"{option} = {kept}")

text = "".join(f"[{section}]\n" + "\n".join(options) + "\n" for section, options in lines.items())
(work / "root/.config/pip/pip.conf").write_text(text, encoding="utf-8")
(work / "mounts").write_text("".join(f"{top}:{place}:ro\n" for top, place in mounts.items()), encoding="utf-8")
(work / "hidden").write_text("".join(f"{word}\n" for word in sorted(hidden)), encoding="utf-8")
PY
mounts=(--volume "$work/root:/root:ro" --volume "$work/mnt:/mnt:ro")
while read -r mount; do
    mounts+=(--volume "$mount")
done <"$work/mounts"
printf '%s\n' "$work" "$PWD" >>"$work/hidden"

arguments=()
if [ -n "${TORCH_INDEX+set}" ] || [ -s "$work/mounts" ]; then
    arguments+=(--build-arg "TORCH_INDEX=${TORCH_INDEX:-}")
fi

if [ -z "$BASE" ]; then
    step "base: debootstrap $SUITE"
    BASE=$BUILT_BASE
    logged debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        "$SUITE" "$work/base" ${MIRROR:+"$MIRROR"}
    # debootstrap copies the host name and name server of the machine.
    rm -rf "$work"/base/etc/{hostname,resolv.conf} "$work"/base/var/{cache/apt,lib/apt/lists,log}/*
    container=$(engine from scratch)
    logged engine add "$container" "$work/base" /
    engine config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    logged engine commit --rm "$container" "$BASE"
    rm -rf "$work/base"
    arguments+=(--pull=never)
fi

step "build on $BASE"
logged engine bud --isolation chroot --build-arg "BASE=$BASE" --build-arg "LOCK=$LOCK" \
    "${arguments[@]}" "${mounts[@]}" --tag "$IMAGE" .

step "image: $(engine images --format '{{.Size}}' "$IMAGE")"
engine inspect --type image "$IMAGE" >"$work/image.json"
container=$(engine from --pull-never "$IMAGE")
root=$(engine mount "$container")

"$PYTHON" - "$work" <<'PY' || fail "the image is not configured as expected."
import json
import sys
from pathlib import Path

work = Path(sys.argv[1])
text = (work / "image.json").read_text(encoding="utf-8")
config = json.loads(text)["OCIv1"]["config"]
wanted = {
    "User": "emobench",
    "WorkingDir": "/data",
    "Entrypoint": ["emobench"],
    "Cmd": ["--help"],
    "Volumes": {"/data": {}},
}
for name, value in wanted.items():
    if config.get(name) != value:
        sys.exit(f"{name} is {config.get(name)!r}, not {value!r}")
for word in (work / "hidden").read_text(encoding="utf-8").splitlines():
    if word in text:
        sys.exit(f"the image's configuration or history names {word}")
PY

step "what is in the image"
left=$(cd "$root" && find . -xdev \( -name pip.conf -o -name .git -o -path './mnt/*' -o -path './src' \
    -o -path './root/.cache' -o -path './root/.config' -o -path './tmp/*' \
    -o -path './opt/*' -prune ! -path ./opt/emobench ! -path ./opt/packages \) -print)
[ -z "$left" ] || fail "left in the image: $left"
left=$(find "$root/opt/emobench" "$root/opt/packages" -name '*.whl' -o -name pip.conf -o -name .cache -o -path '*/bin/pip*')
[ -z "$left" ] || fail "left in the environment: $left"
left=$(cd "$root" && grep -rlF -f "$work/hidden" --devices=skip . || true)
[ -z "$left" ] || fail "names a path or a password of this machine: $left"
printf '      %s MB\t%s\n' $(cd "$root" && du -sm opt/packages opt/emobench usr)
cp "$LOCK" "$work/mnt/requirements.lock"

# Commands run as the user of the image, unless `as` is set.
as=()
inside() {
    engine run --isolation chroot "${as[@]}" --volume "$data:/data" --volume "$work/mnt:/mnt:ro" "$container" -- "$@"
}

new_volume() {
    data=$work/data-$1
    mkdir "$data"
    chown "$1:$1" "$data"
}

new_volume "$USER_ID"
who=$(inside sh -c 'echo "$(id -u) $(pwd) $HOME $(command -v emobench)"')
[ "$who" = "$USER_ID /data /data /opt/emobench/bin/emobench" ] || fail "user, folder, home and program are $who."
inside python - <<'PY' || fail "the environment differs from the lock."
import importlib.metadata
import os
import re
import sys
import sysconfig
from pathlib import Path

import torch

packages, own = Path(sysconfig.get_path("purelib")), Path("/opt/emobench")
for place in (packages, own):
    if os.access(place, os.W_OK):
        sys.exit(f"{place} is writable")
if torch.version.cuda is not None:
    sys.exit(f"torch is built for CUDA {torch.version.cuda}")
lock = re.findall(r"^([\w.-]+)==(\S+)", Path("/mnt/requirements.lock").read_text(), flags=re.MULTILINE)
locked = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lock}
owned = {"__pycache__", "emobench.pth"}
for package in importlib.metadata.distributions(path=[str(packages)]):
    name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    owned |= {file.parts[0] for file in package.files or ()}
    if package.version.split("+")[0] != locked.get(name):
        sys.exit(f"{name} {package.version} is not the lock's {locked.get(name)}")
others = {entry.name for entry in packages.iterdir()} - owned
if others:
    sys.exit(f"files of no package: {sorted(others)}")
ours = {entry.name for entry in own.iterdir() if not entry.name.startswith("emobench-")}
if ours != {"bin", "emobench"} or (own / "emobench/tests").exists():
    sys.exit(f"emobench also installs {sorted(ours)}, or its tests")
PY

step "the demo as user $USER_ID"
if [ -n "$FULL" ]; then
    inside emobench-demo
else
    inside env FEATURES="mfcc rhythm+pitch" emobench-demo --size 24 --pretrain-size 12
fi
[ -n "$(find "$data/results" -name '*.json' -print -quit)" ] || fail "no results in the volume."
grep -rq --include='*.md' MFCC "$data" || fail "no leaderboard in the volume."
[ -n "$(find "$data/.cache/numba" -name '*.nbi' -print -quit)" ] || fail "the volume has no numba cache."
[ -z "$(find "$data" ! -uid "$USER_ID" -print -quit)" ] || fail "some files in the volume do not belong to the user."

step "a smaller demo as a user that the image does not know"
new_volume "$OTHER_ID"
as=(--user "$OTHER_ID:$OTHER_ID")
inside env FEATURES="spectral_shape rhythm" emobench-demo --size 24 --pretrain-size 4

if [ "$LOCK" = requirements-cluster.lock ]; then
    # Containers of a build have no network of their own, so the services of compose.yaml find each other at 127.0.0.1.
    step "the cluster of compose.yaml as a user that the image does not know"
    new_volume 4243
    as=(--user 4243:4243)
    "$PYTHON" - "$work" <<'PY' || fail "compose.yaml cannot be read."
import shlex
import sys
from pathlib import Path

import yaml

services = yaml.safe_load(Path("compose.yaml").read_text())["services"]
for name in ("scheduler", "worker"):
    words = services[name]["entrypoint"] + services[name]["command"]
    words = [word.replace("//scheduler:", "//127.0.0.1:") for word in words]
    count = services[name].get("deploy", {}).get("replicas", 1)
    Path(sys.argv[1], name).write_text(f"{shlex.join(words)}\n" * count)
PY
    services=()
    for name in scheduler worker; do
        while read -r words; do
            # shellcheck disable=SC2086 # the words of a command
            inside $words >"$work/$name-${#services[@]}.log" 2>&1 </dev/null &
            services+=($!)
        done <"$work/$name"
    done
    [ "${#services[@]}" = 4 ] || fail "compose.yaml has not a scheduler and three workers."
    inside emobench build-data --size 24 --pretrain-size 12 --scheduler tcp://127.0.0.1:8786 ||
        { tail -n 20 "$work"/*-?.log >&2; fail "the cluster did not build the datasets."; }
    registered=$(grep -c "Registered to" "$work"/worker-?.log | awk -F: '{ total += $2 } END { print total }')
    [ "$registered" -ge 3 ] || fail "$registered workers registered instead of three."
    inside python -c 'from distributed import Client; Client("tcp://127.0.0.1:8786").shutdown()'
    wait "${services[@]}" || true
fi
step "passed"
