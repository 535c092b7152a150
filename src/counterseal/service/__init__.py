"""The server of one domain: stores and forwards, keeps the directory, sequences the log and the
ledger.

It has no key that opens a message and none that adds a device. A request goes through api/ (bytes
to a typed call of wire/), is decided in decisions/ (no I/O) inside of a job of store/ (durable
before it is answered), and is told to connected devices by delivery.py. app.py puts the parts
together; each is given only what it needs. The HTTP interface is docs/reference/api.md.
"""
