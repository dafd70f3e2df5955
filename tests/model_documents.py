"""The Models of services that tests write."""

from __future__ import annotations

from typing import Final

LITTLE_AND_BIG: Final = """
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: little, namespace: default}
spec: {url: /models/little, format: any}
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: big, namespace: default}
spec: {url: /models/big, format: any}
---
"""
