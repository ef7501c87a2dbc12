"""Fitted parameters of regressors: what is stored and restored predicts as what was fitted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from emobench.benchmark.results.beside import parameters_path, read_parameters, write_parameters
from emobench.protocols import regressors
from emobench.runtime.files import sha256_file

TRAINED = ("svr", "mlp", "gaussian", "kalman", "ccrf")


def _part(rows: int, seed: int, columns: int, known: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, targets and sequences of ten seconds."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, columns))
    means = np.tanh(generator.normal(size=(rows, 2)) * 0.1 + (features[:, :2] if columns else 0)) / 2
    spread = np.tile([0.03, 0.02, 0.005], (rows, 1)) + 0.001 * generator.normal(size=(rows, 3))
    return features, np.hstack([means, spread])[:, :known], np.arange(rows) // 10


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize(("columns", "known"), [(6, 5), (3, 4), (2, 2), (0, 5)])
def test_restored_parameters_predict_the_same(tmp_path: Path, name: str, columns: int, known: int) -> None:
    method = cast("Any", regressors[name])
    train, checked, fresh = (_part(rows, seed, columns, known) for seed, rows in enumerate((100, 60, 80)))
    sequential = getattr(method, "sequential", False)
    more = {"groups": (train[2], checked[2])} if sequential else {}
    fitted = method.fit(*train[:2], checked[:2], **more)
    result: Any = SimpleNamespace(path=tmp_path / "entry.json")
    stored = parameters_path(result.path)
    write_parameters(stored, {3: fitted.arrays(), 4: {"other": np.zeros(1)}})
    result.files = SimpleNamespace(parameters=sha256_file(stored))
    parameters, damage = read_parameters(result)
    assert damage == []
    assert parameters is not None
    restored = method.restore(parameters(3), train[0])
    arguments = (fresh[0], fresh[2]) if sequential else (fresh[0],)
    predicted = fitted(*arguments)
    np.testing.assert_allclose(restored(*arguments), predicted, rtol=0, atol=1e-12)
    assert predicted.shape == (80, known)


def test_support_vectors_predict_as_scikit_learn() -> None:
    from sklearn.svm import SVR

    train, checked, fresh = (_part(rows, seed, 4, 5) for seed, rows in enumerate((150, 80, 60)))
    fitted: Any = regressors["svr"].fit(*train[:2], checked[:2])
    gamma, c, epsilon = (fitted.chosen[key] for key in ("gamma", "c", "epsilon"))
    inputs, outputs = fitted.inputs, fitted.outputs
    for place in range(5):
        wanted = (train[1][:, place] - outputs.mean[place]) / outputs.scale[place]
        machine = SVR(gamma=gamma, C=c, epsilon=epsilon).fit(inputs(train[0]), wanted)
        again = machine.predict(inputs(fresh[0])) * outputs.scale[place] + outputs.mean[place]
        np.testing.assert_allclose(fitted(fresh[0])[:, place], again, atol=3e-3 * outputs.scale[place])


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path) -> None:
    train, checked = (_part(rows, seed, 4, 5) for seed, rows in enumerate((150, 80)))
    contents = []
    for number in range(2):
        arrays = cast("Any", regressors["mlp"].fit(*train[:2], checked[:2])).arrays()
        write_parameters(tmp_path / str(number), {0: dict(sorted(arrays.items(), reverse=bool(number)))})
        contents.append((tmp_path / str(number)).read_bytes())
    assert contents[0] == contents[1]
