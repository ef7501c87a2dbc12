"""The lock files: complete, hashed, and consistent with each other and with pyproject.toml."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
RUN, CLUSTER, DEV = "requirements.lock", "requirements-cluster.lock", "requirements-dev.lock"
EMBEDDINGS, MIDI = "requirements-embeddings.lock", "requirements-midi.lock"
CUDA, CPU = "requirements-cuda.lock", "requirements-torch-cpu.lock"


@pytest.fixture(scope="module")
def lock() -> Any:
    """Import scripts/lock.py as a module."""
    spec = importlib.util.spec_from_file_location("emobench_lock", ROOT / "scripts" / "lock.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _read(name: str) -> dict[str, tuple[Requirement, frozenset[str]]]:
    """Read the requirements and hashes of a lock by name, independently of scripts/lock.py."""
    found: dict[str, tuple[Requirement, frozenset[str]]] = {}
    for line in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
        if line.startswith("#"):
            continue
        words, _, options = line.partition(" --hash=")
        hashes = frozenset(options.replace("--hash=", "").split())
        assert hashes, f"{name}: {words} has no hash"
        for value in hashes:
            algorithm, _, digest = value.partition(":")
            assert (algorithm, len(digest)) == ("sha256", 64), f"{name}: {words}: {value}"
            assert int(digest, 16), f"{name}: {words}: {value}"
        requirement = Requirement(words)
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], f"{name}: {words} is not pinned"
        key = canonicalize_name(requirement.name)
        assert key not in found, f"{name}: {key} appears twice"
        found[key] = (requirement, hashes)
    return found


def _version(requirement: Requirement) -> str:
    return next(iter(requirement.specifier)).version


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _needed(lock: str) -> list[Requirement]:
    """Return the requirements of pyproject.toml for a lock."""
    project, build = _project()["project"], _project()["build-system"]["requires"]
    extras = {RUN: [], CLUSTER: ["cluster"], EMBEDDINGS: ["embeddings"], MIDI: ["midi"]}
    extras = (extras | {DEV: ["cluster", "docs", "embeddings", "midi", "dev"]})[lock]
    lines = [*build, *project["dependencies"]]
    lines += [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [requirement for requirement in map(Requirement, lines) if requirement.name != "emobench"]


@pytest.mark.parametrize("name", [RUN, CLUSTER, EMBEDDINGS, MIDI, DEV])
def test_a_lock_has_what_the_project_needs(name: str) -> None:
    locked = _read(name)
    for requirement in _needed(name):
        found, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(_version(found)), f"{name}: {found} does not fit {requirement}"
        assert found.marker is None, f"{found} is for some machines only"


def test_every_extra_is_in_a_lock() -> None:
    assert set(_project()["project"]["optional-dependencies"]) == {"cluster", "dev", "docs", "embeddings", "midi"}


@pytest.mark.parametrize("name", [RUN, CLUSTER, EMBEDDINGS, MIDI, DEV])
def test_a_lock_has_what_its_packages_need_here(name: str) -> None:
    """pip refuses a requirement without a hash, so the lock must contain all indirect requirements."""
    locked = _read(name)
    waiting, seen = [(requirement, "pyproject.toml") for requirement in _needed(name)], set()
    while waiting:
        requirement, source = waiting.pop()
        key = canonicalize_name(requirement.name)
        assert key in locked, f"{name} lacks {key}, which {source} needs"
        found, _ = locked[key]
        assert found.marker is None or found.marker.evaluate(), f"{found.marker} leaves out {key} on this machine"
        assert requirement.specifier.contains(_version(found)), f"{found}, but {source} needs {requirement}"
        for extra in ("", *requirement.extras):
            if (key, extra) in seen:
                continue
            seen.add((key, extra))
            try:
                lines = metadata.requires(key) or []
            except metadata.PackageNotFoundError:
                continue
            further = [Requirement(line) for line in lines]
            waiting += [(r, key) for r in further if r.marker is None or r.marker.evaluate({"extra": extra})]
    assert len(seen) > len(_needed(name))


def test_larger_locks_contain_the_smaller_ones() -> None:
    run, cluster, midi, dev = _read(RUN), _read(CLUSTER), _read(MIDI), _read(DEV)
    embeddings = _read(EMBEDDINGS)
    for small, large in (
        (run, cluster),
        (run, embeddings),
        (run, midi),
        (cluster, dev),
        (embeddings, dev),
        (midi, dev),
    ):
        for name, (requirement, hashes) in small.items():
            assert _version(large[name][0]) == _version(requirement)
            assert large[name][1] == hashes
    assert "distributed" in cluster.keys() - run.keys()
    assert "transformers" in embeddings.keys() - run.keys()
    assert "midirenderer" in midi.keys() - run.keys()
    assert "pytest" in dev.keys() - cluster.keys()


def test_torch_with_and_without_cuda() -> None:
    cpu, cuda = _read(CPU), _read(CUDA)
    assert cpu.keys() == {"torch"}
    for name in (RUN, CLUSTER, EMBEDDINGS, MIDI, DEV):
        locked = _read(name)
        torch, hashes = locked["torch"]
        assert _version(torch) == _version(cpu["torch"][0])
        assert cpu["torch"][1] < hashes, "the builds of PyPI are missing"
        assert not locked.keys() & cuda.keys()
        assert not [key for key in locked if key.startswith(("nvidia-", "cuda-")) or key == "triton"]
    assert {"triton", "nvidia-cudnn-cu13"} <= cuda.keys()


@pytest.mark.parametrize("name", [RUN, CLUSTER, EMBEDDINGS, MIDI, DEV, CUDA, CPU])
def test_the_script_reads_what_it_wrote(lock: Any, name: str) -> None:
    text = (ROOT / name).read_text()
    pins = lock.parse(text, name)
    assert {pin.name: (pin.version, frozenset(pin.hashes)) for pin in pins} == {
        key: (_version(requirement), hashes) for key, (requirement, hashes) in _read(name).items()
    }
    assert "".join(map(str, pins)) == "".join(line for line in text.splitlines(keepends=True) if line[0] != "#")
    assert "://" not in text.replace(lock.CPU_INDEX, ""), "a lock names no index"


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.4.6",
        "numpy>=2 --hash=sha256:" + "0" * 64,
        "numpy==2.4.6 --hash=md5:" + "0" * 32,
        "numpy==2.4.6 --hash=sha256:" + "0" * 63,
        "numpy==2.4.6 --hash=sha256:" + "0" * 64 + " --pre",
        "--index-url https://example.org/simple",
    ],
)
def test_a_line_without_a_pin(lock: Any, line: str) -> None:
    with pytest.raises(ValueError, match=r"^some\.lock: .* is not NAME==VERSION with --hash=sha256:"):
        lock.parse(f"# comment\n\n{line}\n", "some.lock")


def test_hashes_of_the_cpu_index(lock: Any) -> None:
    """Only Linux builds of this version without CUDA."""
    digests = {letter: letter * 64 for letter in "abcdef"}
    page = "\n".join(
        f'<a href="/whl/cpu/{file}#sha256={digest}">{file}</a><br/>'
        for file, digest in {
            "torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl": digests["a"],
            "torch-2.13.0%2Bcpu-cp313-cp313-manylinux_2_28_aarch64.whl": digests["b"],
            "torch-2.13.0%2Bcpu-cp311-cp311-win_amd64.whl": digests["c"],
            "torch-2.13.1%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl": digests["d"],
            "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl": digests["e"],
            "torch-2.13.0%2Bcu130-cp311-cp311-manylinux_2_28_x86_64.whl": digests["f"],
        }.items()
    )
    assert lock.listed_hashes(page, "2.13.0") == (f"sha256:{'a' * 64}", f"sha256:{'b' * 64}")
    assert lock.listed_hashes(page, "2.14.0") == ()


def test_an_index_that_cannot_be_reached(lock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known hashes are kept for the same version only."""
    monkeypatch.setattr(lock, "CPU_INDEX", "http://127.0.0.1:1/whl/cpu")
    version = _version(_read(CPU)["torch"][0])
    assert set(lock.cpu_torch(version).hashes) == _read(CPU)["torch"][1]
    with pytest.raises(ValueError, match=r"^torch 9\.9\.9: .* cannot be reached .*; nothing changed\.$"):
        lock.cpu_torch("9.9.9")


def test_installations_check_hashes() -> None:
    """Every pip command in the repository installs by hash, or installs this package without its dependencies."""
    named = []
    for name in ("README.md", "Makefile", "Dockerfile", "docs/scale.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text().replace("\\\n", " ").replace("$(PIP)", "pip install")
        for line in text.splitlines():
            for command in line.replace("||", "&&").split("&&"):
                _, found, rest = command.partition("pip install ")
                rest = rest if found else command.partition("/bin/python install ")[2]
                if rest and not command.lstrip().startswith(("#", "PIP")):
                    named.append((name, rest))
    assert len(named) >= 9
    for name, rest in named:
        assert "--extra-index-url" not in rest, f"{name}: {rest}"
        assert "--require-hashes" in rest or "--no-deps --no-build-isolation" in rest, f"{name}: {rest}"
