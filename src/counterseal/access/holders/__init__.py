"""Holders of shares: the custodian's member, who reads and decides, and the witness, which makes no
decision. Both pass the same checks before they give a share.

What they run imports `protocol`, `wire`, `tlog`, `describe`, `cryptography`, `msgspec` and the
standard library, and nothing else, so that its owner can read all of it.
"""
