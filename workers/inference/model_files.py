"""Which file a MODEL_URL means."""

from __future__ import annotations

from pathlib import Path

from sedna_py.errors import ModelError

MODEL_SUFFIXES = (".xml", ".onnx", ".tflite")


def find_model_file(model_url: str, model_name: str | None = None) -> Path:
    """Return the model file that `model_url` names: itself, or the one model in that folder.

    Raises ModelError if there is none, or more than one and no `model_name` to choose.
    """
    try:
        return _find(Path(model_url), model_url, model_name)
    except OSError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"cannot look for a model at {model_url!r}: {error.strerror}; mend that path") from error


def model_folder(model_url: str) -> Path:
    """Return the folder that `model_url` names, or that its file is in."""
    path = Path(model_url)
    try:
        return path if path.is_dir() else path.parent
    except OSError:  # a folder on the way that this user may not enter
        return path.parent


def _find(path: Path, model_url: str, model_name: str | None) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"no model at {model_url!r}; write the path of a .xml, .onnx or .tflite file in MODEL_URL")
    if model_name:
        if (path / model_name).is_file():
            return path / model_name
        raise ModelError(f"no file {model_name!r} in {model_url!r}; write a file of that folder in MODEL_NAME")
    found = sorted(p for p in path.iterdir() if p.suffix in MODEL_SUFFIXES)
    if len(found) == 1:
        return found[0]
    names = ", ".join(p.name for p in found) or "none"
    raise ModelError(f"{model_url!r} holds {len(found)} models ({names}); write the file's name in MODEL_NAME")
