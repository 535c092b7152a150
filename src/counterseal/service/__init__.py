"""The server of one domain: stores and forwards, keeps the directory, sequences the log and the
ledger.

It holds no key that opens a message and none that adds a device. Floors: it imports `core`,
`protocol` and `tlog`, never `client`, `access` or `screening`. The HTTP interface is
docs/reference/api.md.
"""
