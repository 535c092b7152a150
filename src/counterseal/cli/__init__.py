"""The commands: one file a group; a command parses and prints, and decides nothing."""
