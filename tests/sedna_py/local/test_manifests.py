"""Reading YAML files: what is found in them, and every way in which they can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sedna_py.errors import ManifestError
from sedna_py.local import manifests
from sedna_py.local.manifests import MAX_BYTES, Manifests, load_manifests

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"
MODELS = "".join(
    f"apiVersion: sedna.io/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\nspec: {{url: /m/{name}.pb, format: pb}}\n---\n"
    for name in ("big", "little")
)
SERVICE = """\
apiVersion: sedna.io/v1alpha1
kind: JointInferenceService
metadata: {name: helmet}
spec:
  edgeWorker:
    model: {name: little}
    hardExampleMining: {name: IBT}
    template: {spec: {containers: [{name: edge, image: i}]}}
  cloudWorker:
    model: {name: big}
    template: {spec: {containers: [{name: cloud, image: i}]}}
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "s.yaml") -> Path:
        path = Path(name)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def problems(*paths: Path, models_needed: bool = True) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load_manifests(paths, models_needed=models_needed)
    return caught.value.problems


@pytest.mark.parametrize("path", sorted(UPSTREAM.glob("*.yaml")), ids=lambda path: path.stem)
def test_upstream_files_load_without_a_warning(path: Path) -> None:
    manifests = load_manifests([path])
    assert len(manifests.services) == 1
    assert manifests.warnings == ()
    models = manifests.models_for(manifests.services[0])
    assert manifests.services[0].spec.edge_worker.model.name in models


def test_files_load_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    path = UPSTREAM / "helmet_detection_hpa.yaml"
    with_libyaml = load_manifests([path])
    monkeypatch.setattr(manifests, "_FASTEST", yaml.SafeLoader)
    assert load_manifests([path]) == with_libyaml


def test_several_files_make_one_whole(write) -> None:
    manifests = load_manifests([write(MODELS, "models.yaml"), write(SERVICE, "service.yaml")])
    assert [service.name for service in manifests.services] == ["helmet"]
    assert set(manifests.models) == {("default", "big"), ("default", "little")}


def test_models_of_another_namespace_are_not_the_services(write) -> None:
    elsewhere = MODELS.replace("metadata: {", "metadata: {namespace: other, ")
    assert problems(write(elsewhere + SERVICE)) == [
        's.yaml, document 3: spec.edgeWorker.model.name: is "little", but namespace default has no such Model;'
        " add it or write the name of one",
        's.yaml, document 3: spec.cloudWorker.model.name: is "big", but namespace default has no such Model;'
        " add it or write the name of one",
    ]


def test_models_may_be_in_the_cluster(write) -> None:
    manifests: Manifests = load_manifests([write(SERVICE)], models_needed=False)
    assert manifests.models == {}


def test_secret_is_silent_and_other_kinds_are_warned_of(write) -> None:
    others = "kind: Secret\nmetadata: {name: x}\n---\nkind: Namespace\n---\nkind: JointMultiEdgeService\n---\n"
    manifests = load_manifests([write(others + MODELS + SERVICE)])
    assert [str(warning) for warning in manifests.warnings] == [
        f'warning: s.yaml, document {number}: kind: is "{kind}" and is ignored;'
        " only JointInferenceService, Model and Secret are read here"
        for number, kind in ((2, "Namespace"), (3, "JointMultiEdgeService"))
    ]


def test_list_of_kubectl_is_read(write) -> None:
    documents = (MODELS + SERVICE).split("---\n")
    items = "".join("- " + document.replace("\n", "\n  ").rstrip() + "\n" for document in documents)
    manifests = load_manifests([write(f"apiVersion: v1\nkind: List\nitems:\n{items}")])
    assert len(manifests.services) == 1
    assert len(manifests.models) == 2


def test_errors_come_before_warnings(write) -> None:
    text = "kind: Namespace\n---\n" + MODELS + SERVICE.replace("name: IBT", "name: IBTT")
    found = problems(write(text))
    assert found[0].startswith("s.yaml, document 4: spec.edgeWorker.hardExampleMining.name: is")
    assert found[1].startswith("warning: s.yaml, document 1: kind:")
    assert len(found) == 2


def test_model_that_cannot_be_parsed_is_not_called_missing(write) -> None:
    text = MODELS.replace("/m/little.pb", "/a%zz") + SERVICE
    assert problems(write(text)) == [
        's.yaml, document 2: spec.url: is "/a%zz", where %zz is not an escape; write %25 for a percent sign'
    ]


def bomb() -> str:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(["a0: &a0 [x, x]", *levels])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "s.yaml: has no JointInferenceService; write a document with kind: JointInferenceService"),
        ("---\n---\n", "s.yaml: has no JointInferenceService; write a document with kind: JointInferenceService"),
        (MODELS, "s.yaml: has no JointInferenceService; write a document with kind: JointInferenceService"),
        (
            "- a\n",
            "s.yaml, document 1: the document is a list; write a mapping with apiVersion, kind, metadata, spec",
        ),
        ("a: [1\nb: 2\n", "s.yaml: is not usable YAML at line 2, column 2: did not find expected ',' or ']'"),
        (
            "a:\n\t- b\n",
            "s.yaml: is not usable YAML at line 2, column 1: found character that cannot start any token",
        ),
        ("a: *b\n", "s.yaml: is not usable YAML at line 1, column 4: found undefined alias"),
        ("a: &a [*a]\n", "s.yaml: has an alias inside of what it stands for; write it out"),
        ("a: {b: 1,\n  b: 2}\n", 's.yaml: has the key "b" twice in one mapping at line 2, column 3; remove one'),
        (
            bomb(),
            "s.yaml: has more than 200000 values with its aliases written out; split it or use fewer",
        ),
        ("a: " + "9" * 5000, "s.yaml: has a number or tagged value that cannot be read; write it in quotes"),
        (b"a: \xff", "s.yaml: is not UTF-8 text (byte 3); save it as UTF-8"),
        (b"a: \x00", "s.yaml: is not YAML: control characters are not allowed"),
        (b"#" * (MAX_BYTES + 1), "s.yaml: is larger than 5 MB; split it into several files"),
    ],
)
def test_unusable_file_gives_one_line(write, text: str | bytes, line: str) -> None:
    assert problems(write(text)) == [line]


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object:os.system {}",
        "{[a]: b}",
        "a: {<<: 1}",
        "!!binary x",
        "!!set [a]",
        "!!omap [a]",
        "!!int x",
        "!!int ''",
        "!!float ''",
        "!!bool x",
        "!!timestamp x",
        "0b_",
    ],
)
def test_yaml_that_is_no_plain_data_is_refused(write, text: str) -> None:
    (line,) = problems(write(text))
    assert line.startswith("s.yaml: ")
    assert "\n" not in line


@pytest.mark.parametrize("text", [f"[{'1,' * 101}]", "--- 1\n" * 101, "---\n" * 101])
def test_too_many_values_are_refused(write, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(manifests, "MAX_NODES", 100)
    (line,) = problems(write(text))
    assert line.startswith("s.yaml: has more than 100 values")


def test_too_many_values_are_refused_before_they_are_composed(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_NODES", 100)
    monkeypatch.setattr(manifests, "_MAX_EVENTS", 400)
    assert problems(write(f"[{'1,' * 500}]")) == ["s.yaml: has more than 100 values; split it into several files"]


def test_deep_nesting_is_refused(write) -> None:
    (line,) = problems(write("[" * 100_000))
    assert line == "s.yaml: is nested more than 100 levels deep; write it flatter"


def test_depth_is_counted_through_aliases(write) -> None:
    chain = "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200))
    (line,) = problems(write(f"a0: &a0 x\n{chain}"))
    assert line == "s.yaml: is nested more than 100 levels deep; write it flatter"


def test_same_name_twice(write) -> None:
    found = problems(write(MODELS + SERVICE + "---\n" + SERVICE + "---\n" + MODELS))
    assert found == [
        's.yaml, document 4: metadata.name: is "helmet", the name of another JointInferenceService in namespace default;'
        " write another name",
        's.yaml, document 5: metadata.name: is "big", the name of another Model in namespace default; write another name',
        's.yaml, document 6: metadata.name: is "little", the name of another Model in namespace default; write another name',
    ]


def test_path_that_is_no_readable_file(tmp_path: Path, write) -> None:
    service = write(SERVICE)
    (tmp_path / "folder").mkdir()
    assert problems(Path("none.yaml"), Path("folder"), service) == [
        "none.yaml: there is no such file; check the path",
        "folder: is a directory; name the YAML files in it",
    ]
    assert problems(Path("s.yaml/x")) == [
        "s.yaml/x: cannot be read (Not a directory); check the path and its permissions"
    ]


def test_no_path_at_all() -> None:
    assert problems() == ["no file: has no JointInferenceService; write a document with kind: JointInferenceService"]


def test_scalars_are_read_as_kubectl_does(write) -> None:
    env = "[{name: A, value: 10:30}, {name: B, value: 2025-11-21}, {name: C, value: 1:20.5}]"
    text = MODELS + SERVICE.replace("{name: edge, image: i}", f"{{name: edge, image: i, env: {env}}}")
    worker = load_manifests([write(text)]).services[0].spec.edge_worker.template.spec.containers[0]
    assert [variable.value for variable in worker.env or ()] == ["10:30", "2025-11-21", "1:20.5"]


def test_aliases_and_merges_within_bounds_work(write) -> None:
    merged = SERVICE.replace(
        "template: {spec: {containers: [{name: edge, image: i}]}}",
        "template: &t {spec: &s {containers: [{name: edge, image: i}]}}",
    )
    merged = merged.replace(
        "template: {spec: {containers: [{name: cloud, image: i}]}}", "template: {spec: {<<: *s, hostNetwork: true}}"
    )
    cloud = load_manifests([write(MODELS + merged)]).services[0].spec.cloud_worker.template.spec
    assert (cloud.host_network, cloud.containers[0].name) == (True, "edge")
