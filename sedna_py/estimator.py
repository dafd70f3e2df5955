"""What a user's model code looks like, and how it is found.

Two forms are understood:

* Upstream's: `load(model_url=...)` once, `predict(data, **kwargs)` per frame. It runs in a thread, one call at a time unless
  the class says `thread_safe = True`.
* Hooks: `load(model_url)` returns the OpenVINO model (an `openvino.Model` or a path), `preprocess` and `postprocess` stand on
  either side of it, and the worker compiles it and keeps all its streams busy. The two are called from several threads at
  once, and must keep no array of `outputs`: it is used again for the next frame.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sedna_py.errors import EstimatorError

Frame = NDArray[np.uint8]  # (height, width, 3), BGR as OpenCV reads it
Inputs = Mapping[str, NDArray[Any]]
Outputs = Mapping[str, NDArray[Any]]


@runtime_checkable
class Estimator(Protocol):
    """Upstream's form. `data` is a frame in RGB (what upstream's scripts send) or whatever the client put into the JSON."""

    def load(self, model_url: str = "") -> Any: ...

    def predict(self, data: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class HookEstimator(Protocol):
    """The fast form: the worker runs the model between the hooks."""

    def load(self, model_url: str) -> Any:
        """Return an `openvino.Model`, or the path of a file that OpenVINO reads."""

    def preprocess(self, frame: Frame) -> tuple[Inputs, Any]:
        """Return the model's inputs by name, and whatever `postprocess` needs to know of this frame."""

    def postprocess(self, outputs: Outputs, meta: Any) -> list[list[float]]:
        """Return `[xmin, ymin, xmax, ymax, score, class]` per object, in pixels of the original frame."""


def is_frame(data: Any) -> bool:
    """Tell a picture (height x width x 3, uint8) from other arrays and other data."""
    return isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 3 and data.shape[2] == 3


def import_object(reference: str, folders: Sequence[Path] = ()) -> Any:
    """Return what `package.module:Name` or `path/to/file.py:Name` names.

    A relative path is looked for in the working directory, then in `folders`. Raises EstimatorError with what to write instead.
    """
    module_part, separator, name = reference.rpartition(":")
    if not separator or not module_part or not name:
        raise EstimatorError(f"{reference!r} names no class; write 'package.module:Class' or 'path/to/file.py:Class'")
    module = import_module(module_part, folders)
    try:
        return getattr(module, name)
    except AttributeError:
        raise EstimatorError(
            f"{module_part} has no {name!r}; write the name of a class or function defined there"
        ) from None


def import_module(reference: str, folders: Sequence[Path] = ()) -> ModuleType:
    """Import `package.module` or `path/to/file.py` for what it registers; `folders` as above."""
    return _load_file(_find_file(Path(reference), folders)) if reference.endswith(".py") else _load_module(reference)


def instantiate(estimator: Any) -> Any:
    """Return an instance: a class or factory is called without arguments, an instance is returned as it is."""
    if inspect.isclass(estimator) or (callable(estimator) and not hasattr(estimator, "predict")):
        return estimator()
    return estimator


def accepted_kwargs(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return those keyword arguments that `function` can take: all of them if it has a catch-all."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return dict(kwargs)
    names = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    return {key: value for key, value in kwargs.items() if key in names}


def _load_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EstimatorError(
            f"cannot import {name!r}: {error}; write an importable module or the path of a .py file"
        ) from error
    except Exception as error:
        raise EstimatorError(f"{name!r} failed while it was imported: {type(error).__name__}: {error}") from error


def _find_file(path: Path, folders: Sequence[Path]) -> Path:
    places = () if path.is_absolute() else folders
    try:
        for candidate in (path, *(folder / path for folder in places)):
            if candidate.is_file():
                return candidate
    except OSError as error:
        raise EstimatorError(f"cannot look for {error.filename!r}: {error.strerror}; let this user read it") from error
    looked = "".join(f" or in {str(folder)!r}" for folder in places)
    where = f" in {str(Path.cwd())!r}{looked}" if looked else ""
    raise EstimatorError(f"no file {str(path)!r}{where}; write the path of the .py file that defines the class")


def _load_file(path: Path) -> ModuleType:
    name = f"_sedna_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EstimatorError(f"{str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their own module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(name, None)
        raise EstimatorError(f"{str(path)!r} failed while it was imported: {type(error).__name__}: {error}") from error
    return module
