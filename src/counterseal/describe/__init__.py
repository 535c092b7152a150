"""Texts for people about charters, warrants, listings, notices and keys: one room for the command
line, the pages and the apps.

Nothing here decides, reads or writes anything. Names and references are other people's words; a
caller that prints them on a terminal makes them safe first.
"""
