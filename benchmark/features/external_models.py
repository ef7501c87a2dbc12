"""Models that were trained elsewhere: each is used for its domain, if it fits the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...audio.analysis import TEXTURE, AnalysisConfig
from ...dbn.batches import input_statistics
from ...dbn.config import CONTRASTIVE
from ...dbn.domains import NAMES, Domain, Examples
from ...dbn.model import CONFIG, WEIGHTS, Model, load_model
from ...errors import EmobenchError, InputError
from ...runtime.files import plain, read_json

CONTROL = 0

# Music of another kind changes the inputs by less, other features by more.
FAR = 10.0


def trained_models(
    folders: Sequence[Path],
    domains: Collection[str],
    *,
    analysis: AnalysisConfig,
    window: int,
    control: bool,
    device: str,
) -> dict[str, Model]:
    """Read models and check that they fit a run.

    Parameters
    ----------
    folders : sequence of Path
        One a domain, each as ``emobench pretrain`` makes it.
    domains : collection of str
        Those that the run asks for.
    analysis : AnalysisConfig
        Of the features that the networks will be shown.
    window : int
        Beats a window of the run.
    control : bool
        Whether random weights are asked for.
    device : str
        ``cpu``, ``cuda`` or ``auto``.

    Returns
    -------
    dict of str to Model
        By domain.

    Raises
    ------
    InputError
        If one is no model, or its domain, window or normalisation does not fit, with what was found and expected.
    """
    models: dict[str, Model] = {}
    for folder in folders:
        if not (folder / WEIGHTS).is_file():
            raise InputError(
                f"`model` {folder}: no model there (no {WEIGHTS}); expected a folder of 'emobench pretrain'."
            )
        try:
            config = read_json(folder / CONFIG, "model configuration")
        except EmobenchError as error:
            raise InputError(f"`model` {folder}: not a readable model ({error}).") from error
        domain = _domain(folder, config, domains, window)
        name = config.get("kind", domain.name)
        if name in models:
            raise InputError(
                f"`model` {folder}: is a model of {name}, like {models[name].folder}; expected one model per domain."
            )
        _check_analysis(folder, config.get("analysis"), domain, analysis)
        if domain.table == "texture" and config.get("texture", plain(TEXTURE)) != plain(TEXTURE):
            raise InputError(
                f"`model` {folder}: normalisation: was trained on texture with {config['texture']}; expected "
                f"{plain(TEXTURE)}."
            )
        _check_inputs(folder, domain, window * domain.row_dims(analysis.widths[domain.table]))
        model = load_model(folder, device=device)
        _check_networks(model, control or model.name == CONTRASTIVE)
        models[name] = model
    return models


def _domain(folder: Path, config: Mapping[str, Any], domains: Collection[str], window: int) -> Domain:
    """Read and check the domain and window in a model's configuration."""
    found = config.get("domain")
    if not isinstance(found, Mapping) or not {"name", "window"} <= found.keys():
        raise InputError(f"`model` {folder}: domain: {CONFIG} holds {found!r}; expected a name and a window.")
    table, beats = found["name"], found["window"]
    name = config.get("kind", table)
    known = (*NAMES, CONTRASTIVE)
    if table not in NAMES or name not in known or (name == CONTRASTIVE and table != "texture"):
        raise InputError(f"`model` {folder}: is a model of {name!r}; expected one of {', '.join(known)}.")
    if name not in domains:
        named = ", ".join(each for each in known if each in domains)
        raise InputError(
            f"`model` {folder}: is a model of {name}, which `features` does not name; expected "
            f"{f'one of {named}' if named else 'features of a network'}."
        )
    if type(beats) is not int or beats != window:
        raise InputError(
            f"`model` {folder}: window: was trained on {beats!r} beats; expected the {window} of this run (`window`)."
        )
    return Domain(table, window)


def _check_analysis(folder: Path, trained: Any, domain: Domain, analysis: AnalysisConfig) -> None:
    """Check that a network was trained on such features as it will be shown, where its configuration says so."""
    if not isinstance(trained, Mapping):
        return
    wanted = plain(analysis)
    used = {"rhythm": ("timbre",), "pitch": ("pitch",), "texture": ("timbre", "pitch")}
    for section in ("sample_rate", "beats", *used[domain.table]):
        found, expected = trained.get(section), wanted[section]
        if found != expected:
            differing = (
                found
                if not isinstance(found, Mapping)
                else {name: found.get(name) for name in expected if found.get(name) != expected[name]}
            )
            raise InputError(
                f"`model` {folder}: normalisation: was trained on features with {section} {differing}; expected those "
                "of this run, because its mean and scale are theirs."
            )


def check_normalisation(model: Model, shown: Examples) -> None:
    """Check that a model's mean and scale are those of features such as it is shown.

    Raises
    ------
    InputError
        If the root mean square of the normalised inputs, over all of them, is :data:`FAR` times more or less than 1.
    """
    network = next(iter(model.networks.values()))
    mean, scale = (part.cpu().numpy().astype(np.float64) for part in (network.mean, network.scale))
    own_mean, own_scale = input_statistics(shown)
    size = float(np.sqrt(np.mean(((own_mean - mean) ** 2 + own_scale**2) / scale**2)))
    if not 1 / FAR <= size <= FAR:
        raise InputError(
            f"`model` {model.folder}: normalisation: by its mean and scale the inputs of this dataset have a root mean "
            f"square of {size:.3g}; expected about 1. It was trained on other features."
        )


def _check_inputs(folder: Path, domain: Domain, dims: int) -> None:
    """Check the width of the network and its normalisation before anything is made of them."""
    from safetensors import SafetensorError, safe_open

    where = f"`model` {folder}"
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            names = set(stored.keys())
            bottom = [name for name in names if name.endswith(".layer0.weight")]
            widths = {name: stored.get_slice(name).get_shape()[0] for name in bottom}
            parts: dict[str, Any] = {name: stored.get_tensor(name) for name in ("mean", "scale") if name in names}
    except (SafetensorError, OSError, IndexError) as error:
        raise InputError(f"{where}: {WEIGHTS} cannot be read ({error}).") from error
    for width in widths.values():
        if width != dims:
            raise InputError(
                f"{where}: window: its network takes {width} inputs; expected {dims}, a window of {domain.window} "
                f"beats of {domain.name}."
            )
    for name in ("mean", "scale"):
        if name not in parts:
            raise InputError(f"{where}: normalisation: holds no {name}; expected {dims} numbers.")
        part = parts[name]
        if tuple(part.shape) != (dims,) or part.dtype != torch.float32:
            kind = str(part.dtype).removeprefix("torch.")
            raise InputError(
                f"{where}: normalisation: its {name} has shape {tuple(part.shape)} of {kind}; expected ({dims},) of "
                "float32."
            )
        wrong = np.flatnonzero(~np.isfinite(part.numpy()) | ((part.numpy() <= 0) if name == "scale" else False))
        if len(wrong):
            wanted = "finite numbers above 0" if name == "scale" else "finite numbers"
            raise InputError(
                f"{where}: normalisation: its {name} holds {part[wrong[0]].item():g} at place {wrong[0]}; expected "
                f"{wanted}."
            )


def _check_networks(model: Model, control: bool) -> None:
    """Check what is in the networks, and that those asked for are there."""
    where = f"`model` {model.folder}"
    for epochs, network in model.networks.items():
        for number, layer in enumerate(network.layers):
            for part in (layer.weight, layer.bias):
                if part.dtype != torch.float32 or not torch.isfinite(part).all():
                    raise InputError(
                        f"{where}: weights of layer {number} after {epochs} epochs are not finite numbers of float32."
                    )
    if not any(epochs != CONTROL for epochs in model.networks):
        raise InputError(f"{where}: holds no pre-trained network.")
    if control and CONTROL not in model.networks:
        raise InputError(f"{where}: holds no random weights, so it gives no entry for `control`.")
