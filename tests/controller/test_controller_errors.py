"""The errors are those of the tree that is drawn above them."""

from __future__ import annotations

import re

from controller import errors


def test_every_error_is_in_the_tree_at_its_place() -> None:
    def below(kind: type[Exception], depth: int) -> list[tuple[int, str]]:
        found = [(depth, kind.__name__)]
        for child in kind.__subclasses__():
            found += below(child, depth + 1)
        return found

    import controller.app  # with it all modules that may define one

    assert controller.app.Controller
    drawn = re.findall(r"^([│├└─ ]*)(\w+)(?:  .*|)$", (errors.__doc__ or "").split("\n\n", 1)[1], re.MULTILINE)
    assert sorted((len(branch) // 4, name) for branch, name in drawn) == sorted(below(errors.ControllerError, 0))
