"""Names of features: ``mfcc``, ``rhythm+pitch``, ``file:features.csv``, or one from another package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath

from ...dbn.domains import NAMES as DOMAINS
from ...errors import InputError

BASELINES = ("mfcc", "chroma", "spectral_shape", "spectral_contrast")
OTHERS = ("ent", "constant")
PHASES = ("pre-trained", "fine-tuned", "random", "random-fine-tuned")

ENTRY_POINTS = "emobench.features"


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    parts : tuple of str
        Features, concatenated in this order.
    layer : int or None
        Layer of the networks among them.
    phase : str or None
        ``pre-trained``, ``fine-tuned``, or the control ``random``, ``random-fine-tuned``.
    carry_over : bool
        Whether fine-tuned weights were kept from fold to fold, which leaks.
    """

    parts: tuple[str, ...]
    layer: int | None = None
    phase: str | None = None
    carry_over: bool = False

    @property
    def features(self) -> str:
        """The features as typed, a file by its name alone: its folder is this machine's."""
        return "+".join(f"file:{PurePath(part[5:]).name}" if is_file(part) else part for part in self.parts)

    @property
    def label(self) -> str:
        """What the row is called in files: features, layer and phase, without signs that a path cannot hold."""
        text = "+".join(PurePath(part[5:]).stem if is_file(part) else part for part in self.parts)
        if self.layer is not None:
            text += f"-layer{self.layer}-{self.phase}" + ("-carried-over" if self.carry_over else "")
        return "".join(letter if letter.isalnum() or letter in "+-_." else "_" for letter in text)


def is_file(part: str) -> bool:
    """Whether a part names a feature file."""
    return part.startswith("file:")


def registered() -> dict[str, EntryPoint]:
    """Features that other packages registered."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def known_names() -> list[str]:
    """Every feature that can be named, but files."""
    return [*BASELINES, *OTHERS, *DOMAINS, *sorted(registered())]


def parse(spec: str) -> tuple[str, ...]:
    """Split a SPEC into its parts.

    Raises
    ------
    InputError
        If a part is empty, unknown or named twice.
    """
    parts = parts_of(spec)
    known = known_names()
    for part in parts:
        if not is_file(part) and part not in known:
            raise InputError(
                f"--features {spec}: no feature is called {part!r}; expected {', '.join(known)} or file:PATH."
            )
        if is_file(part) and not part.endswith((".csv", ".parquet")):
            raise InputError(f"--features {spec}: {part!r} must end in .csv or .parquet.")
    if len(set(parts)) != len(parts):
        raise InputError(f"--features {spec}: names a feature twice.")
    return parts


def parts_of(spec: str) -> tuple[str, ...]:
    """Split a SPEC, or the features that a result names, without looking at the parts."""
    # A file's own name may hold a plus: it goes on until its ending.
    parts: list[str] = []
    for piece in spec.split("+"):
        if parts and is_file(parts[-1]) and not parts[-1].endswith((".csv", ".parquet")):
            parts[-1] += f"+{piece}"
        else:
            parts.append(piece.strip())
    return tuple(parts)


def domains_of(specs: Sequence[str]) -> list[str]:
    """Domains of networks that SPECs name, each once."""
    return list(dict.fromkeys(part for spec in specs for part in parse(spec) if part in DOMAINS))


def needs_audio(specs: Sequence[str]) -> bool:
    """Whether one of some SPECs is computed from audio, or from files beside it."""
    return any(not is_file(part) and part != "constant" for spec in specs for part in parse(spec))


def rows_of(
    spec: str,
    *,
    layers: Sequence[int] | None,
    phases: Sequence[str],
    depths: Mapping[str, int],
    carry_over: bool = False,
) -> list[Row]:
    """Rows that a SPEC makes: one, or one a layer and phase where a network is among its parts.

    Parameters
    ----------
    spec : str
        Features.
    layers : sequence of int or None
        Layers asked for; None for all that each of its networks has.
    phases : sequence of str
        Phases asked for.
    depths : mapping of str to int
        Layers of the network of each domain.
    carry_over : bool
        Whether the fine-tuned rows keep weights from fold to fold.

    Returns
    -------
    list of Row

    Raises
    ------
    InputError
        If the SPEC cannot be read, or one of its networks has no such layer.
    """
    parts = parse(spec)
    deep = [part for part in parts if part in DOMAINS]
    if not deep:
        return [Row(parts)]
    depth = min(depths[part] for part in deep)
    wrong = [layer for layer in layers or () if not 0 <= layer < depth]
    if wrong:
        raise InputError(f"--layer {wrong[0]}: expected 0 to {depth - 1}, the layers of {'+'.join(deep)}.")
    return [
        Row(parts, layer, phase, carry_over and phase.endswith("fine-tuned"))
        for phase in phases
        for layer in (layers if layers is not None else range(depth))
    ]


def choose_phases(asked: list[str] | None, *, control: bool) -> tuple[str, ...]:
    """Phases of rows: those asked for, or pre-trained and fine-tuned; with the control also its two.

    Raises
    ------
    InputError
        If there is no such phase.
    """
    wrong = [phase for phase in asked or [] if phase not in PHASES]
    if wrong:
        raise InputError(f"--phase {wrong[0]}: expected {', '.join(PHASES)}.")
    chosen = tuple(asked) if asked else PHASES[:2]
    return tuple(dict.fromkeys([*chosen, *(PHASES[2:] if control else ())]))
