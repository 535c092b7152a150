"""What the service decides, a file a subject: functions without I/O of their own.

They are handed the clock, the randomness and the store's tables, inside of one of the store's jobs.
"""
