"""`sedna render`: the objects of upstream's examples in full, and what it says where something is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sedna_py import cli

DATA = Path(__file__).parents[1] / "data"
GOLDEN = sorted((DATA / "golden").glob("*.yaml"))
S3 = DATA / "upstream" / "s3.yaml"
HELMETS = DATA / "upstream" / "helmet_detection.yaml"

Render = Callable[..., tuple[int, str, str]]


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Render:
    """Return render(arguments) -> exit status, standard output, standard error."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sedna", "render", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "service.yaml"
        path.write_text(text)
        return path

    return write


def documents(text: str) -> list[str]:
    return text.split("---\n")


def test_every_example_of_upstream_has_its_objects_written_down() -> None:
    assert [path.name for path in GOLDEN] == sorted(path.name for path in (DATA / "upstream").glob("*.yaml"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_an_example_gives_exactly_these_objects(render: Render, golden: Path) -> None:
    assert render(DATA / "upstream" / golden.name) == (0, golden.read_text(), "")


def test_help_shows_an_example(render: Render) -> None:
    status, text, _ = render("--help")
    assert status == 0
    assert "Example: sedna render " in " ".join(text.split())


def test_models_can_be_in_another_file(render: Render, tmp_path: Path) -> None:
    parts = documents(HELMETS.read_text())
    service, models = tmp_path / "service.yaml", tmp_path / "models.yaml"
    service.write_text(parts[-1])
    models.write_text("---\n".join(parts[:-1]))
    assert render(service, "--models", models) == (0, (DATA / "golden" / HELMETS.name).read_text(), "")


def test_what_waits_for_a_model_is_said_and_the_rest_is_printed(render: Render, file: Callable[[str], Path]) -> None:
    without_first = file("---\n".join(documents(HELMETS.read_text())[1:]))
    status, out, err = render(without_first)
    assert status == 1
    assert [(found["kind"], found["metadata"]["name"]) for found in yaml.safe_load_all(out)] == [
        ("Service", "helmet-detection-inference-example-cloud"),
        ("Service", "helmet-detection-inference-example-cloud-pods"),
        ("Deployment", "helmet-detection-inference-example-deployment-edge"),
    ]
    assert err == (
        "default/helmet-detection-inference-example, cloud worker: ModelMissing: Model"
        " default/helmet-detection-inference-big-model does not exist; create it, or write the name of one that does in"
        " spec.cloudWorker.model.name\n"
    )


def test_a_missing_secret_is_said(render: Render, file: Callable[[str], Path]) -> None:
    status, _, err = render(file("---\n".join(documents(S3.read_text())[1:])))
    assert status == 1
    assert err.count("SecretMissing: Secret default/mysecret, credentialName of Model") == 2


def test_nothing_of_a_secret_but_its_annotations_is_used(render: Render, file: Callable[[str], Path]) -> None:
    status, out, err = render(
        file(S3.read_text().replace("play.min.io", "minio:9000").replace('usehttps: "1"', 'usehttps: "0"'))
    )
    assert status == 0
    assert "http://minio:9000" in out
    assert "not-a-real" not in out + err


def test_an_annotation_that_is_no_text_is_pointed_at(render: Render, file: Callable[[str], Path]) -> None:
    status, out, err = render(file(S3.read_text().replace('usehttps: "1"', "usehttps: 0")))
    assert status == 0
    assert "https://play.min.io" in out
    assert "metadata.annotations.s3-usehttps: is 0, not text, and is ignored; write it in quotes" in err


def test_a_file_with_mistakes_gives_nothing(render: Render, file: Callable[[str], Path]) -> None:
    status, out, err = render(file(HELMETS.read_text().replace('name: "IBT"', 'name: "IBTT"')))
    assert (status, out) == (1, "")
    assert "did you mean IBT?" in err


def test_a_password_in_a_url_is_not_said(render: Render, file: Callable[[str], Path]) -> None:
    text = S3.read_text().replace("play.min.io", "https://user:hunter2@minio")
    status, _, err = render(file(text))
    assert status == 1
    assert "SecretInvalid" in err
    assert "hunter2" not in err


def test_a_uid_of_the_file_and_an_image_of_the_caller_are_used(render: Render, file: Callable[[str], Path]) -> None:
    uid = "6b1c6a52-0c38-4d4c-9f86-0d8bb4a9bd55"
    text = S3.read_text().replace("  name: helmet-detection-inference-example\n", f"  name: h\n  uid: {uid}\n")
    status, out, _ = render(file(text), "--storage-initializer-image", "registry/fetch:2")
    assert status == 0
    found = list(yaml.safe_load_all(out))
    assert {document["metadata"]["ownerReferences"][0]["uid"] for document in found} == {uid}
    assert found[0]["spec"]["template"]["spec"]["initContainers"][0]["image"] == "registry/fetch:2"


EXPOSED = "  cloudWorker:\n    expose: {type: NodePort%s}\n"


def test_an_address_that_is_written_is_in_the_edge_and_one_that_a_cluster_chooses_is_asked_for(
    render: Render, file: Callable[[str], Path]
) -> None:
    text = HELMETS.read_text()
    assert text.count("  cloudWorker:\n") == 1
    given = text.replace("  cloudWorker:\n", EXPOSED % ", address: 192.0.2.1, nodePort: 30500")
    status, out, err = render(file(given))
    assert (status, err) == (0, "")
    environment = list(yaml.safe_load_all(out))[-1]["spec"]["template"]["spec"]["containers"][0]["env"]
    values = {variable["name"]: variable.get("value") for variable in environment}
    assert (values["BIG_MODEL_IP"], values["BIG_MODEL_PORT"]) == ("192.0.2.1", "30500")
    status, out, err = render(file(text.replace("  cloudWorker:\n", EXPOSED % "")))
    assert status == 1
    assert [found["kind"] for found in yaml.safe_load_all(out)] == ["Deployment", "Service"]
    assert "edge worker: CloudAddressPending: no node that is ready" in err
