"""The transparency log: trees, proofs, checkpoints, witnesses, tiles, the sequencer, the ledger and
the directory.

Reads and writes the C2SP formats (tlog-tiles v0.1.0, tlog-checkpoint v1.0.0, tlog-cosignature
v1.1.0-rc.1, tlog-witness v1.0.0, signed-note v1.0.0). The formats and every numbered rule are in
docs/tlog.md.
"""
