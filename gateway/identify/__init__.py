"""Whose record a resource is when records of one person meet, and which of two facts is newer."""
