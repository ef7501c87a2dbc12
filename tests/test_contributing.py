"""The first contribution of CONTRIBUTING.md works as described, and a release is checked against its version."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from emobench.protocols import metrics

ROOT = Path(__file__).parents[1]


def test_the_example_of_a_metric() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    module, test = (textwrap.dedent(code) for code in re.findall(r"^ +```python\n(.*?)^ +```", text, re.S | re.M))
    names: dict[str, Any] = {"__package__": "emobench.benchmark.scoring.metrics"}
    exec(module, names)
    try:
        assert metrics["squared_distance"].title == "Mean Squared Distance"
        names = {"np": np, "pytest": pytest, "metrics": metrics}
        exec(test, names)
        names["test_squared_distance"]()
        exec(test.replace("0.3, 0.4", "0.3, 0.5"), names)
        with pytest.raises(AssertionError):
            names["test_squared_distance"]()
    finally:
        metrics.unregister("squared_distance")


def test_a_tag_must_fit_version_and_changelog(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__file__": str(ROOT / "scripts" / "check_version.py")}
    exec((ROOT / "scripts" / "check_version.py").read_text(), names)
    for name in ("__init__.py", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    version = re.findall(r'^__version__ = "(.+)"', (ROOT / "__init__.py").read_text(), re.M)[0]
    log = tmp_path / "CHANGELOG.md"
    log.write_text(f"# Changelog\n\n## {version} (unreleased)\n")
    assert names["problems"](f"v{version}", tmp_path) == [f"CHANGELOG.md: states None; expected {version}"]
    log.write_text(f"# Changelog\n\n## {version} (2026-12-24)\n\n## 0.0.1 (2025-01-01)\n")
    assert names["problems"](f"v{version}", tmp_path) == []
    assert names["problems"]("v9.9.9", tmp_path) == [
        f"{name}: states {version}; expected 9.9.9" for name in ("__init__.py", "CITATION.cff", "CHANGELOG.md")
    ]


def test_workflows_call_the_scripts_of_the_repository() -> None:
    """They contain no checks of their own, and cover every Python that the package declares."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    jobs = {}
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs |= {(path.stem, name): job for name, job in yaml.safe_load(path.read_text())["jobs"].items()}
    assert jobs["test", "test"]["strategy"]["matrix"]["python"] == declared
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    for command in commands:
        if match := re.match(r"make ([a-z-]+)", command):
            assert match[1] in targets, command
        else:
            assert [ROOT / word for word in command.split() if (ROOT / word).is_file()], command
    assert "PYTHON=python bash .ci/run" in commands
    # Trusted publishing: an identity of the workflow instead of a token.
    assert jobs["release", "publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text()
