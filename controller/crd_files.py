"""Write the CRDs as files: `python -m controller.crd_files [directory]`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from sedna_py.api.crd import DEFINITIONS, GROUP, custom_resource_definition

CRD_DIRECTORY: Final = Path(__file__).parents[1] / "crds"
_HEADER: Final = "# Made by `make crds` from sedna_py/api; change it there.\n"
_WIDTH: Final = 200
# kustomize takes no single files from outside its own directory. Without an extension `kubectl apply -f crds/` passes it over.
_LIST: Final = "Kustomization"


class _Dumper(yaml.SafeDumper):
    """Writes a part that is there twice twice: kubectl reads no anchors in some of its paths, and people never."""

    def ignore_aliases(self, data: Any) -> bool:
        """Make no anchor for any value."""
        return True

    def words(self, values: list[Any]) -> yaml.SequenceNode:
        """Write a list of texts on one line: deep inside, each line costs 40 bytes before it says anything."""
        flow = all(isinstance(value, str) for value in values)
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flow)


_Dumper.add_representer(list, _Dumper.words)


def crd_files() -> Mapping[str, str]:
    """Return the text of each CRD by file name, and the list of them that kustomize reads."""
    files = {
        f"{GROUP}_{definition.plural}.yaml": _HEADER
        + yaml.dump(
            custom_resource_definition(definition), Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True
        )
        for definition in DEFINITIONS.values()
    }
    return {**files, _LIST: _HEADER + yaml.safe_dump({"resources": sorted(files)})}


def write_crd_files(directory: Path) -> None:
    """Write all CRDs into the directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in crd_files().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_crd_files(Path(sys.argv[1]) if len(sys.argv) > 1 else CRD_DIRECTORY)
