"""Cloud-edge joint inference: what a worker script imports."""

__version__ = "0.1.0"
