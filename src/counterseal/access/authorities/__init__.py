"""Authorities: who drafts a charter and takes it through its ceremony, and who issues, approves and
follows warrants. Nothing here opens or releases anything.
"""
