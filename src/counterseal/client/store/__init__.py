"""All SQL of a member's device: one file for each group of tables, typed rows, one transaction.

The tables share one encrypted database and one connection with the MLS state. That is what makes
"the cursor, the ratchet and the message row" one transaction: a crash leaves all of them or none.
Every method is one short read or write; what to write is decided elsewhere.
"""
