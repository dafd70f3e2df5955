"""deploy/Dockerfile, as far as it can be judged without building it; tests/images builds it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from controller.resources.storage_initializer import COMMAND
from tests.deploy.manifests import DEPLOY, manifest

ROOT = DEPLOY.parent
TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in re.sub(r"\\\n", " ", TEXT).splitlines() if line.strip() and not line.startswith("#")]
TARGETS = ("controller", "storage-initializer", "worker")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def stages() -> dict[str, tuple[str, list[str]]]:
    """Return parent and instructions of each stage."""
    found: dict[str, tuple[str, list[str]]] = {}
    for line in LINES:
        words = line.split()
        if words[0] == "FROM":
            found[words[3]] = (words[1], [])
        elif found:
            found[list(found)[-1]][1].append(line)
    return found


def instructions(target: str) -> list[str]:
    """Return those of a target and of what it begins from, the oldest first."""
    parent, own = stages()[target]
    return [*(instructions(parent) if parent in stages() else []), *own]


def value(target: str, instruction: str) -> str:
    """Return what holds at last."""
    return [line.split(None, 1)[1] for line in instructions(target) if line.split()[0] == instruction][-1]


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_a_user_that_kubernetes_sees_is_not_root(target):
    user, group = value(target, "USER").split(":")
    assert user == group == "65532"
    context = manifest("Deployment", "sedna-controller")["spec"]["template"]["spec"]["securityContext"]
    assert int(user) == context["runAsUser"] == context["runAsGroup"]


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_run_in_an_image_that_is_shipped(target):
    """What a RUN line deletes or leaves behind would be shipped; the last stages only copy."""
    assert [line for line in instructions(target) if line.startswith(("RUN", "ADD", "VOLUME"))] == []


def test_each_image_starts_its_program():
    [controller] = manifest("Deployment", "sedna-controller")["spec"]["template"]["spec"]["containers"]
    assert value("controller", "CMD") == '["python", "-m", "controller"]'
    assert controller["command"] == ["python", "-m", "controller"]
    assert value("worker", "CMD") == '["python", "-m", "workers"]'
    # Upstream's controller starts its storage initializer with nothing but arguments.
    assert value("storage-initializer", "ENTRYPOINT") == str(list(COMMAND)).replace("'", '"')


@pytest.mark.parametrize("target", ["controller", "worker"])
def test_a_service_that_gives_arguments_only_names_a_program(target):
    assert not [line for line in instructions(target) if line.startswith("ENTRYPOINT")]


def test_the_version_is_the_projects():
    assert f"org.opencontainers.image.version={PROJECT['version']}" in " ".join(instructions("worker")).split()


def test_buildah_and_old_engines_understand_it():
    assert not re.search(r"--mount=|<<|^# syntax=", TEXT, re.MULTILINE)


def test_a_change_of_source_reinstalls_no_package():
    """Each instruction before the packages depends on the list of requirements only."""
    packages = [name for name in stages() if name.endswith("-packages")]
    assert len(packages) == len(TARGETS)
    for name in packages:
        copied = [line for line in instructions(name) if line.startswith("COPY")]
        assert [shlex.split(line)[1] for line in copied] == ["--from=requirements"]


def test_the_context_holds_what_is_copied_and_nothing_else():
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    ]
    assert sorted(allowed) == sorted(
        ["LICENSE", "pyproject.toml", "deploy/requirements.py", "sedna_py", "workers", "controller"]
    )
    assert all((ROOT / path).exists() for path in allowed)


@pytest.mark.parametrize("module", ["controller.__main__", "workers.storage_initializer.__main__"])
def test_what_an_image_leaves_out_is_not_imported(module):
    """NumPy is a requirement of the library; these two images do without."""
    script = f"import sys; sys.modules['numpy'] = None; import {module}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)


def test_the_controller_needs_no_blocking_calls_of_kubernetes():
    [line] = [line for line in instructions("controller-packages") if "kubernetes" in line and "rm -r" in line]
    assert "/kubernetes/client/api " in line
    script = "import sys; sys.modules['kubernetes.client.api'] = None; import controller.__main__"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)


def required(*arguments: str) -> list[str]:
    command = [sys.executable, str(DEPLOY / "requirements.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, timeout=30, capture_output=True, text=True).stdout.split("\n")


def test_requirements_are_the_projects_and_those_of_the_extras_each_once():
    lines = [line for line in required("edge", "cloud") if line]
    extras = PROJECT["optional-dependencies"]
    assert sorted(lines) == sorted({*PROJECT["dependencies"], *extras["edge"], *extras["cloud"]})
    assert len(lines) == len(set(lines))


def test_requirements_may_be_left_out_by_name():
    names = {re.split(r"[^\w.-]", line)[0] for line in required("controller", "--without", "numpy")}
    assert {"kopf", "pydantic"} < names
    assert "numpy" not in names


def test_make_images_gives_each_image_the_name_that_deploy_and_the_examples_use():
    done = subprocess.run(
        # Within `make test`, make would say which folder it enters.
        ["make", "--no-print-directory", "images", "ENGINE=echo"],
        cwd=ROOT,
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )
    built = {re.findall(r"--(target|tag) (\S+)", line)[1][1] for line in done.stdout.splitlines()}
    assert built == {f"sedna-py/{target}:{PROJECT['version']}" for target in TARGETS}
    for path in (DEPLOY / "kustomization.yaml", *ROOT.glob("examples/*/service.yaml")):
        named = set(re.findall(r"(?:image: |IMAGE=)(sedna-py/\S+)", path.read_text(encoding="utf-8")))
        assert named
        assert named <= built
