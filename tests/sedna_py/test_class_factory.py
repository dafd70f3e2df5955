"""The registry of user classes: upstream's calls, and built-in filters without an import."""

import logging
import subprocess
import sys
from types import ModuleType

import pytest

from sedna_py.class_factory import ClassFactory, ClassType
from sedna_py.hard_example_mining import IBTFilter


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(ClassFactory, "_registry", {})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("GENERAL", "general"),
        ("HEM", "hard_example_mining"),
        ("FL_AGG", "aggregation"),
        ("MTL", "multi_task_learening"),
        ("UTD", "unseen_task_detect"),
        ("OF", "optical_flow"),
        ("ALGORITHM", "algorithm"),
        ("DATASET", "data_process"),
        ("CALLBACK", "post_process_callback"),
    ],
)
def test_kinds_are_upstreams_text(member, value):
    assert getattr(ClassType, member) == value


def test_decorator_registers_under_the_alias_and_returns_the_class():
    @ClassFactory.register(ClassType.CALLBACK, alias="draw")
    def draw_boxes(result):
        return result

    assert draw_boxes(3) == 3
    assert ClassFactory.get_cls(ClassType.CALLBACK, "draw") is draw_boxes
    assert ClassFactory.get_cls("post_process_callback", "draw") is draw_boxes
    assert not ClassFactory.is_exists(ClassType.CALLBACK, "draw_boxes")
    assert not ClassFactory.is_exists(ClassType.GENERAL, "draw")


def test_own_name_and_general_kind_are_the_defaults():
    @ClassFactory.register()
    class Thing:
        pass

    assert ClassFactory.get_cls(ClassType.GENERAL, "Thing") is Thing


def test_later_registration_replaces_the_earlier_one_with_a_warning(caplog):
    first, second = type("First", (), {}), type("Second", (), {})
    with caplog.at_level(logging.WARNING):
        ClassFactory.register_cls(first, ClassType.UTD, "x")
        ClassFactory.register_cls(first, ClassType.UTD, "x")
        assert caplog.messages == []
        ClassFactory.register_cls(second, ClassType.UTD, "x")
    assert ClassFactory.get_cls(ClassType.UTD, "x") is second
    assert len(caplog.messages) == 1
    assert "'x' is registered again" in caplog.messages[0]


def test_users_class_replaces_a_builtin_filter_with_a_warning(caplog):
    mine = type("Mine", (), {})
    with caplog.at_level(logging.WARNING):
        ClassFactory.register_cls(mine, ClassType.HEM, "IBT")
    assert ClassFactory.get_cls(ClassType.HEM, "IBT") is mine
    assert "'IBT' is registered again" in caplog.text


def test_builtin_filters_are_found():
    assert ClassFactory.get_cls(ClassType.HEM, "IBT") is IBTFilter
    assert ClassFactory.is_exists(ClassType.HEM)
    assert ClassFactory.is_exists(ClassType.HEM, "BertRouter")


@pytest.mark.parametrize(
    ("kind", "name"), [("hard_example_mining", "IBTT"), ("general", "x"), ("general", None), ("no", "x")]
)
def test_unknown_name_is_a_value_error_that_lists_the_known_ones(kind, name):
    with pytest.raises(ValueError, match=f"no {kind} is called {name!r}; known: (IBT, .*|nothing is registered)"):
        ClassFactory.get_cls(kind, name)


def test_is_exists_of_a_kind():
    assert not ClassFactory.is_exists(ClassType.KM)
    ClassFactory.register_cls(int, ClassType.KM)
    assert ClassFactory.is_exists(ClassType.KM)
    assert ClassFactory.names(ClassType.KM) == ("int",)


def test_package_registers_its_public_classes_and_functions():
    package = ModuleType("package")
    package.Public = type("Public", (), {})
    package.helper = lambda: None
    package.helper.__name__ = "helper"
    package._hidden = type("Hidden", (), {})
    package.number = 3
    ClassFactory.register_from_package(package, ClassType.DATASET)
    assert set(ClassFactory.names(ClassType.DATASET)) == {"Public", "helper"}


def test_importing_the_registry_imports_no_filter():
    code = "import sys, sedna_py.class_factory; print([m for m in sys.modules if 'hard_example' in m or m == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
