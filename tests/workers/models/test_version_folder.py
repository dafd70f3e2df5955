"""Which version MODEL_URL means, and what counts as a change of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sedna_py.errors import ModelError, SettingsError
from workers.inference.model_files import find_model_file
from workers.models import listing
from workers.models.listing import look
from workers.models.version_folder import (
    FileMark,
    Listing,
    ModelPlace,
    belongs,
    fingerprint,
    one_model,
    parse_version,
    survey,
)

MODEL = (FileMark("m.xml", 10, 1, 1), FileMark("m.bin", 20, 1, 2))


def put(folder: Path, *names: str, text: str = "x") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text)
    return folder


def versions_at(place: ModelPlace, folders: dict[int, tuple[FileMark, ...] | str]) -> list[str]:
    return [candidate.version for candidate in survey(Listing(Path("/m"), versions=folders), place).candidates]


def test_the_highest_number_comes_first_and_empty_folders_are_no_candidates() -> None:
    found = survey(Listing(Path("/m"), versions={9: MODEL, 10: MODEL, 11: ()}), ModelPlace("/m"))
    assert [(c.version, c.path) for c in found.candidates] == [("10", Path("/m/10")), ("9", Path("/m/9"))]
    assert found.present == {"9", "10", "11"}
    assert found.problem is None


def test_a_pinned_version_is_the_only_candidate() -> None:
    assert versions_at(ModelPlace("/m", version=9), {9: MODEL, 10: MODEL}) == ["9"]
    missing = survey(Listing(Path("/m"), versions={9: MODEL}), ModelPlace("/m", version=3))
    assert missing.candidates == ()
    assert missing.problem is not None
    assert "no version 3 with files in it (folders: 9)" in missing.problem


def test_a_version_that_cannot_be_served_says_why() -> None:
    two = (*MODEL, FileMark("n.onnx", 1, 1, 3))
    found = survey(Listing(Path("/m"), versions={1: MODEL, 2: two, 3: "cannot read it"}), ModelPlace("/m"))
    third, second, first = (candidate.problem for candidate in found.candidates)
    assert third == "cannot read it"
    assert second is not None
    assert "'/m/2' cannot be served: it holds 2 models (m.xml, n.onnx)" in second
    assert first is None


def test_code_of_the_users_own_may_have_a_model_of_any_files() -> None:
    weights = (FileMark("weights.pkl", 1, 1, 1),)
    listed = Listing(Path("/m"), ("estimator.py", "helper.onnx"), versions={4: weights})
    found = survey(listed, ModelPlace("/m", any_files=True))
    assert [(c.version, c.problem) for c in found.candidates] == [("4", None)]


@pytest.mark.parametrize(("text", "version"), [("latest", None), ("", None), ("LATEST ", None), ("3", 3), (" 12", 12)])
def test_a_version_is_latest_or_a_number(text: str, version: int | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["0", "-1", "01", "v3", "1.5", "٣", "9" * 30])
def test_another_version_says_what_to_write(text: str) -> None:
    with pytest.raises(SettingsError, match=r"MODEL_VERSION is .*; write latest, or the number of a version folder"):
        parse_version(text)


def test_a_fingerprint_changes_with_each_property_of_each_file_and_not_with_their_order() -> None:
    one, other = MODEL
    changed = [FileMark("n.bin", 20, 1, 2), FileMark("m.bin", 21, 1, 2), FileMark("m.bin", 20, 2, 2)]
    changed += [FileMark("m.bin", 20, 1, 3)]
    prints = {fingerprint(MODEL), fingerprint([one]), *(fingerprint([one, file]) for file in changed)}
    assert len(prints) == 6
    assert fingerprint([other, one]) == fingerprint(MODEL)


def test_the_files_of_a_model_are_its_weights_its_external_data_and_their_checksums() -> None:
    names = [
        "a.xml",
        "a.bin",
        "a.xml.sha256",
        "a.bin.sha256",
        "a.sha256",
        "SHA256SUMS",
        "ab.bin",
        "b.xml",
        "labels.txt",
    ]
    assert [name for name in names if belongs(name, "a.xml")] == names[:6]
    assert belongs("a.onnx.data", "a.onnx")
    assert belongs("a.onnx_data", "a.onnx")


@pytest.mark.parametrize("names", [["a.xml", "a.bin"], ["a.xml", "b.onnx"], ["a.bin"], ["a.tflite", "b.txt"]])
@pytest.mark.parametrize("chosen", [None, "a.xml", "b.txt"])
def test_the_rule_for_one_model_is_that_of_the_inference(tmp_path: Path, names: list[str], chosen: str | None) -> None:
    put(tmp_path, *names)
    try:
        expected: str | None = find_model_file(str(tmp_path), chosen).name
    except ModelError:
        expected = None
    found = look(ModelPlace(str(tmp_path), chosen))
    assert [candidate.problem for candidate in found.candidates] == ([None] if expected else [])
    if expected:
        assert one_model(names, ModelPlace("", chosen)) == expected
        assert found.candidates[0].model == expected


def test_a_file_and_a_folder_with_one_model_are_version_1(tmp_path: Path) -> None:
    put(tmp_path, "m.xml", "m.bin", "other.onnx")
    put(tmp_path / "3", "n.xml")
    (file,) = look(ModelPlace(str(tmp_path / "m.xml"))).candidates
    assert (file.version, file.path, file.files) == ("1", tmp_path / "m.xml", ("m.bin", "m.xml"))
    (named,) = look(ModelPlace(str(tmp_path), "m.xml")).candidates  # also where there are folders with numbers
    assert (named.version, named.path, named.fingerprint) == ("1", tmp_path, file.fingerprint)
    pinned = look(ModelPlace(str(tmp_path / "m.xml"), version=3))
    assert pinned.problem is not None
    assert "make a folder 3/ there" in pinned.problem


def test_the_model_name_chooses_inside_of_a_version_folder(tmp_path: Path) -> None:
    put(tmp_path / "1", "a.xml", "b.xml")
    (chosen,) = look(ModelPlace(str(tmp_path), "b.xml")).candidates
    assert chosen.problem is None


def test_folders_of_other_names_and_dotfiles_are_no_versions(tmp_path: Path) -> None:
    for name in ("1", "02", "0", "v4", ".5", "..6"):
        put(tmp_path / name, "m.xml", ".m.bin.part")
    (tmp_path / "7").write_text("a file")
    (tmp_path / "8").symlink_to("8")
    found = look(ModelPlace(str(tmp_path)))
    assert found.present == {"1"}
    assert found.candidates[0].files == ("m.xml",)


def replace_weights(place: Path) -> None:
    put(place, "new", text="other")
    (place / "new").replace(place / "m.bin")


def touch_weights(place: Path) -> None:
    os.utime(place / "m.bin", ns=(1, 1))


def add_checksum(place: Path) -> None:
    put(place, "m.bin.sha256")


@pytest.mark.parametrize("change", [replace_weights, touch_weights, add_checksum])
@pytest.mark.parametrize("url", ["", "m.xml"])
def test_a_change_beside_the_xml_is_seen(tmp_path: Path, change: Callable[[Path], None], url: str) -> None:
    place = ModelPlace(str(put(tmp_path, "m.xml", "m.bin") / url))
    before = look(place).candidates[0]
    assert look(place).candidates[0] == before
    put(tmp_path, ".m.xml.part", "labels.txt")  # neither is the model
    assert look(place).candidates[0] == before
    change(tmp_path)
    assert look(place).candidates[0].fingerprint != before.fingerprint


def test_any_file_of_a_version_folder_counts_but_not_what_python_keeps(tmp_path: Path) -> None:
    put(tmp_path / "1" / "variables", "part-0")
    put(tmp_path / "1", "m.xml")
    before = look(ModelPlace(str(tmp_path))).candidates[0]
    assert before.files == ("m.xml", "variables/part-0")
    put(tmp_path / "1" / "__pycache__", "estimator.pyc")
    assert look(ModelPlace(str(tmp_path))).candidates[0] == before
    put(tmp_path / "1" / "variables", "part-0", text="other")
    assert look(ModelPlace(str(tmp_path))).candidates[0].fingerprint != before.fingerprint


def test_swapped_links_are_a_change_of_version_folders_of_files_and_of_kubernetes_volumes(tmp_path: Path) -> None:
    """Equal sizes and times: only the files behind the links are others."""
    for name in ("..old", "..new"):
        put(tmp_path / name, "m.xml", "m.bin")
        for file in ("m.xml", "m.bin"):
            os.utime(tmp_path / name / file, ns=(1, 1))
    (tmp_path / "..data").symlink_to("..old")
    (tmp_path / "1").symlink_to("..data")
    for name in ("m.xml", "m.bin"):
        put(tmp_path / "volume")
        (tmp_path / "volume" / name).symlink_to(f"../..data/{name}")
    places = [ModelPlace(str(tmp_path / end)) for end in ("", "volume", "volume/m.xml", "..data", "..data/m.xml")]
    before = [look(place).candidates[0].fingerprint for place in places]
    (tmp_path / "..tmp").symlink_to("..new")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    after = [look(place).candidates[0].fingerprint for place in places]
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_what_cannot_be_looked_at_is_a_problem_and_no_exception(tmp_path: Path) -> None:
    missing = look(ModelPlace(str(tmp_path / "missing")))
    assert missing.problem is not None
    assert "no model at" in missing.problem
    too_long = look(ModelPlace("/" + "x" * 300))
    assert too_long.problem is not None
    assert "name too long" in too_long.problem
    put(tmp_path / "1")
    nothing = look(ModelPlace(str(tmp_path)))
    assert nothing.problem is not None
    assert "no version with files in it (folders: 1)" in nothing.problem
    assert nothing.present == {"1"}
    shutil.rmtree(tmp_path / "1")
    empty = look(ModelPlace(str(tmp_path)))
    assert empty.problem is not None
    assert "it holds 0 models (none)" in empty.problem


def test_a_version_of_too_many_files_is_unusable_and_circles_of_links_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_FILES", 20)
    put(tmp_path / "1", "m.xml")
    (tmp_path / "1" / "again").symlink_to(".")
    put(tmp_path / "2", *(f"{number}.txt" for number in range(21)))
    second, first = look(ModelPlace(str(tmp_path))).candidates
    assert second.problem is not None
    assert "more than 20 files" in second.problem
    assert len(first.files) == listing.DEEPEST


def test_only_the_highest_versions_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_VERSIONS", 2)
    for number in (1, 9, 10):
        put(tmp_path / str(number), "m.xml")
    assert [candidate.version for candidate in look(ModelPlace(str(tmp_path))).candidates] == ["10", "9"]
    assert [candidate.version for candidate in look(ModelPlace(str(tmp_path), version=1)).candidates] == ["1"]
