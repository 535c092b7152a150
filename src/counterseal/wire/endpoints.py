"""All routes of the service, in order of matching: a path with fixed words comes before one that
would take them for a part.
"""

from __future__ import annotations

from typing import Any

from . import (
    account_recovery,
    accounts,
    blobs,
    charter,
    charters,
    conversations,
    domain,
    events,
    frames,
    key_packages,
    keyset_draft,
    keysets,
    ledger,
    ledger_tree,
    listings,
    log,
    material,
    notice_key,
    notices,
    operator,
    periods,
    publishing,
    revocations,
    shares,
    socket,
    windows,
    witness,
)
from .endpoint import Endpoint

ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    # devices, the busiest first
    frames.FRAMES_POST,
    events.EVENTS,
    windows.WINDOW_POST,
    conversations.COMMIT_POST,
    conversations.PROPOSAL_POST,
    periods.FRAME_INCLUSION,
    conversations.CONVERSATION_POST,
    conversations.CONVERSATIONS,
    events.INBOX,
    key_packages.KEY_PACKAGES_POST,
    key_packages.KEY_PACKAGES,
    key_packages.KEY_PACKAGES_CLAIM,
    accounts.ACCOUNT_POST,
    accounts.CHAIN_POST,
    accounts.PROFILE_PUT,
    accounts.ACCOUNT,
    accounts.HANDLE,
    blobs.BLOB_POST,
    blobs.BLOB_PATCH,
    blobs.BLOB,
    socket.SOCKET,
    # anybody
    domain.HEALTH,
    domain.IDENTITY,
    domain.CLOCK,
    charter.CHARTER_IN_FORCE,
    charters.CHARTERS,
    publishing.CHARTER_POST,
    charter.CHARTER,
    keyset_draft.KEYSET_DRAFT,
    keyset_draft.HOLDER_KEY_POST,
    publishing.KEYSET_POST,
    keysets.KEYSETS,
    revocations.REVOCATIONS,
    publishing.REVOCATION_POST,
    ledger.LEDGER_POST,
    ledger_tree.LEDGER_STATUS,
    log.LOG_PROOF,
    ledger_tree.LEDGER_PROOF,
    log.LOG_CONSISTENCY,
    ledger_tree.LEDGER_CONSISTENCY,
    log.STATEMENT,
    account_recovery.RECOVERY,
    notices.NOTICES,
    periods.PERIODS,
    log.LOG_CHECKPOINT,
    log.LOG_FILE,
    ledger.LEDGER_CHECKPOINT,
    ledger.LEDGER_CHUNK,
    ledger_tree.LEDGER_FILE,
    # institutions
    material.LISTINGS,
    listings.HOLDER_LISTING,
    material.MATERIAL,
    shares.SHARES_POST,
    material.SHARES,
    notice_key.NOTICE_KEY,
    accounts.ACCOUNT_CHAIN,
    notices.NOTICE_POST,
    # the operator
    operator.CLOCK_STEP,
    operator.DRAINED,
)

WITNESS_ENDPOINTS: tuple[Endpoint[Any, Any], ...] = (
    witness.WITNESS_HEALTH,
    witness.WITNESS_NOTICES,
    witness.WITNESS_HOLDER_KEY,
    witness.WITNESS_KEYSET,
)
"""What a witness answers itself."""
