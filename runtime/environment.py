"""What the numbers depend on beside the code: versions of packages and of the processor's platform."""

from __future__ import annotations

import platform
import resource
import sys
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "scipy", "polars", "soundfile", "soxr", "librosa", "numba", "matplotlib", "torch", "datasets")


def package_versions(*, heavy: bool = True) -> dict[str, str]:
    """Versions of emobench and of the packages that decide its numbers.

    Parameters
    ----------
    heavy : bool
        Also those that only training and reading back need (torch, datasets).

    Returns
    -------
    dict
        Name to version; a package that is not installed is left out.
    """
    from .. import __version__

    found = {"emobench": __version__, "python": platform.python_version()}
    for name in PACKAGES if heavy else PACKAGES[:8]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def code_sha256() -> str:
    """SHA-256 over the names and contents of emobench's own modules."""
    root = Path(__file__).parents[1]
    hashed = sha256()
    for folder in ("audio", "baselines", "benchmark", "builders", "dbn", "runtime"):
        for path in sorted((root / folder).rglob("*.py")):
            hashed.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return hashed.hexdigest()


def decoder_version() -> str:
    """Name and version of the audio decoder."""
    import soundfile

    return soundfile.__libsndfile_version__


def processor_name() -> str:
    """Name of the processor, as its maker gives it where the system tells."""
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """Largest resident size that this process or one of its ended children had, in megabytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # The resource usage of a process counts what its parent had when it was started.
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    sizes = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(sizes) * unit / 1e6
