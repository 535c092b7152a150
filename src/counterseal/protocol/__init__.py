"""What is signed and stored: one record a file; encode, decode, check. No clock, no network, no
randomness but keys.

The byte-exact specification is docs/protocol.md. Every rule that can refuse something carries its
number there, at the code that raises it, in the error and in a test. The package imports
`cryptography`, `msgspec` and the standard library.
"""
