"""Upstream's import paths: after `install()`, `from sedna.core.joint_inference import JointInference` gives ours."""

from sedna_py.compat.finder import install, uninstall

__all__ = ["install", "uninstall"]
