from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import sedna_py
from sedna_py.compat import install, uninstall
from sedna_py.compat.aliases import ALIASES


@pytest.fixture
def aliases():
    install()
    yield
    uninstall()


@pytest.mark.parametrize("module", sorted(ALIASES))
def test_every_row_of_the_table_can_be_imported(aliases, module):
    imported = importlib.import_module(module)
    for name, target in ALIASES[module].items():
        home, _, thing = target.partition(":")
        assert getattr(imported, name) is getattr(importlib.import_module(home), thing)


def test_every_module_of_the_table_has_its_packages():
    assert all(name.rpartition(".")[0] in ALIASES for name in ALIASES if name != "sedna")


def test_the_ways_in_which_scripts_import(aliases):
    names: dict[str, object] = {}
    exec(
        "import sedna\n"
        "from sedna.common.config import BaseConfig, Context\n"
        "from sedna.common.class_factory import ClassFactory, ClassType\n"
        "from sedna.common.file_ops import FileOps\n"
        "from sedna.common.log import LOGGER\n"
        "from sedna.common.utils import get_host_ip\n"
        "from sedna.core.joint_inference import BigModelService, JointInference\n"
        "from sedna.core.joint_inference.joint_inference import JointInference as Same\n"
        "from sedna.core.base import JobBase\n"
        "from sedna.service.client import LCClient, LCReporter, ModelClient, http_request\n"
        "from sedna.service.server import InferenceServer\n"
        "from sedna.algorithms.hard_example_mining import hard_example_mining\n"
        "from sedna.algorithms.hard_example_mining.hard_example_mining import IBTFilter\n",
        names,
    )
    for name in ("JointInference", "BigModelService", "Context", "BaseConfig", "ClassFactory", "ClassType", "FileOps"):
        assert names[name] is getattr(sedna_py, name)
    assert names["Same"] is names["JointInference"]
    assert names["hard_example_mining"].IBTFilter is names["IBTFilter"]
    assert names["get_host_ip"]().count(".") == 3


def test_the_root_alone_reaches_everything(aliases):
    sedna = importlib.import_module("sedna")
    assert sedna.core.joint_inference.JointInference is sedna_py.JointInference
    assert sedna.__version__
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        sedna.nope  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import sedna.core.federated_learning",
        "from sedna.core import federated_learning",
        "from sedna.core.federated_learning import FederatedLearning",
        "import sedna.nope",
    ],
)
def test_what_we_do_not_have_says_what_we_have(aliases, statement):
    with pytest.raises(ModuleNotFoundError, match=r"sedna-py has no 'sedna\..*sedna\.core\.joint_inference"):
        exec(statement, {})


def test_installed_twice_is_installed_once(aliases):
    before = list(sys.meta_path)
    install()
    assert sys.meta_path == before


def test_a_real_package_is_hidden_only_while_installed(tmp_path, monkeypatch):
    (tmp_path / "sedna").mkdir()
    (tmp_path / "sedna" / "__init__.py").write_text("__version__ = 'real'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = []
    for step in (lambda: None, install, uninstall):
        step()
        versions.append(importlib.import_module("sedna").__version__)
    sys.modules.pop("sedna")
    assert versions == ["real", "0.4.1", "real"]


def test_nothing_happens_without_install():
    code = (
        "import sedna_py, sedna_py.compat, importlib.util, sys; sys.exit(importlib.util.find_spec('sedna') is not None)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
