"""The Open Inference Protocol, version 2 (REST), with the binary tensor data extension: both directions, no IO.

Bodies are read and written by `request`, `response` and `metadata`; `pictures` is what an edge says to a server that
takes encoded pictures. Below them: `tensors` (types and bounds), `json_form` and `binary_form` (the two ways in which a
tensor's data is sent) and `envelope` (the JSON object and the binary data behind it).

Facts from KServe's specification of the REST protocol and Triton's description of the extension. Where they leave a
choice: BYTES in JSON is plain UTF-8 text, or base64 where the tensor's `content_type` says so (MLServer's way); FP16 goes
in the binary form only; BF16 is not spoken; numbers in JSON are finite and are not converted between kinds (an integer
may stand for a float).
"""
