"""Recordings of real software with the truth about each, and the programs that record and compare them."""
