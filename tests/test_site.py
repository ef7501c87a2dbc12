"""The documentation site builds without a warning and loads nothing from other servers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import emobench
import pytest
import typer
from emobench.cli.main import app
from emobench.protocols import features, metrics, regressors

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly."""
    out = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    # A proxy that does not exist: a request to another machine fails.
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(call, cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out


def test_nothing_is_loaded_from_other_servers(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        for tag in re.findall(r"<(?:script|img|link|iframe)\b[^>]*>", page.read_text()):
            assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag), f"{page.name}: {tag}"


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text()
    for name in set(emobench.__all__) - {"__version__", "metrics"}:
        assert f'id="emobench.{name}"' in page, name
    assert "Folder of the clips' audio" in page.replace("’", "'")


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text()

    def check(command: object, path: str) -> None:
        for name, each in getattr(command, "commands", {}).items():
            assert f">{path} {name}<" in page, f"{path} {name}"
            check(each, f"{path} {name}")
        for parameter in getattr(command, "params", []):
            assert max(parameter.opts, key=len) in page or parameter.param_type_name == "argument"

    check(typer.main.get_command(app), "emobench")
    assert page.count("<table>") > 30


def test_every_page_is_in_the_navigation(site: Path) -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert f": {name}\n" in listed or f"- {name}\n" in listed, f"mkdocs.yml: add {name} to the navigation"


def test_every_metric_and_regressor_is_explained() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    for metric in metrics:
        stem = re.sub(r"_(arousal|valence)(_per_song)?$", "_…", metric.name)
        assert f"`{stem}`" in page, metric.name
    page = (ROOT / "docs" / "regressors.md").read_text()
    assert all(f"`{regressor.name}`" in page for regressor in regressors)


def test_every_feature_has_a_page() -> None:
    pages = [*(ROOT / "docs" / "features").glob("*.md"), ROOT / "docs" / "pretrained.md"]
    text = "".join(page.read_text() for page in pages)
    assert all(f"`{each.name}" in text for each in features)
