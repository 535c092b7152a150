"""Openers: who opens what holders released under a warrant, and writes the evidence."""
