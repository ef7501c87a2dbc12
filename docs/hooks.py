"""Pages of the site that are generated when it is built: the reference and the notebooks (MkDocs calls this module)."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import emobench
import nbformat
import typer
from emobench.cli.main import app
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

DOCS = Path(__file__).parent
ROOT = DOCS.parent
CLASSES = ("Feature", "FeatureTable", "Results")
ERRORS = ("InputError", "EmobenchError", "EmobenchWarning")
METRICS = ("mean_distance", "kl_divergence", "scores")


def python_reference() -> str:
    """Write the page of all public names; mkdocstrings replaces the lines that begin with ``:::``."""
    functions = [name for name in emobench.__all__ if name[0].islower() and name != "metrics"]
    parts = {
        "Functions": [f"emobench.{name}" for name in functions],
        "Classes": [f"emobench.{name}" for name in CLASSES],
        "Metrics": [f"emobench.metrics.{name}" for name in METRICS],
        "Errors": [f"emobench.{name}" for name in ERRORS],
    }
    missing = set(emobench.__all__) - {name.rpartition(".")[2] for names in parts.values() for name in names}
    if missing != {"__version__", "metrics"}:
        raise ValueError(
            f"docs/hooks.py: no section of the reference has {sorted(missing - {'__version__', 'metrics'})}"
        )
    lines = ["# Python reference", "", "`import emobench as eb`; names are imported when they are first used.", ""]
    for title, names in parts.items():
        lines += [f"## {title}", ""]
        if title == "Metrics":
            lines += ["These functions are in `eb.metrics`. [Metrics](../metrics.md) explains them.", ""]
        lines += [f"::: {name}\n    options:\n      heading_level: 3\n" for name in names]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Write text as a cell of a table."""
    return re.sub(r"([|*_<>\[\]])", r"\\\1", " ".join(text.split()))


def _option(parameter: Any) -> str:
    names = sorted(parameter.opts, key=len, reverse=True)
    text = ", ".join([*names, *parameter.secondary_opts]) if parameter.param_type_name == "option" else ""
    value = parameter.metavar or ("" if text else str(parameter.name).upper())
    return f"`{' '.join(filter(None, [text, value]))}`".replace("|", "\\|")


def _panels(command: Any) -> list[str]:
    """Write the options of a command, in the groups of its help."""
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if parameter.name != "help" and not getattr(parameter, "hidden", False):
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or default, []).append(parameter)
    lines = []
    for title, parameters in panels.items():
        lines += [f"**{title}**", "", "| option | meaning |", "| --- | --- |"]
        for parameter in parameters:
            required = " Required." if parameter.required else ""
            shown = parameter.show_default and parameter.default not in {None, False, ""}
            default = f" Default: `{_default(parameter.default)}`." if shown and not callable(parameter.default) else ""
            lines.append(f"| {_option(parameter)} | {_cell(parameter.help or '')}{required}{default} |")
        lines.append("")
    return lines


def _default(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _help(text: str) -> str:
    """Write the help of a command as Markdown: indented lines are commands."""
    paragraphs = text.replace("\b\n", "").split("\n\n")
    examples = [line.strip() for each in paragraphs if each.startswith(" ") for line in each.splitlines()]
    prose = [_cell(each) for each in paragraphs if not each.startswith(" ")]
    return "\n\n".join([*prose, *(["```sh\n" + "\n".join(examples) + "\n```"] if examples else [])]) + "\n"


def command_reference() -> str:
    """Write the page of all commands, from the Typer application."""
    lines = [
        "# Command line",
        "",
        "`emobench COMMAND --help` shows the same text. The exit status is 0 if a command succeeds, 1 if it fails or",
        "finds something, and 2 if its input is wrong.",
        "",
    ]

    def add(command: Any, path: str, level: int) -> None:
        if getattr(command, "hidden", False):
            return
        lines.extend([f"{'#' * level} {path}", "", _help(command.help or "")])
        lines.extend(_panels(command))
        for name, each in getattr(command, "commands", {}).items():
            add(each, f"{path} {name}", level + 1)

    program: Any = typer.main.get_command(app)
    lines += _panels(program)
    for name, command in program.commands.items():
        add(command, f"emobench {name}", 2)
    return "\n".join(lines)


def notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Convert a notebook with its outputs to Markdown and pictures."""
    text, resources = MarkdownExporter().from_notebook_node(
        nbformat.read(path, as_version=4), {"unique_key": path.stem, "output_files_dir": "."}
    )
    return text, resources["outputs"]


def on_startup(**_: Any) -> None:
    """Copy the modules to build/package, because griffe would read all Python files below the checkout, with .venv."""
    target = ROOT / "build" / "package"
    shutil.rmtree(target, ignore_errors=True)
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]:
        folder = target / package.replace(".", "/")
        folder.mkdir(parents=True)
        for module in (ROOT / "/".join(package.split(".")[1:])).glob("*.py"):
            shutil.copy(module, folder)
    # Under the name that users write, since its functions have the names of its modules.
    shutil.copy(ROOT / "benchmark" / "scoring" / "metrics" / "__init__.py", target / "emobench" / "metrics.py")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    made: dict[str, str | bytes] = {
        "reference/python.md": python_reference(),
        "reference/commands.md": command_reference(),
    }
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        text, pictures = notebook(path)
        made[f"notebooks/{path.stem}.md"] = text
        made |= {f"notebooks/{Path(name).name}": content for name, content in pictures.items()}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Link to the page of a notebook where a page names its file."""
    return markdown.replace(".ipynb)", ".md)")
