"""The people and machines around a warrant, each a small program over `protocol` and `tlog`:
holders (custodians and witnesses), authorities (who make charters and issue warrants), openers.
What they share is in `common`; none of the three knows another.
"""
