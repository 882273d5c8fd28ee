"""HMIS CSV out again: what came in by the feed ``hmis``, and what the hub knows since.

The maps of the way in are ``mappings/hmis``. A column that has no home in FHIR stays in the kept
row (``store/rows``) and nowhere else; an export starts from those rows, so that what wasn't
changed goes out byte for byte.

    layout    the files and columns of a year
    cells     rows taken apart and put together
    shape     a kept row as a row of the export
    outcomes  how the hub's Tasks stand, in HMIS's words
    events    referrals made in the hub, as rows of Event.csv
    export    the whole, as a zip
    report    what went out, and what didn't
    stays     who is enrolled and hasn't left, and who had a bed last night
    capacity  beds less open stays, at the HealthcareService
"""
