"""A model file gives what CellTypist gives, and a hostile one runs nothing."""

from __future__ import annotations

import math
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import StandardScaler

from cartrace.cells.celltypist import model_columns, predict, read_labels, read_model
from cartrace.problems import InputError

LABELS = Path(__file__).resolve().parents[3] / "resources" / "cells" / "celltypist_labels.yaml"
GENES = np.array([f"G{i}" for i in range(12)], dtype=object)


def log_values(counts: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.log1p(counts * (1e4 / counts.sum(axis=1, keepdims=True)))
    return values


def trained(classes: int, kind: str = "logistic") -> tuple[dict[str, Any], np.ndarray]:
    """A model as CellTypist stores it, and counts of cells that it has not seen."""
    rng = np.random.default_rng(classes)
    rates = rng.gamma(1.0, 4.0, (classes, len(GENES)))
    truth = np.repeat(np.arange(classes), 20)
    counts = rng.poisson(rates[truth]) + 1.0
    scaler = StandardScaler().fit(log_values(counts))
    labels = np.array([f"type {i}" for i in truth])
    model = (
        SGDClassifier(loss="log_loss", random_state=0)
        if kind == "sgd"
        else LogisticRegression(max_iter=200, C=1.0)
    ).fit(scaler.transform(log_values(counts)), labels)
    model.features = GENES
    seen = rng.poisson(rates[truth]) + 1.0
    return {"Model": model, "Scaler_": scaler, "description": {"date": "x"}}, seen


def stored(folder: Path, raw: object, protocol: int = 4) -> Path:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(raw, protocol=protocol))
    return path


@pytest.mark.parametrize(
    ("classes", "kind", "protocol"),
    [(3, "logistic", 4), (2, "logistic", 4), (3, "sgd", 4), (3, "logistic", 5)],
)
def test_a_model_of_celltypist_gives_what_scikit_learn_gives(
    tmp_path: Path, classes: int, kind: str, protocol: int
) -> None:
    raw, counts = trained(classes, kind)
    model = read_model(stored(tmp_path, raw, protocol), "model.pkl")
    order = np.random.default_rng(0).permutation(len(GENES))
    columns = model_columns(model, GENES[order].astype(str), np.ones(len(GENES), dtype=bool))
    turned = np.zeros_like(counts)
    turned[:, columns] = counts[:, order]
    best, sure = predict(model, sparse.csr_array(turned), counts.sum(axis=1), columns)
    # CellTypist: scale, cut at 10, decision function, each class against the others.
    scaled = np.minimum(raw["Scaler_"].transform(log_values(counts)), 10)
    decision = raw["Model"].decision_function(scaled)
    scores = np.column_stack([-decision, decision]) if classes == 2 else decision
    assert (model.classes[best] == raw["Model"].classes_[scores.argmax(axis=1)]).all()
    assert sure == pytest.approx(1 / (1 + np.exp(-scores.max(axis=1))), rel=1e-9)


def test_one_cell_by_hand(tmp_path: Path) -> None:
    raw, _ = trained(3)
    raw["Model"].coef_ = np.zeros((3, 12))
    raw["Model"].coef_[1, 0] = 0.5
    raw["Model"].intercept_ = np.array([0.0, -1.0, 0.0])
    raw["Scaler_"].mean_[:] = 1.0
    raw["Scaler_"].scale_[:] = 0.5
    model = read_model(stored(tmp_path, raw), "model.pkl")
    counts = np.zeros((1, 12))
    counts[0, :2] = 30, 70
    _, sure = predict(model, sparse.csr_array(counts), np.array([100.0]), np.arange(12))
    scaled = min((math.log(3001) - 1) / 0.5, 10)
    assert scaled == 10
    assert sure[0] == pytest.approx(1 / (1 + math.exp(-(0.5 * 10 - 1))))


def test_genes_that_the_matrix_lacks_do_not_enter(tmp_path: Path) -> None:
    raw, counts = trained(3)
    model = read_model(stored(tmp_path, raw), "model.pkl")
    names = np.array(["G3", "other", "G0", "G3"])
    columns = model_columns(model, names, np.array([True, True, True, True]))
    assert columns.tolist() == [3, -1, 0, -1]
    assert model_columns(model, names, np.array([False, True, True, True])).tolist() == [-1, -1, 0, 3]
    kept = np.zeros_like(counts)
    kept[:, [0, 3]] = counts[:, [0, 3]]
    _, sure = predict(model, sparse.csr_array(kept), counts.sum(axis=1), columns)
    scaled = np.minimum(raw["Scaler_"].transform(log_values(counts)), 10)[:, [0, 3]]
    scores = scaled @ raw["Model"].coef_[:, [0, 3]].T + raw["Model"].intercept_
    assert sure == pytest.approx(1 / (1 + np.exp(-scores.max(axis=1))))


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "was_here"
    raw, _ = trained(3)
    for wicked in (Hostile(mark), {**raw, "description": Hostile(mark)}):
        with pytest.raises(InputError, match=r"asks for (posix|nt)\.system"):
            read_model(stored(tmp_path, wicked), "model.pkl")
    assert not mark.exists()


class Loader:
    """Names something inside numpy that would run code, were it imported."""

    def __reduce__(self) -> tuple[Any, ...]:
        return np.load, ("x.npy",)


def test_names_inside_numpy_become_records_only(tmp_path: Path) -> None:
    raw, _ = trained(3)
    model = read_model(stored(tmp_path, {**raw, "description": Loader()}), "model.pkl")
    assert len(model.classes) == 3
    with pytest.raises(InputError, match="without Model and Scaler_"):
        read_model(stored(tmp_path, Loader()), "model.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        b"\x80\x04]\x94.",
        b"\x80\x02]r\xff\xff\xff\x7f.",  # asks for a memo of 2 billion places
        b"\x80\x04\x8a\xff.",
        b"\x80\x04P0\n.",
        b"\x80\x02U\x01aQ.",  # an object outside of the file
    ],
)
def test_what_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="a model of CellTypist"):
        read_model(path, "model.pkl")


def test_a_truncated_model_is_told(tmp_path: Path) -> None:
    raw, _ = trained(3)
    whole = pickle.dumps(raw, protocol=4)
    ends = [position for _, _, position in pickletools.genops(whole)][1::40]
    path = tmp_path / "model.pkl"
    for end in ends:
        path.write_bytes(whole[:end])
        with pytest.raises(InputError):
            read_model(path, "model.pkl")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("coef_", np.zeros((3, 5)), "do not fit together"),
        ("coef_", np.full((3, 12), np.nan), "do not fit together"),
        ("features", np.array(["G0"] * 12, dtype=object), "do not fit together"),
        ("features", np.arange(12) * 1j, "no array features"),
        ("classes_", "type 1", "no array classes_"),
        ("intercept_", None, "no array intercept_"),
    ],
)
def test_arrays_that_do_not_fit_are_told(tmp_path: Path, name: str, value: object, found: str) -> None:
    raw, _ = trained(3)
    setattr(raw["Model"], name, value)
    with pytest.raises(InputError, match=found):
        read_model(stored(tmp_path, raw), "model.pkl")


def test_the_shipped_labels_are_cell_types() -> None:
    meaning = read_labels(LABELS, "labels.yaml", ["Plasma cell", "Core naive B cell"])
    assert meaning["Plasma cell"] == "plasma_cell"
    assert len(meaning) == 71


def test_labels_without_a_meaning_and_unknown_types_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text("Plasma cell: plasma_cel\nB: naive_b\n")
    with pytest.raises(InputError) as told:
        read_labels(path, "labels.yaml", ["B", "T", "Plasma cell"])
    text = str(told.value)
    assert "did you mean 'plasma_cell'?" in text
    assert "nothing for the model's label 'T'" in text
    path.write_text("- a\n")
    with pytest.raises(InputError, match="no mapping"):
        read_labels(path, "labels.yaml", [])
