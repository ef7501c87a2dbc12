"""The documentation names commands, options, functions and files that exist."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emobench
import pytest
import typer
from emobench.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# Pages of the site alone, see docs/hooks.py; tests/test_site.py checks links to them.
GENERATED = {ROOT / "docs" / "reference" / name for name in ("python.md", "commands.md")}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def _code(path: Path) -> Iterator[str]:
    """Lines of shell blocks, and inline code; of a Dockerfile the commands in its comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        yield from re.findall(r"^# +(docker run .*)", text, flags=re.MULTILINE)
        return
    for language, block in _BLOCK.findall(text):
        if language in {"sh", "console"}:
            yield from block.replace("\\\n", " ").splitlines()
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _BLOCK.sub("", text)))


def _command_lines(path: Path) -> list[list[str]]:
    """Arguments of each ``emobench`` command line on a page; ``a|b`` gives one command line per alternative."""
    found = []
    for line in _code(path):
        # The program may follow a prompt, variables, "docker run …" or "torchrun … -m".
        match = re.match(r"(?:.*\s)?emobench((?:\s+\S.*)?)$", line.partition("#")[0].rstrip().rstrip("&"))
        if match and not line.startswith("docker build"):
            words = shlex.split(match[1].replace("[", "").replace("]", "").replace("\\|", "|"))
            found += [list(each) for each in itertools.product(*(word.split("|") for word in words))]
    return found


def _check(arguments: list[str]) -> None:
    """Parse a command line as the program does, without running it or reading its files.

    Raises
    ------
    click.UsageError, InputError
        If a command or option does not exist, an option has no value, or there are too many arguments.
    """
    command: Any = typer.main.get_command(app)
    context = None
    while True:
        context = command.context_class(command, parent=context, info_name=command.name)
        if command.name == "build-data" and (not arguments or arguments[0].startswith("-")):
            arguments = ["synthetic", *arguments]
        _, rest, _ = command.make_parser(context).parse_args(list(arguments))
        if not rest:
            return
        if not hasattr(command, "resolve_command"):
            raise typer.BadParameter(f"unexpected arguments {rest}")
        _, command, arguments = command.resolve_command(context, rest)


@pytest.mark.parametrize("page", [*PAGES, "Dockerfile"])
def test_command_lines(page: str) -> None:
    for arguments in _command_lines(ROOT / page):
        try:
            _check(arguments)
        except Exception as error:
            pytest.fail(f"emobench {shlex.join(arguments)}: {error}")


def test_command_lines_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`emobench` and `pip install emobench==1`, `emobench list\nmodels`\n\n"
        "```sh\nA=1 emobench run \\\n  --features x  # why\n```\n\n| `emobench publish a\\|b [c]` |\n"
    )
    assert _command_lines(page) == [
        ["run", "--features", "x"],
        [],
        ["list", "models"],
        ["publish", "a", "c"],
        ["publish", "b", "c"],
    ]
    assert _command_lines(ROOT / "Dockerfile").count(["build-data"]) == 2


@pytest.mark.parametrize(
    "line",
    ["ran", "run --feature x", "run --features", "build-data tables", "build-data --clips x", "compare A B C"],
)
def test_wrong_command_lines_are_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|no source|requires an argument|unexpected"):
        _check(line.split())


@pytest.mark.parametrize("page", PAGES)
def test_python_names(page: str) -> None:
    blocks = [block for language, block in _BLOCK.findall((ROOT / page).read_text()) if language == "python"]
    assert {name for block in blocks for name in re.findall(r"\beb\.(\w+)", block)} <= set(emobench.__all__)


@pytest.mark.parametrize("page", PAGES)
def test_paths(page: str) -> None:
    """Inline code that begins with a folder of the repository, and the scripts it runs, names something there."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"data", "results", "models", "build"}
    for span in re.findall(r"`(?:python )?([\w-]+/[\w./-]*)[^`]*`", _BLOCK.sub("", (ROOT / page).read_text())):
        if span.split("/")[0] in folders:
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", _BLOCK.sub("", (ROOT / page).read_text())):
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if target in GENERATED:
            continue
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}, link
