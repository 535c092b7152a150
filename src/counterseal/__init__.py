"""End-to-end encrypted messaging whose lawful opening takes two quorums and leaves a public
trace.
"""
