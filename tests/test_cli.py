"""The command line: arguments, output and exit status."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
import typer
from emobench.builders.build import Built
from emobench.builders.manifest import Manifest
from emobench.cli import command
from emobench.cli import output as console
from emobench.cli.main import app
from typer import rich_utils
from typer.testing import CliRunner


def _emobench(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "emobench", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


SMALL = ("--size", "8", "--pretrain-size", "3")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small datasets built by ``emobench build-data``."""
    folder = tmp_path_factory.mktemp("user")
    ran = _emobench("build-data", *SMALL, cwd=folder, env={"EMOBENCH_CACHE": str(folder / "cache")})
    assert ran.returncode == 0, ran.stderr
    return folder


def test_help_is_quick(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = _emobench("--help", cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert ran.returncode == 0
    # Processor time, because other tests run at the same time; shared cores may double it. The limit is half a second.
    assert min(seconds) < 1.0
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "emobench", "--help"], capture_output=True, text=True, check=True
    ).stderr
    for heavy in ("numpy", "polars", "torch", "librosa", "scipy", "datasets"):
        assert f"| {heavy}\n" not in loaded.replace("  ", "")


@pytest.mark.parametrize(
    "command",
    ["build-data", "pretrain", "run", "leaderboard", "list", "publish dataset", "publish leaderboard", "publish model"],
)
def test_every_command_has_help_with_an_example(tmp_path: Path, command: str) -> None:
    ran = _emobench(*command.split(), "-h", cwd=tmp_path)
    assert ran.returncode == 0
    assert "For example:" in ran.stdout
    assert f"emobench {command}" in ran.stdout


def test_version(tmp_path: Path) -> None:
    from emobench import __version__

    assert _emobench("--version", cwd=tmp_path).stdout == f"emobench {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "emobench: No such command 'nonsense'; see 'emobench --help'."),
        (["run", "--nope"], "emobench: No such option: --nope"),
        (["run", "--layer", "x"], "emobench: Invalid value for '--layer': "),
        (["publish", "dataset"], "emobench: Missing argument 'DIR'; see 'emobench publish dataset --help'."),
        (["--nope"], "emobench: No such option: --nope"),
        (["run", "--window", "17"], "emobench: Invalid value for '--window': "),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], message: str) -> None:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2
    assert ran.stderr.startswith(message)
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout == ""


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    context = typer.Context(group)
    for name in group.list_commands(context) if hasattr(group, "list_commands") else ():
        yield from _commands(group.get_command(context, name), (*path, name))


@pytest.mark.parametrize("width", ["80", "120"])
def test_help_shows_the_names_of_all_options_in_full(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    # Typer reads it when it is imported.
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", None)
    commands = list(_commands(typer.main.get_command(app)))
    assert len(commands) > 25
    for path, each in commands:
        help_text = CliRunner().invoke(app, [*path, "--help"]).output
        assert max(map(len, help_text.splitlines())) <= int(width)
        words = set(re.findall(r"--?[\w-]+", help_text))
        options = {name for option in each.params for name in (*option.opts, *option.secondary_opts) if name[0] == "-"}
        assert options - {"--install-completion", "--show-completion"} <= words, (path, options - words)
        assert not re.findall(r"-[\w-]+…", help_text), path


def test_without_a_command_there_is_help() -> None:
    ran = CliRunner().invoke(app, [])
    assert ran.exit_code == 2
    assert "build-data" in ran.output
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0
    assert CliRunner().invoke(app, ["--version"]).exit_code == 0


def test_from_nothing_to_a_leaderboard(built: Path) -> None:
    env = {"EMOBENCH_CACHE": str(built / "cache")}
    manifest = json.loads((built / "data" / "synthetic" / "manifest.json").read_text())
    assert manifest["synthetic"] is True
    assert (built / "data" / "synthetic-pretrain" / "rhythm" / "train-00000.parquet").is_file()
    options = ("--epochs", "1,2", "--layers", "6,5,4")
    ran = _emobench("run", "--features", "rhythm+pitch", *options, cwd=built, env=env)
    assert ran.returncode == 0, ran.stderr
    # No terminal, so no progress bars; eight clips are few for twelve dimensions.
    (warning,) = ran.stderr.splitlines()
    assert warning.startswith("emobench: warning: least squares (mlr) overfits rhythm+pitch, layer 0")
    assert "Layer 2" in ran.stdout
    assert "pre-trained on synthetic-pretrain@1.0.0" in ran.stdout
    assert "Computed 10 entries, reused 0." in ran.stdout
    for line in ran.stdout.splitlines():
        if line.startswith("  results/"):
            assert (built / line.strip()).is_file()
    again = _emobench("run", "--features", "rhythm+pitch", *options, "--json", cwd=built, env=env)
    assert len(json.loads(again.stdout)["results"]) == 10
    board = _emobench("leaderboard", "--format", "markdown", "--out", "board.md", cwd=built)
    assert board.stdout == "wrote board.md\n"
    assert "| Layer 0 | Rhythm+Pitch |" in (built / "board.md").read_text()
    models = json.loads(_emobench("list", "models", "--json", cwd=built).stdout)
    assert sorted(model["domain"] for model in models) == ["pitch", "rhythm"]
    assert len(json.loads(_emobench("list", "results", "--json", cwd=built).stdout)) == 10
    datasets = json.loads(_emobench("list", "datasets", "--json", cwd=built).stdout)
    assert sorted(dataset["name"] for dataset in datasets) == ["synthetic", "synthetic-pretrain"]
    assert "rhythm" in _emobench("list", cwd=built).stdout


def test_pretrain_alone(built: Path) -> None:
    options = ("--epochs", "1", "--layers", "4,3", "--models", "own-models")
    ran = _emobench("pretrain", "--features", "pitch2d", *options, cwd=built)
    assert ran.returncode == 0, ran.stderr
    folder = built / ran.stdout.split(": ")[1].split(" ")[0]
    files = {"README.md", "config.json", "weights.safetensors", "training.json"}
    assert {path.name for path in folder.iterdir()} == files
    labelled = ("--pretrain-data", "data/synthetic")
    ran = _emobench("pretrain", "--features", "rhythm", *labelled, *options, cwd=built)
    assert ran.returncode == 0, ran.stderr


def test_building_again_does_nothing(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (built / "data").rglob("*")}
    ran = _emobench("build-data", *SMALL, cwd=built)
    assert ran.returncode == 0
    assert ran.stdout.count("up to date") == 2
    assert before == {path: path.stat().st_mtime_ns for path in (built / "data").rglob("*")}


WRONG = {
    ("build-data", "spotify"): "no source is called 'spotify'; expected one of audio, deam, emomusic, fma",
    ("build-data", "moodswings"): "Missing option '--labels'; see",
    ("build-data", "moodswings", "--labels", "none.mat"): "none.mat: no such file",
    ("build-data", "table", "--clips", "a", "--labels", "b", "--scale", "1"): "--scale 1: expected two numbers",
    ("build-data", "--version", "1"): "--version 1: expected three numbers",
    ("build-data", "--seed", "1", *SMALL): "synthetic 1.0.0 exists with other content",
    ("run",): "--features: expected at least one",
    ("run", "--features", "loudness"): "no feature is called 'loudness'",
    ("run", "--features", "mfcc", "--dataset", "nowhere"): "nowhere: no dataset there",
    ("run", "--features", "mfcc", "--regressor", "svm"): "--regressor svm: expected one of mlr, ridge",
    ("run", "--features", "rhythm", "--layer", "7"): "--layer 7: expected 0 to 2",
    ("run", "--features", "rhythm", "--phase", "tuned"): "--phase tuned: expected pre-trained",
    ("run", "--features", "rhythm", "--device", "tpu"): "--device tpu: expected cpu, cuda or auto",
    ("run", "--features", "rhythm", "--epochs", "many"): "--epochs many: expected whole numbers",
    ("run", "--features", "rhythm", "--epochs", "5,5"): "--epochs (5, 5): expected increasing numbers of at least 1",
    ("run", "--features", "rhythm", "--pretrain-data", "none"): "none: no dataset there",
    ("pretrain", "--features", "mfcc"): "--features mfcc: no such domain",
    ("pretrain",): "--features: names no domain",
    ("leaderboard", "--results", "nowhere"): "nowhere: no results yet",
    ("list", "songs"): "list songs: expected features, sources, regressors, metrics, datasets, models, results",
}


@pytest.mark.parametrize("arguments", list(WRONG), ids=" ".join)
def test_wrong_usage_is_one_line_and_status_2(built: Path, arguments: tuple[str, ...]) -> None:
    ran = _emobench(*arguments, cwd=built)
    assert ran.returncode == 2
    assert ran.stderr.startswith("emobench: ")
    assert WRONG[arguments] in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stdout == ""


def test_output_to_a_closed_pipe(tmp_path: Path) -> None:
    script = f"{sys.executable} -m emobench list | true"
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stderr == ""


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ran = _emobench("run", "--features", "mfcc", "--debug", cwd=tmp_path)
    assert ran.returncode == 1
    assert "Traceback" in ran.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_one_line_and_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    # A limit on file sizes acts like a full disk, in the middle of a write.
    script = f"ulimit -f 40; exec {sys.executable} -m emobench build-data --size 8 --pretrain-size 3 --workers 1"
    environment = {**os.environ, "EMOBENCH_CACHE": str(tmp_path / "cache")}
    ran = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {script}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "data" / "synthetic").exists()
    assert [path for path in (tmp_path / "data").rglob("*.tmp")] == []
    ran = _emobench("build-data", *SMALL, cwd=tmp_path, env={"EMOBENCH_CACHE": str(tmp_path / "cache")})
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "run --features spectral_shape --dataset {data}/synthetic",
        "run --features pitch2d --dataset {data}/synthetic",
        "pretrain --features pitch --epochs 1 --layers 8 --pretrain-data {data}/synthetic-pretrain",
    ],
)
def test_a_full_disk_while_running(built: Path, tmp_path: Path, arguments: str) -> None:
    command = f"{sys.executable} -m emobench {arguments.format(data=built / 'data')}"
    ran = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; ulimit -f 8; exec {command}"],
        cwd=tmp_path,
        env={**os.environ, "EMOBENCH_CACHE": str(built / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("emobench: ")
    assert len(ran.stderr.splitlines()) == 1
    assert [path for path in tmp_path.rglob("*") if path.suffix in (".tmp", ".parquet", ".safetensors")] == []


def _interrupted(folder: Path, arguments: list[str], ready: Path, pattern: str) -> subprocess.CompletedProcess[str]:
    """Run a command, and send Ctrl-C to its process group, as a terminal does, once a file appears."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emobench", *arguments],
        cwd=folder,
        env={**os.environ, "EMOBENCH_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while not list(ready.rglob(pattern)) and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, error)


def _audio_hashes(folder: Path) -> dict[str, bytes]:
    return {path.name: soundfile.read(path)[0].tobytes() for path in sorted((folder / "audio").iterdir())}


@pytest.mark.slow
def test_ctrl_c_while_building(tmp_path: Path, built: Path) -> None:
    for pattern in ("s0002.flac", "*.npz", "p0001.flac"):
        ran = _interrupted(tmp_path, ["build-data", *SMALL, "--workers", "2"], tmp_path, pattern)
        assert ran.returncode == 130, ran.stderr
        assert ran.stderr == "emobench: interrupted. Finished work is kept; rerun the command to resume.\n"
        assert not (tmp_path / "data" / "synthetic-pretrain").exists()
    ran = _emobench("build-data", *SMALL, cwd=tmp_path, env={"EMOBENCH_CACHE": str(tmp_path / "cache")})
    assert ran.returncode == 0, ran.stderr
    for name in ("synthetic", "synthetic-pretrain"):
        one, other = (folder / "data" / name for folder in (tmp_path, built))
        assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()
        assert _audio_hashes(one) == _audio_hashes(other)


@pytest.mark.slow
def test_ctrl_c_while_running(built: Path, tmp_path: Path) -> None:
    data = ["--dataset", str(built / "data" / "synthetic"), "--epochs", "1,2", "--layers", "6,5,4"]
    arguments = ["run", "--features", "mfcc", "--features", "rhythm", "--features", "pitch", *data]
    folder = tmp_path
    for number, pattern in enumerate(("*.npz", "weights.safetensors", "mfcc-*.json")):
        folder = tmp_path / str(number)
        folder.mkdir()
        ran = _interrupted(folder, arguments, folder, pattern)
        assert ran.returncode == 130, ran.stderr
        assert ran.stderr == "emobench: interrupted. Finished work is kept; rerun the command to resume.\n"
        assert not list(folder.rglob("*.tmp"))
    ran = _emobench(*arguments, "--json", cwd=folder, env={"EMOBENCH_CACHE": str(folder / "cache")})
    fresh = _emobench(*arguments, "--json", cwd=tmp_path, env={"EMOBENCH_CACHE": str(tmp_path / "cache")})
    one, other = (json.loads(each.stdout)["results"] for each in (ran, fresh))
    assert [result["scores"] for result in one] == [result["scores"] for result in other]


def test_an_import_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt may surface as any exception of a package, such as numpy's RecursionError."""
    monkeypatch.setattr(console.State, "interrupted", False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def fails(interrupted: bool = False) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            if interrupted:
                signal.raise_signal(signal.SIGINT)
        raise RecursionError("maximum recursion depth exceeded")

    own = typer.Typer(cls=command.Commands)
    own.command("fails")(fails)
    own.command("other")(lambda: None)
    try:
        ran = CliRunner().invoke(own, ["fails", "--no-interrupted"])
        assert isinstance(ran.exception, RecursionError)
        ran = CliRunner().invoke(own, ["fails", "--interrupted"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ran.exit_code, ran.stderr.splitlines()) == (
        130,
        ["emobench: interrupted. Finished work is kept; rerun the command to resume."],
    )


def test_excluded_clips_are_named_unless_they_are_many(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    excluded = {"a": "silent", **{f"c{number}": "missing" for number in range(30)}}
    manifest = Manifest.model_construct(
        name="d",
        version="1.0.0",
        counts={"clips": 31},
        config=SimpleNamespace(dataset={}),
        excluded=excluded,
        remarks=[],
        files={},
    )
    monkeypatch.setattr(console.State, "quiet", False)
    console.tell_built([Built(Path("d"), True, manifest)], False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "  excluded: clip a: silent",
        "  excluded: 30 clips: missing (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 …; the card names all)",
    ]
