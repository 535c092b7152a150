"""The people and machines around a warrant: issuer, custodian, witness, opener. Each is a small
program over `protocol` and `tlog`.

What a custodian or a witness runs (`store`, `http`, `home`, `ledger`, `holder`, `custodian`,
`witness`) imports those two packages, `cryptography`, `msgspec` and the standard library, and
nothing else, so that its owner can read all of it.
"""
