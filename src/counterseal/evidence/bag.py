"""BagIt 1.0 (RFC 8493) with SHA-256, written in one go and read back without trust.

A bag is written into a folder beside its place, synced, and renamed: there is a whole bag or none.
Only its owner may look into it. Reading follows no link and knows only the file names this package
writes: letters, digits, dot, hyphen, underscore, parted by slashes.

| rule | finds |
| --- | --- |
| B2 | a file that is missing, was added, was altered, or is no plain file; manifests or tag files |
|    | of another form |
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from counterseal.evidence.findings import Findings
from counterseal.protocol.errors import BadInput, Conflict, FatalError, NotFound

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
INFO = "bag-info.txt"
_BLOCK = 1 << 20
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
# bytes of a manifest: room for about 400,000 files
_TEXT_MAX = 64 << 20


class PayloadStream:
    """A payload file under way: what is written is hashed as it goes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.hashed, self.size = file, hashlib.sha256(), 0

    def write(self, piece: bytes) -> None:
        """Appends bytes."""
        self._file.write(piece)
        self.hashed.update(piece)
        self.size += len(piece)


class BagWriter:
    """A bag in the making. As a context manager it leaves nothing behind when it was not sealed."""

    def __init__(self, place: Path) -> None:
        """`place` is where the bag will be. Raises `Conflict` if something is there already:
        evidence is never overwritten.
        """
        if place.exists() or place.is_symlink():
            raise Conflict(
                f"{place} is there already; evidence is not overwritten. Choose another folder.",
                code="bag-there",
            )
        self._place = place
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(place)
            prefix = f".{place.name}.{os.getpid()}."
            self.folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=place.parent))
        except OSError as error:
            raise BadInput(f"No bag can be made at {place}: {error.strerror}.") from None
        self._digests: dict[str, str] = {}
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def add(self, name: str, data: bytes) -> bytes:
        """Writes the payload file `data/NAME`; returns its SHA-256 (32 bytes)."""
        with self.stream(name) as stream:
            stream.write(data)
        return bytes.fromhex(self._digests[f"data/{name}"])

    @contextmanager
    def stream(self, name: str) -> Iterator[PayloadStream]:
        """Opens the payload file `data/NAME` to be written piece by piece; it is in the manifest
        when the context ends.
        """
        name = f"data/{name}"
        if not _NAME.fullmatch(name) or name in self._digests:
            raise AssertionError(f"{name!r} is no name for a new file of a bag")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            stream = PayloadStream(file)
            yield stream
        self._bytes += stream.size
        self._digests[name] = stream.hashed.hexdigest()

    def read_back(self) -> Bag:
        """The payload files written so far, to be read as a bag's."""
        return Bag(self.folder, dict(self._digests))

    def manifest(self) -> bytes:
        """The payload manifest as it is now."""
        return _manifest(self._digests)

    def finish(self, info: Mapping[str, str], tags: Mapping[str, bytes]) -> None:
        """Writes the tag files: declaration, `info`, both manifests, and further `tags` by name.
        Nothing can be added afterwards.
        """
        oxum = {"Payload-Oxum": f"{self._bytes}.{len(self._digests)}"}
        lines = "".join(f"{key}: {_one_line(value)}\n" for key, value in {**info, **oxum}.items())
        files = {"bagit.txt": DECLARATION, INFO: lines.encode(), MANIFEST: self.manifest(), **tags}
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        (self.folder / TAG_MANIFEST).write_bytes(_manifest(digests))

    def publish(self) -> None:
        """Makes the finished bag durable and moves it to its place. Raises `Conflict` or
        `FatalError` (disk).
        """
        try:
            _sync_tree(self.folder)
            # a rename would replace an empty folder in silence
            if self._place.exists():
                raise Conflict(
                    f"{self._place} appeared meanwhile; evidence is not overwritten.",
                    code="bag-there",
                )
            self.folder.rename(self._place)
            _sync(self._place.parent)
        except OSError as error:
            raise FatalError(
                f"The bag {self._place} could not be written durably ({error.strerror}).",
                code="disk",
            ) from error


def _remove_leftovers(place: Path) -> None:
    """Removes what a run that was cut off left behind: private messages, in a folder that nobody
    looks into.
    """
    for folder in place.parent.glob(f".{glob.escape(place.name)}.*.part"):
        owner = folder.name.removeprefix(f".{place.name}.").split(".")[0]
        if owner.isascii() and owner.isdigit() and not _runs(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # somebody else's, so it runs
        return True
    return True


def _manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Bag:
    """A bag on disk. `digests` are its payload files by name, as its manifest lists them (hex
    SHA-256).
    """

    def __init__(self, folder: Path, digests: dict[str, str]) -> None:
        self.folder, self.digests = folder, digests

    def has(self, name: str) -> bool:
        """Whether the manifest lists `data/NAME` and a plain file is there."""
        return f"data/{name}" in self.digests and _is_plain(self.folder, f"data/{name}")

    def names(self, folder: str) -> list[str]:
        """The payload files below `data/FOLDER/`, without `data/`, sorted: the union of what is
        listed and what is there.
        """
        listed = {name.removeprefix("data/") for name in self.digests}
        there = {name.removeprefix("data/") for name in _files(self.folder / "data", self.folder)}
        return sorted(name for name in listed | there if name.startswith(f"{folder}/"))

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of `data/NAME`, at most `limit`. Raises `NotFound` or `BadInput`."""
        return read_plain(self.folder, f"data/{name}", limit)

    def open(self, name: str) -> BinaryIO:
        """`data/NAME` as a stream. Raises `NotFound` if it is no plain file."""
        if not _is_plain(self.folder, f"data/{name}"):
            raise NotFound(f"There is no data/{name} in the bag.")
        return (self.folder / "data" / name).open("rb")


def read_plain(folder: Path, name: str, limit: int) -> bytes:
    """The bytes of the bag's file `name`, at most `limit`. Raises `NotFound` or `BadInput`; follows
    no link.
    """
    if not _is_plain(folder, name):
        raise NotFound(f"There is no plain file {name} in the bag.")
    with (folder / name).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadInput(f"{name} is larger than the {limit} bytes that it may have.")
    return data


def open_bag(folder: Path, findings: Findings) -> Bag:
    """Reads and hashes the whole bag; every departure is a fault B2. Raises `NotFound` for a folder
    that is no bag at all.
    """
    if not (folder / MANIFEST).is_file():
        raise NotFound(f"{folder} is no evidence bag: it has no {MANIFEST}.")
    if not _is_plain(folder, "bagit.txt") or read_plain(folder, "bagit.txt", 1024) != DECLARATION:
        findings.fault("B2", "bagit.txt", "it does not declare BagIt 1.0 in UTF-8.")
    payload = _listed(folder, MANIFEST, findings)
    tags = _listed(folder, TAG_MANIFEST, findings)
    there = set(_files(folder, folder))
    total = _compare(
        folder, payload, {name for name in there if name.startswith("data/")}, MANIFEST, findings
    )
    loose = {name for name in there if not name.startswith("data/")} - {TAG_MANIFEST}
    _compare(folder, tags, loose, TAG_MANIFEST, findings)
    for name in ("bagit.txt", INFO, MANIFEST):
        if name not in tags:
            findings.fault("B2", TAG_MANIFEST, f"it does not list {name}.")
    oxum = read_info(folder, findings).get("Payload-Oxum")
    if oxum != f"{total}.{len(payload)}":
        findings.fault(
            "B2", INFO, f"it counts {oxum} (bytes.files), the payload has {total}.{len(payload)}."
        )
    return Bag(folder, payload)


def read_info(folder: Path, findings: Findings) -> dict[str, str]:
    """The bag's information by label. A line of another form is a fault B2."""
    info: dict[str, str] = {}
    with findings.under("B2", INFO):
        for line in _text(folder, INFO).splitlines():
            label, colon, value = line.partition(": ")
            if not colon or label in info:
                findings.fault(
                    "B2",
                    INFO,
                    f"the line {line[:80]!r} is no label and value, or its label was there before.",
                )
            info[label] = value
    return info


def _listed(folder: Path, manifest: str, findings: Findings) -> dict[str, str]:
    digests: dict[str, str] = {}
    with findings.under("B2", manifest):
        for line in _text(folder, manifest).split("\n")[:-1]:
            match = _LINE.fullmatch(line)
            if match is None or not _NAME.fullmatch(match[2]) or match[2] in digests:
                findings.fault(
                    "B2",
                    manifest,
                    f"the line {line[:160]!r} is no digest and name, or its name was there before.",
                )
                continue
            digests[match[2]] = match[1]
    return digests


def _text(folder: Path, name: str) -> str:
    try:
        return read_plain(folder, name, _TEXT_MAX).decode()
    except UnicodeDecodeError:
        raise BadInput(f"{name} is not UTF-8 text.") from None


def _compare(
    folder: Path, listed: Mapping[str, str], there: set[str], manifest: str, findings: Findings
) -> int:
    """Compares files with a manifest and returns the number of bytes that it lists and that are
    there.
    """
    total = 0
    for name in sorted(there - listed.keys()):
        findings.fault(
            "B2", name, f"this file is in the bag and {manifest} does not list it: it was added."
        )
    for name in sorted(listed):
        if name not in there or not _is_plain(folder, name):
            findings.fault(
                "B2",
                name,
                f"{manifest} lists this file and there is no plain file of that name: it is"
                " missing.",
            )
            continue
        digest, size = _hash(folder / name)
        total += size
        if digest != listed[name]:
            findings.fault(
                "B2", name, f"its bytes are not those that {manifest} names: it was altered."
            )
    return total


def _hash(path: Path) -> tuple[str, int]:
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_BLOCK):
            hashed.update(piece)
            size += len(piece)
    return hashed.hexdigest(), size


def _files(start: Path, root: Path) -> list[str]:
    """Everything below `start` that is no folder, by its name from `root`; links are listed and not
    followed.
    """
    found: list[str] = []
    for base, folders, files in os.walk(start):
        here = Path(base)
        linked = [name for name in folders if (here / name).is_symlink()]
        found += [(here / name).relative_to(root).as_posix() for name in (*files, *linked)]
    return found


def _is_plain(folder: Path, name: str) -> bool:
    """Whether `name` is a file in the bag, with no link on the way to it."""
    path = folder
    for part in name.split("/"):
        path = path / part
        if path.is_symlink():
            return False
    return path.is_file()
