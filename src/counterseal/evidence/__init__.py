"""What an opening leaves behind: a bag that anybody can check with the log's, the ledger's and the
witnesses' keys alone.

`bag` is BagIt (RFC 8493) and knows nothing of messages; `records` are the files inside; `messages`
and `transcript` are what people read; `package` writes; `verify` recomputes everything from the raw
material. Layout and rules: docs/reference/evidence.md.
"""
