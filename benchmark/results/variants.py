"""What distinguishes entries of the same name."""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.files import digest
from .model import Result


def variants_of(results: Iterable[Result]) -> dict[str, str]:
    """Say what distinguishes entries of the same name, by signature: the model, else the signature; else ``""``."""
    called: dict[str, list[Result]] = {}
    for result in results:
        config = result.config
        alike = [result.board, result.context, result.features, result.regressor, config.carry_over, config.leakage]
        called.setdefault(digest([*alike, result.external]), []).append(result)
    variants: dict[str, str] = {}
    for group in called.values():
        models = {result.signature: _model(result) for result in group}
        several = len(set(models.values())) > 1
        names: dict[tuple[str, str], list[Result]] = {}
        mixed = len({result.config.residual_covariance for result in group}) > 1
        for result in group:
            model = f"model {models[result.signature]}" if several and result.model else ""
            if mixed:
                residual = f"with{'' if result.config.residual_covariance else 'out'} residual covariance"
                model = f"{model}, {residual}" if model else residual
            names.setdefault((result.name, model), []).append(result)
        for (_, model), own in names.items():
            for result in own:
                variants[result.signature] = f"{model} {result.signature[:6]}".strip() if len(own) > 1 else model
    return variants


def _model(result: Result) -> str:
    """Name the weights of an entry; of several seeds those of the first."""
    return "+".join(each.sha256[:6] for each in result.model) + ("…" if len(result.members) > 1 else "")
