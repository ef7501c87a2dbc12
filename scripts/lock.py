"""Write the lock files from pyproject.toml: ``make lock``, or ``make lock UPGRADE=1`` for newer versions.

Every release is pinned with the hashes of all its files, so the locks are valid for every Python from 3.11 and for
x86_64 and aarch64. uv resolves them from PyPI; nothing is installed. Two things differ from what uv writes:

- PyPI's build of torch for Linux needs the CUDA libraries, the builds of PyTorch's CPU index do not, and no marker
  distinguishes the two. The CUDA libraries are therefore in a separate file, requirements-cuda.lock.
- The CPU builds have other hashes, which their index lists. These are in requirements-torch-cpu.lock, and beside PyPI's
  hashes in the other locks. If the index cannot be reached, the hashes of the present lock are kept, provided that the
  version is the same.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# Extras of pyproject.toml by lock. The first lock contains all others, which take its versions.
LOCKS = {
    "requirements-dev.lock": ("cluster", "embeddings", "midi", "dev"),
    "requirements-cluster.lock": ("cluster",),
    "requirements-embeddings.lock": ("embeddings",),
    "requirements-midi.lock": ("midi",),
    "requirements.lock": (),
}
CPU_LOCK, CUDA_LOCK = "requirements-torch-cpu.lock", "requirements-cuda.lock"
PURPOSES = {
    "requirements.lock": "What emobench needs to run, without CUDA.",
    "requirements-cluster.lock": "requirements.lock and what the extra `cluster` needs.",
    "requirements-embeddings.lock": "requirements.lock and what the extra `embeddings` needs.",
    "requirements-midi.lock": "requirements.lock and what the extra `midi` needs.",
    "requirements-dev.lock": "requirements.lock, what the extras need, and what development and tests need.",
    CUDA_LOCK: "What PyPI's build of torch for Linux needs to run on NVIDIA GPUs, on top of requirements.lock.",
    CPU_LOCK: f"The builds of torch without CUDA: {CPU_INDEX}",
}

_CUDA = re.compile(r"nvidia-|cuda-|triton$")
_REQUIREMENT = re.compile(r"([a-z0-9][a-z0-9-]*)==(\S+?)(?: ; (.+))?")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One requirement of a lock.

    Parameters
    ----------
    name, version, marker : str
        Name, version and environment marker; an empty marker if the requirement always applies.
    hashes : tuple of str
        Sorted hashes, such as ``sha256:...``; at least one.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        """Return the lines of a lock file."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([head, *(f"--hash={value}" for value in self.hashes)]) + "\n"


def parse(text: str, name: str) -> list[Pin]:
    """Read a lock file.

    Parameters
    ----------
    text : str
        Content of the file.
    name : str
        Name of the file, for messages.

    Returns
    -------
    list of Pin

    Raises
    ------
    ValueError
        If a requirement is not ``name==version`` with SHA-256 hashes.
    """
    pins = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        head, *options = line.split(" --")
        found = _REQUIREMENT.fullmatch(head.strip())
        hashes = [_HASH.fullmatch(f"--{option.strip()}") for option in options]
        if not found or not hashes or not all(hashes):
            raise ValueError(f"{name}: {line[:80].strip()!r} is not NAME==VERSION with --hash=sha256:...")
        pins.append(Pin(found[1], found[2], found[3] or "", tuple(sorted(match[1] for match in hashes if match))))
    return pins


def listed_hashes(page: str, version: str) -> tuple[str, ...]:
    """Extract the hashes of the CPU builds of a version from the index page of torch.

    Parameters
    ----------
    page : str
        HTML page of the simple repository API (PEP 503), whose links have ``#sha256=``.
    version : str
        Version of torch, such as ``2.13.0``.

    Returns
    -------
    tuple of str
        Hashes of ``torch-<version>+cpu-*.whl`` for Linux.
    """
    hashes = set()
    for link, digest in re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page):
        file = unquote(link).rpartition("/")[2]
        if file.startswith(f"torch-{version}+cpu-") and file.endswith(("x86_64.whl", "aarch64.whl")):
            hashes.add(f"sha256:{digest}")
    return tuple(sorted(hashes))


def cpu_torch(version: str) -> Pin:
    """Find the hashes of the CPU builds of torch on their index, or else in the present lock.

    Raises
    ------
    ValueError
        If neither has them.
    """
    problem = "lists no such build"
    try:
        with urllib.request.urlopen(f"{CPU_INDEX}/torch/", timeout=60) as answer:
            hashes = listed_hashes(answer.read().decode(), version)
    except OSError as error:
        hashes, problem = (), f"cannot be reached ({error})"
    if not hashes and (ROOT / CPU_LOCK).is_file():
        for pin in parse((ROOT / CPU_LOCK).read_text(), CPU_LOCK):
            if pin.version == version:
                print(f"{CPU_INDEX} {problem}; the hashes of {CPU_LOCK} are kept.", file=sys.stderr)
                hashes = pin.hashes
    if not hashes:
        raise ValueError(f"torch {version}: {CPU_INDEX} {problem}, and {CPU_LOCK} has other versions; nothing changed.")
    return Pin("torch", version, "", hashes)


def compile_lock(uv: str, extras: tuple[str, ...], known: list[Pin], *, upgrade: bool) -> list[Pin]:
    """Resolve the requirements of pyproject.toml, including those of its build, with uv.

    Parameters
    ----------
    uv : str
        Path of the program uv.
    extras : tuple of str
        Extras of pyproject.toml.
    known : list of Pin
        Requirements whose versions are kept.
    upgrade : bool
        Whether to take the newest versions instead.
    """
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        lock, needed = Path(folder, "lock.txt"), Path(folder, "build.in")
        # Without hashes: uv would copy these instead of taking those of the index.
        lock.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in known))
        needed.write_text("".join(f"{requirement}\n" for requirement in build))
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        command += ["--no-annotate", "--no-header", "--output-file", str(lock)]
        command += [f"--extra={extra}" for extra in extras]
        subprocess.run(
            [*command, *(["--upgrade"] if upgrade else []), "pyproject.toml", str(needed)], cwd=ROOT, check=True
        )
        return [pin for pin in parse(lock.read_text(), "uv's answer") if pin.name != "emobench"]


def main() -> None:
    """Write all locks, or none."""
    parser = argparse.ArgumentParser(description="Write the lock files from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not those of the locks")
    upgrade = parser.parse_args().upgrade
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        sys.exit("scripts/lock.py: uv is not installed; run it through make lock.")
    version = subprocess.run([uv, "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    present = [ROOT / name for name in ("requirements-dev.lock", CUDA_LOCK) if (ROOT / name).is_file()]
    known = [pin for path in present for pin in parse(path.read_text(), path.name)]
    texts: dict[str, list[Pin]] = {}
    cpu = None
    for name, extras in LOCKS.items():
        pins = compile_lock(uv, extras, known, upgrade=upgrade and cpu is None)
        known = known if cpu else pins
        torch = next(pin for pin in pins if pin.name == "torch")
        cpu = cpu or cpu_torch(torch.version)
        both = Pin("torch", torch.version, torch.marker, tuple(sorted({*torch.hashes, *cpu.hashes})))
        texts[name] = [both if pin is torch else pin for pin in pins if not _CUDA.match(pin.name)]
        texts[CUDA_LOCK] = [pin for pin in pins if _CUDA.match(pin.name)]
    texts[CPU_LOCK] = [cpu] if cpu else []
    for name, pins in texts.items():
        head = f"# {PURPOSES[name]}\n# Written by `make lock` with uv {version}; edit pyproject.toml, not this file.\n"
        (ROOT / name).write_text(head + "".join(map(str, pins)))
        print(f"{name}: {len(pins)} requirements")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"scripts/lock.py: {error}")
