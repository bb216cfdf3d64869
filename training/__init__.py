"""From labelled messages to a released bundle; never imported where Carelane runs."""

import workers.onnx_runtime  # noqa: F401  # silences ONNX Runtime before anything imports it
