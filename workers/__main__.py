"""`python -m workers`: the edge or the cloud worker, as the controller's variables say; what the image runs by itself."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from sedna_py.api.child_names import Role
from sedna_py.errors import SettingsError
from sedna_py.log import configure_logging
from workers.program import leave

LOG = logging.getLogger(__name__)

# Only what a container of one kind gets. The edge comes first: old edge images wanted the cloud's variables as well.
MARKS = ((Role.EDGE, ("BIG_MODEL_IP", "HEM_NAME")), (Role.CLOUD, ("BIG_MODEL_BIND_PORT",)))


def chosen_role(environment: Mapping[str, str]) -> Role:
    """Return which worker this environment is for. Raises SettingsError where it is for neither."""
    for role, names in MARKS:
        if any(environment.get(name) for name in names):
            return role
    raise SettingsError(
        "edge or cloud? Neither BIG_MODEL_IP nor HEM_NAME (edge) nor BIG_MODEL_BIND_PORT (cloud) is set;"
        " set one, or run `python -m workers.edge` or `python -m workers.cloud`"
    )


def run(environment: Mapping[str, str]) -> int:
    """Run that worker; return the process's exit status."""
    try:
        role = chosen_role(environment)
    except SettingsError as error:
        configure_logging(worker="worker")
        LOG.critical("%s", error)
        return 1
    # Each loads packages that the other does without.
    if role is Role.EDGE:
        from workers.edge.__main__ import run as run_worker
    else:
        from workers.cloud.__main__ import run as run_worker
    return run_worker(environment)


if __name__ == "__main__":
    leave(run(os.environ))
