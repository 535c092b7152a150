"""All that the service keeps: one SQLite database, one writer thread, typed functions a
resource.
"""
