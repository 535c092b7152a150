"""Accounts, their chains, their devices and their key packages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apsw
import msgspec

from counterseal.protocol.errors import Conflict, NotFound


class AccountRow(msgspec.Struct, frozen=True):
    """An account: id (32 bytes), handle, display name, and how many statements follow its first."""

    id: bytes
    handle: str
    display: str
    statements: int


class ChainRow(msgspec.Struct, frozen=True):
    """One statement of a chain: `kind` is "account", "device", "device-revoked" or
    "account-key".
    """

    kind: str
    statement: bytes
    possession: bytes | None
    log_index: int


class KeyPackage(msgspec.Struct, frozen=True):
    """A key package as it was uploaded, with its KeyPackageRef."""

    ref: bytes
    package: bytes
    last_resort: bool


def find(db: apsw.Connection, account: bytes) -> AccountRow | None:
    """The account with this id, or None."""
    row = db.execute(
        "SELECT id, handle, display, statements FROM accounts WHERE id = ?", (account,)
    ).fetchone()
    return AccountRow(*row) if row else None


def get(db: apsw.Connection, account: bytes) -> AccountRow:
    """The account with this id. Raises `NotFound` "account"."""
    found = find(db, account)
    if found is None:
        raise NotFound("There is no such account here.", code="account")
    return found


def by_handle(db: apsw.Connection, handle: str) -> bytes | None:
    """The id of the account with this handle, or None."""
    row = db.execute("SELECT id FROM accounts WHERE handle = ?", (handle,)).fetchone()
    return bytes(row[0]) if row else None


def everybody(db: apsw.Connection) -> Iterator[tuple[str, bytes, bytes]]:
    """(handle, id, chain head) of every account."""
    yield from db.execute("SELECT handle, id, head FROM accounts")


def chain(db: apsw.Connection, account: bytes) -> list[ChainRow]:
    """The account's statements in order."""
    sql = (
        "SELECT kind, statement, possession, log_index FROM chain WHERE account = ? ORDER BY number"
    )
    return [ChainRow(*row) for row in db.execute(sql, (account,))]


def create(db: apsw.Connection, account: bytes, handle: str) -> None:
    """A new account. Raises `Conflict` "handle" or "account"."""
    if by_handle(db, handle) is not None:
        raise Conflict("This handle is taken; choose another.", code="handle")
    if find(db, account) is not None:
        raise Conflict("This account exists already.", code="account")
    db.execute(
        "INSERT INTO accounts (id, handle, display, statements, head) VALUES (?, ?, '', -1, ?)",
        (account, handle, account),
    )


def extend(db: apsw.Connection, account: bytes, number: int, head: bytes, row: ChainRow) -> None:
    """Adds statement `number` (0 is the account's first) with its digest. Raises `Conflict` "chain"
    when that is not the next.
    """
    known = get(db, account)
    if known.statements + 1 != number:
        raise Conflict(
            "Another statement of this account came first; fetch the chain and build on it.",
            code="chain",
        )
    sql = "INSERT INTO chain (account, number, kind, statement, possession, log_index) VALUES (?, ?, ?, ?, ?, ?)"
    db.execute(sql, (account, number, row.kind, row.statement, row.possession, row.log_index))
    db.execute("UPDATE accounts SET statements = ?, head = ? WHERE id = ?", (number, head, account))


def set_display(db: apsw.Connection, account: bytes, display: str) -> None:
    """Sets the name that an account shows."""
    db.execute("UPDATE accounts SET display = ? WHERE id = ?", (display, account))


def add_device(db: apsw.Connection, account: bytes, device: bytes) -> None:
    """A device of the account. Raises `Conflict` "device" if any account has had this key."""
    if db.execute("SELECT 1 FROM devices WHERE device = ?", (device,)).fetchone():
        raise Conflict(
            "This device key belongs to an account already; draw a new one.", code="device"
        )
    db.execute("INSERT INTO devices (device, account, revoked) VALUES (?, ?, 0)", (device, account))


def revoke_device(db: apsw.Connection, device: bytes) -> None:
    """Marks a device as revoked and takes its key packages out of circulation."""
    db.execute("UPDATE devices SET revoked = 1 WHERE device = ?", (device,))
    db.execute("DELETE FROM key_packages WHERE device = ? AND claimed = 0", (device,))


def device(db: apsw.Connection, key: bytes) -> tuple[bytes, bool] | None:
    """(account, revoked) of a device key, or None."""
    row = db.execute("SELECT account, revoked FROM devices WHERE device = ?", (key,)).fetchone()
    return (bytes(row[0]), bool(row[1])) if row else None


def is_active(db: apsw.Connection, key: bytes) -> bool:
    """Whether the device is known and not revoked."""
    return (
        db.execute("SELECT 1 FROM devices WHERE device = ? AND revoked = 0", (key,)).fetchone()
        is not None
    )


def add_key_packages(
    db: apsw.Connection, device_key: bytes, packages: Iterable[KeyPackage], limit: int
) -> int:
    """Stores key packages; a new last resort takes the old one's place. Gives the one-time packages
    held.

    Raises `Conflict` "too-many-key-packages".
    """
    for package in packages:
        if package.last_resort:
            db.execute(
                "UPDATE key_packages SET claimed = 1 WHERE device = ? AND last_resort = 1",
                (device_key,),
            )
        # the same package again changes nothing: a one-time one that was claimed stays claimed
        db.execute(
            "INSERT INTO key_packages (device, ref, package, last_resort, claimed) VALUES (?, ?, ?, ?, 0)"
            " ON CONFLICT (ref) DO UPDATE SET claimed = 0 WHERE last_resort = 1",
            (device_key, package.ref, package.package, int(package.last_resort)),
        )
    held, _ = key_packages_held(db, device_key)
    if held > limit:
        raise Conflict(
            f"A device may have {limit} key packages waiting.", code="too-many-key-packages"
        )
    return held


def key_packages_held(db: apsw.Connection, device_key: bytes) -> tuple[int, bool]:
    """(one-time packages held, whether there is a last resort)."""
    sql = "SELECT last_resort, count(*) FROM key_packages WHERE device = ? AND claimed = 0 GROUP BY last_resort"
    counts = dict(db.execute(sql, (device_key,)))
    return int(counts.get(0, 0)), bool(counts.get(1, 0))


def claim_key_package(db: apsw.Connection, device_key: bytes) -> bytes | None:
    """One package of a device: a one-time one, which is then gone, or the last resort; None if it
    has none or is revoked.
    """
    if not is_active(db, device_key):
        return None
    sql = "SELECT no, package, last_resort FROM key_packages WHERE device = ? AND claimed = 0 ORDER BY last_resort, no LIMIT 1"
    row = db.execute(sql, (device_key,)).fetchone()
    if row is None:
        return None
    if not row[2]:
        db.execute("UPDATE key_packages SET claimed = 1 WHERE no = ?", (row[0],))
    return bytes(row[1])


def key_package_owner(db: apsw.Connection, ref: bytes) -> bytes | None:
    """The device that uploaded the package with this KeyPackageRef, or None."""
    row = db.execute("SELECT device FROM key_packages WHERE ref = ?", (ref,)).fetchone()
    return bytes(row[0]) if row else None


def add_directory_root(db: apsw.Connection, log_index: int, root: bytes, record: bytes) -> None:
    """Stores a logged root of the derived map."""
    db.execute(
        "INSERT INTO directory_roots (log_index, root, record) VALUES (?, ?, ?)",
        (log_index, root, record),
    )


def last_directory_root(db: apsw.Connection) -> tuple[int, bytes, bytes] | None:
    """(log index, root, record) of the newest logged root, or None."""
    sql = "SELECT log_index, root, record FROM directory_roots ORDER BY log_index DESC LIMIT 1"
    row = db.execute(sql).fetchone()
    return (row[0], bytes(row[1]), bytes(row[2])) if row else None
