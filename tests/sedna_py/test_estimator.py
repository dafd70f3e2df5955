from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sedna_py.errors import EstimatorError
from sedna_py.estimator import Estimator, HookEstimator, accepted_kwargs, import_module, import_object, instantiate

SOURCE = """
from dataclasses import dataclass

@dataclass
class Model:
    size: int = 3

    def load(self, model_url=""): ...
    def predict(self, data, **kwargs): ...

def factory():
    return Model(4)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Write a module into a folder that Python searches; what was imported of it is forgotten."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    yield put
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_class_in_a_file_or_in_a_module(write: Callable[[str, str], Path]) -> None:
    path = write("est_one.py", SOURCE)
    for reference in (f"{path}:Model", "est_one:Model"):
        found = import_object(reference)
        assert found().size == 3
        assert sys.modules[found.__module__].Model is found  # dataclasses and pickle look there


def test_a_path_may_hold_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "est.py").write_text("X = 1\n")
    assert import_object(f"{folder / 'est.py'}:X") == 1


def test_a_module_of_a_package() -> None:
    assert import_object("sedna_py.errors:EstimatorError") is EstimatorError


def test_a_relative_path_is_of_the_working_directory_then_of_the_given_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, first, second = (tmp_path / name for name in ("here", "first", "second"))
    for folder in (here, first, second):
        folder.mkdir()
    monkeypatch.chdir(here)
    for folder in (second, first, here):
        (folder / "est.py").write_text(f"PLACE = {folder.name!r}\n")
        assert import_object("est.py:PLACE", [first, second]) == folder.name
    assert import_object(f"{second / 'est.py'}:PLACE", [first]) == "second"


def test_a_file_that_is_nowhere_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(EstimatorError) as caught:
        import_object("est.py:Model", [tmp_path / "models"])
    assert str(caught.value) == (
        f"no file 'est.py' in '{tmp_path}' or in '{tmp_path}/models'; write the path of the .py file that defines the class"
    )


def test_a_place_that_cannot_be_looked_at() -> None:
    with pytest.raises(EstimatorError, match=r"cannot look for '/x+\.py': File name too long"):
        import_object("/" + "x" * 300 + ".py:Model")


@pytest.mark.parametrize("reference", ["", "Model", ":Model", "package.module:", "path/to/file.py"])
def test_a_reference_without_a_class(reference: str) -> None:
    with pytest.raises(
        EstimatorError, match=r"names no class; write 'package.module:Class' or 'path/to/file.py:Class'"
    ):
        import_object(reference)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module_here:A", "cannot import 'no_such_module_here': No module named"),
        ("sedna_py.errors:Nothing", "sedna_py.errors has no 'Nothing'; write the name of a class"),
        (".relative:A", "'.relative' failed while it was imported: TypeError"),
        ("no/such/file.py:A", "no file 'no/such/file.py'; write the path of the .py file"),
    ],
)
def test_what_cannot_be_found(reference: str, message: str) -> None:
    with pytest.raises(EstimatorError) as caught:
        import_object(reference)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 / 0", "ZeroDivisionError: division by zero"), ("def f(:", "SyntaxError"), ("import nix", "nix")],
)
def test_code_that_fails_while_it_is_imported(write: Callable[[str, str], Path], text: str, message: str) -> None:
    path = write("est_broken.py", text)
    for reference in (f"{path}:Model", "est_broken:Model"):
        with pytest.raises(EstimatorError, match=message) as caught:
            import_object(reference)
        assert caught.value.__cause__ is not None
    assert "_sedna_user_est_broken" not in sys.modules


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "est.py").mkdir()
    with pytest.raises(EstimatorError, match="no file"):
        import_module(str(tmp_path / "est.py"))


def test_import_for_what_it_registers(write: Callable[[str, str], Path]) -> None:
    path = write("est_registers.py", "import sys\nsys.registered = getattr(sys, 'registered', 0) + 1\n")
    try:
        import_module(str(path))
        import_module("est_registers")
        assert sys.registered == 2  # type: ignore[attr-defined]
    finally:
        del sys.registered  # type: ignore[attr-defined]


class Model:
    def load(self, model_url: str = "") -> None: ...

    def predict(self, data: Any, **kwargs: Any) -> Any: ...


class CallableModel(Model):
    def __call__(self) -> None: ...


class Hooks:
    def load(self, model_url: str) -> Any: ...

    def preprocess(self, frame: Any) -> Any: ...

    def postprocess(self, outputs: Any, meta: Any) -> Any: ...


def test_the_two_forms() -> None:
    assert isinstance(Model(), Estimator)
    assert not isinstance(Model(), HookEstimator)
    assert isinstance(Hooks(), HookEstimator)
    assert not isinstance(Hooks(), Estimator)


def test_instantiate() -> None:
    instance = CallableModel()
    assert isinstance(instantiate(Model), Model)
    assert instantiate(instance) is instance
    assert isinstance(instantiate(lambda: instance), CallableModel)
    assert instantiate("anything") == "anything"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: None, set()),
        (lambda model_url: None, {"model_url"}),
        (lambda *, model_url=None: None, {"model_url"}),
        (lambda model_url, /: None, set()),
        (lambda *args: None, set()),
        (lambda **kwargs: None, {"model_url", "other"}),
        (Model().load, {"model_url"}),
    ],
)
def test_accepted_kwargs(function: Callable[..., Any], expected: set[str]) -> None:
    assert set(accepted_kwargs(function, {"model_url": 1, "other": 2})) == expected
