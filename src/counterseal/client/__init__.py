"""A member's device: its folder, its conversations, its outbox, and what it asks of everything the
service hands it.

The service is trusted with delivery and with nothing else: charters, keysets, accounts and periods
count only when the log proves them, and a frame is shown only when every rule of docs/protocol.md
section 5 holds. Floors: this package imports `core`, `protocol` and `tlog`, never `service` or
`access`.
"""
