"""The demonstration: a whole domain on one machine, each party a process of its own, and a
conversation replayed under the file's own clock.
"""
