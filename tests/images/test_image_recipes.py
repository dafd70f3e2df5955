"""What the images are made of, and the name of that content."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY
from tests.images.recipes import (
    ROOT,
    SAMPLE_DOCKERFILE,
    base_reference,
    build_steps,
    content_files,
    content_key,
    copy_content,
    references,
)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("content")
    copy_content(folder)
    return folder


def test_a_copy_of_the_content_has_the_same_key(content):
    (content / "sedna_py" / "__pycache__").mkdir()
    (content / "sedna_py" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (content / "README.md").write_text("anything")
    assert content_key(content) == content_key(ROOT)
    assert list(content_files(content)) != []


@pytest.mark.parametrize(
    "name", ["workers/edge/__main__.py", "deploy/Dockerfile", "pyproject.toml", SAMPLE_DOCKERFILE, "sedna_py/py.typed"]
)
def test_another_content_has_another_key(content, name):
    before = (content / name).read_bytes()
    key = content_key(content)
    (content / name).write_bytes(before + b"\n")
    try:
        assert content_key(content) != key
    finally:
        (content / name).write_bytes(before)
    assert content_key(content) == key


def test_moving_a_file_changes_the_key(content):
    key = content_key(content)
    (content / "workers" / "program.py").rename(content / "workers" / "moved.py")
    try:
        assert content_key(content) != key
    finally:
        (content / "workers" / "moved.py").rename(content / "workers" / "program.py")


def test_the_images_are_those_that_deploy_and_the_examples_name():
    named = set()
    for path in (DEPLOY / "kustomization.yaml", *ROOT.glob("examples/*/service.yaml")):
        named |= set(re.findall(r"(?:image: |IMAGE=)(sedna-py/\S+)", path.read_text(encoding="utf-8")))
    assert named == {"sedna-py/worker:0.1.0", "sedna-py/storage-initializer:0.1.0"}
    assert {*named, "sedna-py/controller:0.1.0"} < set(references())


def test_every_stage_that_is_copied_from_is_built_under_a_tag_of_its_own_before_the_images(content):
    steps = build_steps(content)
    tags = [step.tag for step in steps]
    text = (content / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    copied_from = set(re.findall(r"--from=(\S+)", text))
    staged = {step.target for step in steps if "stage" in step.tag}
    assert staged == copied_from
    images = [f"docker.io/{reference}" for reference in references(content)]
    assert sorted(tags[len(staged) :]) == sorted(images)
    # The sample's images begin from the worker.
    assert tags.index("docker.io/sedna-py/worker:0.1.0") < tags.index("docker.io/sedna-py/e2e-big:0.1.0")


def test_the_base_is_the_default_of_the_dockerfile():
    assert base_reference("# x\nARG BASE=docker.io/library/python:3.11-slim-bookworm\nFROM ${BASE}\n").endswith(
        "bookworm"
    )
    with pytest.raises(ValueError, match="ARG BASE"):
        base_reference("FROM x\n")
