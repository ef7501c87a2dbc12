"""What results depend on besides their settings: versions of packages, our code, processor and memory."""

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
    """Return the versions of emobench, Python and the packages that influence results.

    Parameters
    ----------
    heavy : bool
        Include packages that only training and loading need (torch, datasets).

    Returns
    -------
    dict
        Name to version, without packages that are not installed.
    """
    from .. import __version__

    versions = {name: _version(name) for name in (PACKAGES if heavy else PACKAGES[:8])}
    own = {"emobench": __version__, "python": platform.python_version()}
    return own | {name: version for name, version in versions.items() if version is not None}


@cache
def _version(package: str) -> str | None:
    """Return the version of a package, None if it is not installed; reading its metadata takes milliseconds."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def code_sha256() -> str:
    """Return the SHA-256 of the names and contents of the modules of emobench that compute features."""
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
    """Return the model of the processor, or its architecture if the model is unknown."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process and of its children that have ended, in megabytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage is no use for this process: it includes the peak that the parent had before the fork.
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    sizes = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(sizes) * unit / 1e6
