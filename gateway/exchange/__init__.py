"""FHIR's interactions as use cases (R4 http, 3.1.0): what the API answers, without HTTP.

writing    create, update, patch, delete, batch and transaction: each one unit
finding    which resource a condition is about
looking    read, vread, history
searching  search: who may, what is made first, what is shown
removal    how resources leave the hub
trail      who read what of another agency's
"""
