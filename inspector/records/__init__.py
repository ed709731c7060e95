"""What is kept of the traffic: typed records with the contract's names, one file a kind.

A record's class is its schema: every field has a type and a sentence, and `schema.py` turns them into JSON Schema.
Records are plain data; they are written once and never refer back, so they stay out of the garbage collector's way.
"""
