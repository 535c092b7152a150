"""Sentences of the app's own in a conversation's history: who came and who went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from counterseal.client.policy import Leaf


class AccountNames:
    """What accounts are called: a proved handle, else the first digits of the id."""

    def __init__(self, handles: Mapping[bytes, str]) -> None:
        self._handles = handles

    def join(self, accounts: Iterable[bytes]) -> str:
        """The names of several accounts, in the order of their ids."""
        names = [
            self._handles.get(account) or account.hex()[:8] for account in sorted(set(accounts))
        ]
        return ", ".join(names) or "nobody else"


def change_sentences(
    committer: Leaf,
    before: Iterable[Leaf],
    after: Iterable[Leaf],
    asked: Iterable[bytes | None],
    names: AccountNames,
) -> list[str]:
    """What a commit did to the roster: accounts that come and go, and further or fewer devices of
    accounts that stay. `asked` are the devices that had asked to be removed.
    """
    old, new = set(before), set(after)
    were, are = {account for account, _ in old}, {account for account, _ in new}
    came, went = new - old, old - new
    who = names.join([committer[0]])

    added = {account for account, _ in came} - were
    left = {account for account, device in went if device in set(asked)} - are
    removed = {account for account, _ in went} - are - left

    sentences = []
    if added:
        sentences.append(f"{who} added {names.join(added)}.")
    if left:
        sentences.append(f"{names.join(left)} left.")
    if removed:
        sentences.append(f"{who} removed {names.join(removed)}.")
    sentences += [
        f"{names.join([account])} reads with a further device from here on."
        for account in sorted({account for account, _ in came} & were)
    ]
    sentences += [
        f"A device of {names.join([account])} was removed."
        for account in sorted({account for account, _ in went} & are)
    ]
    return sentences
