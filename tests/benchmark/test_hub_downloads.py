"""Downloads from a Hub on loopback that loses connections, sends other bytes, or takes its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Tiny = Callable[..., Path]
TABLE = "targets/train-00000.parquet"


@pytest.fixture
def hub(ann: Any) -> Iterator[Any]:
    """The Hub, which answers truthfully again after the test."""
    yield ann.hub
    ann.hub.altered = ann.hub.before = None


def _blob(ann: Any, name: str) -> Path:
    (folder,) = (ann.home / "hf" / "hub" / f"datasets--ann--{name}" / "snapshots").iterdir()
    return (folder / TABLE).resolve()


@pytest.mark.parametrize("kept", [0, 100])
def test_a_connection_lost_in_the_middle_is_made_again(ann: Any, hub: Any, tiny: Tiny, kept: int) -> None:
    folder, name = tiny(seed=60), f"lost{kept}"
    assert ann.run("publish", "dataset", folder, f"ann/{name}").status == 0
    lost = []

    def cut(path: str, body: bytes) -> bytes:
        if path.endswith(TABLE) and len(lost) < 2:
            lost.append(len(body))
            return body[:kept]
        return body

    hub.altered = cut
    ran = ann.run("run", "-f", "constant", "--dataset", f"hf://ann/{name}@v1.0.0", "--out", name)
    assert ran.status == 0, ran.err
    assert _blob(ann, name).read_bytes() == (folder / TABLE).read_bytes()
    assert len(lost) == 2


def test_a_connection_that_is_always_lost_is_one_line(ann: Any, hub: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(seed=61), "ann/always").status == 0
    hub.altered = lambda path, body: b"" if path.endswith(TABLE) else body
    named = ("run", "-f", "constant", "--dataset", "hf://ann/always@v1.0.0", "--out", "always")
    ran = ann.run(*named)
    assert ran.status == 1
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert hub.endpoint in line
    hub.altered = None
    again = ann.run(*named)
    assert again.status == 0, again.err


@pytest.mark.parametrize("lie", ["other", "longer"])
def test_other_bytes_than_those_published_are_refused(ann: Any, hub: Any, tiny: Tiny, lie: str) -> None:
    """The size of the answer is right or not, and its hash is announced as that of the published file."""
    name = f"lie{lie}"
    assert ann.run("publish", "dataset", tiny(seed=62), f"ann/{name}").status == 0
    hub.altered = lambda path, body: body[::-1] if path.endswith(TABLE) else body
    if lie == "longer":
        oid = next(oid for oid, content in hub.objects.items() if content == (tiny(seed=62) / TABLE).read_bytes())
        hub.objects[oid] += b"0"
        hub.altered = None
    ran = ann.run("run", "-f", "constant", "--dataset", f"hf://ann/{name}@v1.0.0", "--out", name)
    assert ran.status in (1, 2)
    (line,) = ran.err.splitlines()
    assert TABLE in line or hub.endpoint in line
    assert not (ann.home / name).exists()


def test_a_slow_download_is_waited_for(ann: Any, hub: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(seed=63), "ann/slowly").status == 0
    hub.before = lambda method, path: time.sleep(0.3)
    started = time.monotonic()
    ran = ann.run(
        *("run", "-f", "constant", "--dataset", "hf://ann/slowly@v1.0.0", "--out", "slowly"),
        HF_HUB_DOWNLOAD_TIMEOUT="1",
    )
    assert ran.status == 0, ran.err
    assert time.monotonic() - started > 1
