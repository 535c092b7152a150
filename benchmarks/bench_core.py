"""The compiled floor against its parts: seals, messages, openings. Each table comes from one run in
which both sides take turns.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ("cargo", "run", "--quiet", "--release", "--locked", "--example")

if __name__ == "__main__":
    for example in ("bench_seal", "bench_message", "bench_open"):
        subprocess.run([*BUILD, example], cwd=ROOT, check=True)
