"""Whether the service can do its work; after a fatal error it cannot, and stops."""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger("counterseal.service")


class Health:
    """The first fatal error, if there was one. `stop` asks the server to shut down."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._fatal: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether a fatal error ended the service."""
        return self._fatal is not None

    def wrong(self) -> str | None:
        """What is wrong with the service, in a sentence, or None."""
        if self._fatal is None:
            return None
        return f"The service is stopping: {type(self._fatal).__name__}."

    def on_fatal(self, error: BaseException) -> None:
        """Has the service stop."""
        if self._fatal is None:
            self._fatal = error
            _log.critical("the service stops: %s: %s", type(error).__name__, error)
            self._stop()
