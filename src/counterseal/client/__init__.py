"""A member's device: its folder, its conversations, what it sends, and what it asks of everything
the service hands it.

The service is trusted with delivery and with nothing else: charters, keysets, accounts and periods
count only when the log proves them, and a frame is shown only when every rule of docs/protocol.md
section 5 is met.

Where to begin: `member_device` is the whole device as one object. From top to bottom, each file
knowing only those below it:

- `agent`, `member_device`, `following`, `overview`, `history_text`: what programs and people ask.
- `synchronising`, `sending`, `attachments`, `linking`, `own_devices`, `notices`, `accounts`,
  `key_packages`: one journey each.
- `membership`, `upkeep`, `commits`: changing a conversation, one MLS commit a change.
- `joining`, `receiving`, `handshakes`, `frames`, `windows`, `history`: what events and frames do.
- `session`, `directory`, `lookup`, `rule_updates`, `log`, `rules`, `periods`: what is verified.
- `stream`, `service_client`, `home`, `store`: network and disk.
- `policy`, `states`, `wording`, `sealed_files`, `file_names`: decisions and formats without I/O.
"""
