"""Search: rows to find resources by, and criteria as SQL with the access predicate (R4, 3.1.1).

index         what a resource is found by, as rows of the search tables
comparisons   a value as a condition on such a row
shapes        a search without its values, by which statements are kept
conditions    a search's conditions as SQL over ``resource``; chains, ``_has``, compartments
choosing      which of them to start from
streams       rows to start from that an index has in order
words, asked  full text: the one table that each engine has in its own way
places        what is near a point
late          rows that are made before the first search for them, not when written
order, marks  sorting, and where a page starts, onwards or back
including     what a page brings with it
statements    what a search runs, compiled once a shape; the ways to a page
alike         whose records may be a described person's
searches      all of it as a Reader's ``search``
"""
