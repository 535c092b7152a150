"""What every institution's program shares: its home, the service as it sees it, the domain's rules,
the log and its own copy of the ledger.
"""
