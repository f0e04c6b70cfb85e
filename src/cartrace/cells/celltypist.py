"""A model file of CellTypist, read without running anything of it, and applied.

The file is a pickle: read by ``pickle.load`` it may run any program. Here every class that it names
becomes an inert record; names outside numpy, scikit-learn and CellTypist are refused, and the arrays
are rebuilt from their bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cartrace.cells.vocabulary import CELL_TYPES
from cartrace.files import read_bytes
from cartrace.intake.mapping import read_yaml
from cartrace.problems import InputError, Problem, did_you_mean, plain, raise_if_any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from cartrace.cells.scores import Floats, Integers

_ALLOWED = "a model of CellTypist: a logistic regression and a scaler of scikit-learn, with numpy arrays"
_PACKAGES = ("numpy", "sklearn", "celltypist", "_loss")
"""Packages whose names a model holds; _loss is scikit-learn's own module of losses."""
_MOST_BYTES = 1 << 29
_MOST_PLACES = 10_000_000
_DTYPES = ("f4", "f8", "i4", "i8")
_CLIP = 10.0  # CellTypist cuts scaled values from above, and from above only
_BLOCK = 2_048


@dataclass(frozen=True)
class Model:
    """A model of CellTypist.

    Attributes
    ----------
    classes : (classes,) its labels
    features : (features,) gene symbols
    coefficients : (classes, features), or (1, features) of two classes
    intercepts : (classes,) or (1,)
    mean, scale : (features,) of log(1 + UMIs in 10,000)
    """

    classes: NDArray[np.str_]
    features: NDArray[np.str_]
    coefficients: Floats
    intercepts: Floats
    mean: Floats
    scale: Floats


class _Inert:
    """Stands for any object of the pickle: keeps what it was made of, and does nothing."""

    name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        made = super().__new__(cls)
        made.args = args
        made.state = None
        return made

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    args: tuple[Any, ...]
    state: Any


class _Reader(pickle.Unpickler):
    """Makes inert records of the allowed names, and refuses the others."""

    def find_class(self, module: str, name: str) -> Any:
        # Nothing of them is imported: also an allowed name gives no more than a record.
        if module.partition(".")[0] not in _PACKAGES:
            raise pickle.UnpicklingError(f"it asks for {plain(f'{module}.{name}', 100)}")
        return type("_Named", (_Inert,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of the file")


def read_model(path: Path, file: str) -> Model:
    """Read a model file; ``file`` is its name in errors.

    Raises
    ------
    InputError
        When it is no model of CellTypist, or names anything that such a model does not hold.
    """
    content = read_bytes(path)
    if len(content) > _MOST_BYTES:
        raise InputError([Problem(file, f"{len(content) >> 20} MiB", f"at most {_MOST_BYTES >> 20} MiB")])
    try:
        # A pickle may ask for a table of any size by one number; looked at before it is read.
        for operation, argument, _ in pickletools.genops(content):
            if operation.name in {"PUT", "BINPUT", "LONG_BINPUT"} and int(str(argument or 0)) > _MOST_PLACES:
                raise pickle.UnpicklingError("it asks for a table of absurd size")
        raw = _Reader(io.BytesIO(content)).load()
        return _model(raw, file)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError([Problem(file, f"a pickle that was not read: {error}", _ALLOWED)]) from None
    except Exception as error:  # noqa: BLE001 - a broken pickle raises anything
        raise InputError([Problem(file, f"no pickle ({type(error).__name__})", _ALLOWED)]) from None


def _model(raw: Any, file: str) -> Model:
    """Take the arrays out of the inert records, and check that they fit together."""
    if not isinstance(raw, dict) or not {"Model", "Scaler_"} <= set(raw):
        raise InputError([Problem(file, "a pickle without Model and Scaler_", _ALLOWED)])
    classifier, scaler = _state(raw["Model"]), _state(raw["Scaler_"])
    problems = []
    arrays: dict[str, NDArray[Any]] = {}
    wanted = (("classes_", classifier), ("features", classifier), ("coef_", classifier))
    for key, state in (*wanted, ("intercept_", classifier), ("mean_", scaler), ("scale_", scaler)):
        found = _array(state.get(key))
        if found is None:
            problems.append(Problem(file, f"no array {key}", _ALLOWED, column=key))
        else:
            arrays[key] = found
    raise_if_any(problems)
    classes, features = arrays["classes_"].astype(str), arrays["features"].astype(str)
    coefficients = np.atleast_2d(arrays["coef_"]).astype(float)
    rows = 1 if len(classes) == 2 else len(classes)
    centred = scaler.get("with_mean", True)
    model = Model(
        classes,
        features,
        coefficients,
        arrays["intercept_"].astype(float).ravel(),
        arrays["mean_"].astype(float) * bool(centred),
        arrays["scale_"].astype(float),
    )
    numbers = (coefficients, model.intercepts, model.mean, model.scale)
    fits = (
        len(classes) >= 2
        and coefficients.shape == (rows, len(features))
        and model.intercepts.shape == (rows,)
        and model.mean.shape == model.scale.shape == (len(features),)
        and len(set(features)) == len(features)
        and all(np.isfinite(n).all() for n in numbers)
        and bool((model.scale > 0).all())
    )
    if not fits:
        raise InputError([Problem(file, "arrays that do not fit together", _ALLOWED)])
    return model


def _state(record: Any) -> Mapping[str, Any]:
    state = getattr(record, "state", None)
    return state if isinstance(state, dict) else {}


def _array(record: Any) -> NDArray[Any] | None:
    """Rebuild an array from the record of how numpy would have made it.

    Up to protocol 4 of pickle that is the state of ``_reconstruct``: version, shape, dtype, columns
    first, content; in protocol 5 the arguments of ``_frombuffer``: content, dtype, shape, order.
    """
    state: Any = getattr(record, "state", None)
    args: Any = getattr(record, "args", ())
    if isinstance(state, tuple) and len(state) == 5:
        _, shape, kind, columns_first, content = state
    elif getattr(record, "name", "").endswith("._frombuffer") and len(args) == 4:
        content, kind, shape, order = args
        columns_first = order == "F"
    else:
        return None
    if not (isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape)):
        return None
    code = _dtype(kind)
    size = math.prod(shape)
    if code == "O":
        if not (isinstance(content, list) and all(isinstance(c, str) for c in content)):
            return None
        flat: NDArray[Any] = np.array(content, dtype=str)
    elif code and isinstance(content, bytes | bytearray) and len(content) == size * np.dtype(code).itemsize:
        flat = np.frombuffer(bytes(content), dtype=code)
    else:
        return None
    return flat.reshape(shape, order="F" if columns_first else "C") if len(flat) == size else None


def _dtype(record: Any) -> str | None:
    """Return the code of a dtype as numpy writes it into a pickle: ``dtype('f8', False, True)`` and its order."""
    if getattr(record, "name", "") != "numpy.dtype" or not record.args or not isinstance(record.args[0], str):
        return None
    code = str(record.args[0]).lstrip("<>=|")
    if code in {"O", "O8"}:
        return "O"
    order = record.state[1] if isinstance(record.state, tuple) and len(record.state) > 1 else "<"
    if code.startswith("U") and code[1:].isdigit() and int(code[1:]) <= 1000:
        return f"{'>' if order == '>' else '<'}{code}"
    return f"{'>' if order == '>' else '<'}{code}" if code in _DTYPES else None


def model_columns(model: Model, symbols: NDArray[np.str_], usable: NDArray[np.bool_]) -> Integers:
    """Return for each column of a matrix which feature of the model it is, -1 for none."""
    place = {str(f): i for i, f in enumerate(model.features)}
    columns = np.array([place.get(str(s), -1) for s in symbols], dtype=np.int64)
    columns = np.where(usable, columns, -1)
    # Of several columns with one symbol CellTypist takes the first.
    first = np.zeros(len(columns), dtype=bool)
    first[np.unique(columns, return_index=True)[1]] = True
    return np.where(first, columns, -1)


def predict(model: Model, counts: csr_array, totals: Floats, columns: Integers) -> tuple[Integers, Floats]:
    """Apply a model as CellTypist does ("best match"): scale, cut at 10, logistic regression.

    Parameters
    ----------
    counts
        (cells, features) UMIs of the model's features.
    totals
        (cells,) UMIs of gene expression.
    columns
        What :func:`model_columns` gave: features that the matrix does not have do not enter.

    Returns
    -------
    ndarray, ndarray
        (cells,) index of the likeliest class, and its probability (each class against all others).
    """
    from scipy.special import expit

    found = np.isin(np.arange(len(model.features)), columns)
    coefficients = model.coefficients[:, found].T
    best, sure = np.zeros(len(totals), dtype=np.int64), np.zeros(len(totals))
    for start in range(0, len(totals), _BLOCK):
        rows = slice(start, start + _BLOCK)
        x = counts[rows].toarray()[:, found].astype(float)
        x = np.log1p(x * (10_000.0 / np.maximum(totals[rows], 1.0))[:, None])
        x = np.minimum((x - model.mean[found]) / model.scale[found], _CLIP)
        scores = x @ coefficients + model.intercepts
        if len(model.classes) == 2:
            positive = scores[:, 0] > 0
            best[rows], sure[rows] = positive, expit(np.abs(scores[:, 0]))
        else:
            best[rows] = scores.argmax(axis=1)
            sure[rows] = expit(scores.max(axis=1))
    return best, sure


def read_labels(path: Path, file: str, classes: Iterable[str]) -> dict[str, str]:
    """Read what the labels of a model mean: a YAML mapping of label to cell type.

    Raises
    ------
    InputError
        With every label of the model that is not there, and every unknown cell type.
    """
    raw = read_yaml(path, file, "label")
    if not isinstance(raw, dict):
        raise InputError([Problem(file, "no mapping", "label: cell type")])
    meaning = {str(k): str(v) for k, v in raw.items()}
    words = tuple(CELL_TYPES)
    problems = [
        Problem(file, f"'{plain(v)}'", ", ".join(words), column=plain(k), suggestion=did_you_mean(v, words))
        for k, v in meaning.items()
        if v not in CELL_TYPES
    ]
    problems += [
        Problem(
            file,
            f"nothing for the model's label '{plain(label)}'",
            "a cell type for each label; unassigned where cartrace has none",
            suggestion=did_you_mean(label, meaning),
        )
        for label in classes
        if label not in meaning
    ]
    raise_if_any(problems)
    return meaning
