"""The HTTP interface: bytes become a typed call, its result becomes bytes; wire/ has the types."""
