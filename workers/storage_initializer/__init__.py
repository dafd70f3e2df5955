"""Brings models into an empty volume before a worker starts: `python -m workers.storage_initializer URL DIR [URL DIR ...]`."""
