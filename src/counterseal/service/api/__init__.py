"""The HTTP interface, one file a resource: bytes in, a typed call, bytes out
(docs/reference/api.md).
"""
