"""Leaderboard entries: features joined by ``+``, with the layer and phase of networks among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ...errors import InputError
from ...protocols import features as registry
from ...registry import did_you_mean
from .audio_features import AudioFeature
from .columns import TaskFeature
from .standard import StandardColumns, StandardFeature

PHASES = ("pre-trained", "fine-tuned", "random", "random-fine-tuned")
CONTROLS = dict(zip(PHASES[:2], PHASES[2:], strict=True))


@dataclass(frozen=True)
class Entry:
    """An entry of a leaderboard, before its regressor.

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
        """The features as typed; of a file only the name, because its folder is particular to this machine."""
        return "+".join(map(without_folder, self.parts))

    @property
    def label(self) -> str:
        """Name of the entry in file names: features, layer and phase, without characters that paths cannot hold."""
        text = "+".join(PurePath(part[5:]).stem if is_file(part) else without_folder(part) for part in self.parts)
        if self.layer is not None:
            text += f"-layer{self.layer}-{self.phase}" + ("-carried-over" if self.carry_over else "")
        return "".join(letter if letter.isalnum() or letter in "+-_." else "_" for letter in text)


def is_file(part: str) -> bool:
    """Return whether a part names a feature file."""
    return part.startswith("file:")


def without_folder(part: str) -> str:
    """Return the name of a feature without the folder of its file or local model."""
    if is_file(part):
        return f"file:{PurePath(part[5:]).name}"
    if part.startswith("hear:"):
        module, at, weights = part.partition("@")
        return f"{module}{at}{PurePath(weights).name}"
    # Names of models on the Hub have one slash at most.
    local = part.startswith("hf:") and (part[3:].startswith((".", "/", "~")) or part.partition("@")[0].count("/") > 1)
    return f"hf:{PurePath(part[3:]).name}" if local else part


def resolve(name: str) -> TaskFeature:
    """Find a feature by name: registered, of another package, or with an argument such as ``file:mine.csv``.

    Raises
    ------
    InputError
        If there is none of this name, or it cannot be imported.
    """
    family, colon, argument = name.partition(":")
    if colon and f"{family}:" in registry:
        return registry[f"{family}:"].with_argument(argument)
    plugins = registry.plugins()
    if name in plugins:
        return AudioFeature.load(plugins[name])
    return wrapped(registry[name])


def wrapped(feature: Any) -> TaskFeature:
    """Return a feature, or an object that serves as one, as the benchmark sees it."""
    if isinstance(feature, TaskFeature):
        return feature
    return StandardColumns(feature) if isinstance(feature, StandardFeature) else AudioFeature(feature)


def parse(spec: str, own: Mapping[str, TaskFeature] | None = None) -> dict[str, TaskFeature]:
    """Find the features of a SPEC, names joined by ``+``.

    Parameters
    ----------
    spec : str
        Names.
    own : mapping of str to TaskFeature, optional
        Features of this run, which are found before the registered ones.

    Returns
    -------
    dict of str to TaskFeature

    Raises
    ------
    InputError
        If a part is unknown or is named twice.
    """
    parts = parts_of(spec)
    own = own or {}
    for part in parts:
        if part not in own and not is_file(part) and "," in part:
            names = part.split(",")
            hint = " ".join(f"`features` {name}" for name in names)
            raise InputError(
                f"`features` {spec}: expected names joined by + for one entry ({'+'.join(names)}), or one name for "
                f"each entry ({hint})."
            )
    if len(set(parts)) != len(parts):
        raise InputError(f"`features` {spec}: names a feature twice.")
    try:
        return {part: own[part] if part in own else resolve(part) for part in parts}
    except InputError as error:
        if error.parameter == "features":
            raise
        raise InputError(f"`features` {spec}: {error}") from error


def parts_of(spec: str) -> tuple[str, ...]:
    """Split a SPEC, or the features that a result names, without looking at the parts."""
    # The name of a file may contain a plus: it continues until its ending.
    parts: list[str] = []
    for piece in spec.split("+"):
        if parts and is_file(parts[-1]) and not parts[-1].lower().endswith((".csv", ".parquet")):
            parts[-1] += f"+{piece}"
        else:
            parts.append(piece.strip())
    return tuple(parts)


def entries_of(
    features: Mapping[str, TaskFeature],
    *,
    layers: Sequence[int] | None,
    phases: Sequence[str],
    depths: Mapping[str, int],
    tune_encoders: bool = False,
    carry_over: bool = False,
) -> list[Entry]:
    """List the entries of a SPEC: one, or one per layer and phase if a network is among its features.

    Parameters
    ----------
    features : mapping of str to TaskFeature
        Features as :func:`parse` returns them.
    layers : sequence of int or None
        Layers; None for all that each of the networks has.
    phases : sequence of str
        Phases.
    depths : mapping of str to int
        Number of layers of the network of each domain.
    tune_encoders : bool
        Whether the phases were asked for; otherwise encoders are not fine-tuned.
    carry_over : bool
        Whether the fine-tuned entries keep weights from fold to fold.

    Returns
    -------
    list of Entry

    Raises
    ------
    InputError
        If one of the networks has no such layer.
    """
    parts = tuple(features)
    deep = [name for name, feature in features.items() if feature.layered]
    if not deep:
        return [Entry(parts)]
    depth = min((depths[part] for part in deep if not features[part].single), default=1)
    trained = _phases_of([features[part] for part in deep], phases, tune_encoders)
    wrong = [layer for layer in layers or () if not 0 <= layer < depth]
    if wrong:
        raise InputError(f"`layer` {wrong[0]}: expected 0 to {depth - 1}, the layers of {'+'.join(deep)}.")
    return [
        Entry(parts, layer, phase, carry_over and phase.endswith("fine-tuned"))
        for phase in trained
        for layer in (layers if layers is not None else range(depth))
    ]


def _phases_of(networks: Sequence[TaskFeature], asked: Sequence[str], tune_encoders: bool) -> list[str]:
    """Return the phases of entries: those asked for, and with an encoder the control of each beside it."""
    if not any(network.single for network in networks):
        return list(asked)
    found = [phase for phase in asked if tune_encoders or not phase.endswith("fine-tuned")]
    return list(dict.fromkeys([*found, *(CONTROLS[phase] for phase in found if phase in CONTROLS)]))


def choose_phases(asked: Sequence[str] | None, *, control: bool) -> tuple[str, ...]:
    """Choose the phases of entries: those asked for, or pre-trained and fine-tuned; with the control also its two.

    Raises
    ------
    InputError
        If a phase is unknown.
    """
    wrong = [phase for phase in asked or [] if phase not in PHASES]
    if wrong:
        raise InputError(f"`phase` {wrong[0]}: expected {', '.join(PHASES)}.{did_you_mean(wrong[0], PHASES)}")
    chosen = tuple(asked) if asked else PHASES[:2]
    return tuple(dict.fromkeys([*chosen, *(PHASES[2:] if control else ())]))
