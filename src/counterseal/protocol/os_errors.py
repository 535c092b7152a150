"""What an error of the operating system means: its class, and a sentence for people with the file
and what to do. The classes are those of `errors`.
"""

from __future__ import annotations

import errno
from os import PathLike, fsdecode

from .errors import BadInput, CountersealError, Unavailable


def error_from_os(error: OSError, path: str | PathLike[str] | None = None) -> CountersealError:
    """The error that a failed call of the operating system means: `Unavailable` where the same
    call may succeed later (a full disk, a network), `BadInput` for a file that cannot be used.
    """
    message = describe_os_error(error, path)
    if _is_network(error):
        return Unavailable(message, code="network")
    if error.errno in _LATER:
        return Unavailable(message, code="system")
    return BadInput(message, code="file")


def describe_os_error(error: OSError, path: str | PathLike[str] | None = None) -> str:
    """A sentence or two for a person: what failed, on which file, and what to do about it. `path`
    is for an error that does not name its file.
    """
    named = path if path is not None else error.filename
    if _is_network(error):
        return _network(error)
    if named is None:
        return f"The system refused: {_reason(error)}."

    # a file's name may be bytes that are no text, and a descriptor is a number
    name = fsdecode(named) if isinstance(named, bytes | PathLike | str) else f"file {named}"
    what, todo = _FILES.get(error.errno or 0, (None, None))
    if what is None:
        return f"{name} cannot be used: {_reason(error)}."
    return f"{what.format(name)}; {todo}."


_LATER = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EAGAIN)

_FILES = {
    errno.ENOENT: ("There is no {}", "check the name, and the folder that it is in"),
    errno.EISDIR: ("{} is a folder", "name a file"),
    errno.ENOTDIR: ("{} leads through a file", "name a folder where a folder is meant"),
    errno.EACCES: ("{} may not be used by this user", "check its owner and its permissions"),
    errno.EPERM: ("{} may not be used by this user", "check its owner and its permissions"),
    errno.EEXIST: ("{} exists already", "name another place, or move it away first"),
    errno.ENOTEMPTY: ("{} is not empty", "name another place, or empty it first"),
    errno.EROFS: ("{} is on a disk that cannot be written", "name another place"),
    errno.ENAMETOOLONG: ("The name {} is too long", "name another"),
    errno.ELOOP: ("{} is a link that leads back to itself", "name the file itself"),
    errno.ENOSPC: ("There is no space left for {}", "make room, then do this again"),
    errno.EDQUOT: ("There is no space left for {}", "make room, then do this again"),
    errno.EIO: ("The disk failed at {}", "check the disk before it is used again"),
    errno.EMFILE: ("{} cannot be opened: too many files are open", "close some programs"),
    errno.ENFILE: ("{} cannot be opened: too many files are open", "close some programs"),
}
"""What failed, and what to do, by the system's error number."""

_NETWORK = (
    errno.EADDRINUSE,
    errno.EADDRNOTAVAIL,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
)

_ADDRESSES = {
    errno.EADDRINUSE: "The address is in use by another program; choose another port.",
    errno.EADDRNOTAVAIL: "The address is not one of this machine's; choose another.",
}


def _is_network(error: OSError) -> bool:
    return (
        isinstance(error, ConnectionError | TimeoutError)
        or error.errno in _NETWORK
        # errors of host names and of TLS, whose numbers are not the system's
        or type(error).__module__ in ("socket", "ssl")
    )


def _network(error: OSError) -> str:
    return _ADDRESSES.get(
        error.errno or 0,
        f"The network failed: {_reason(error)}; check the address, then do this again.",
    )


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
