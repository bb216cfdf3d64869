"""ONNX Runtime, told to keep to itself: import it from here.

From 1.29 on its Linux builds write a device id into the home directory and upload usage events to
their maker (github.com/microsoft/onnxruntime/pull/27379). Nothing of a hospital's machines leaves
by Carelane. The library reads the switch once, when it is first imported.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort  # after the switch, on purpose

__all__ = ["ort"]
