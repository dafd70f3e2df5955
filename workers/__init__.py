"""The two worker programs: `python -m workers.edge` and `python -m workers.cloud`."""
