"""Care Gateway: agencies that don't know each other, acting as one community.

A record's journey, a line a stage; ``pipeline`` joins them:

    receive    bytes come in over MLLP or HTTP and are answered once they are on disk
    parse      bytes become a Record that knows the place of everything in it
    translate  a Record becomes FHIR R4 resources by the agency's map
    identify   the same person in several agencies' records is found
    store      the hub: versions, search, grants and events in one transaction
    route      the referral finds an agency that can help
    deliver    each event reaches each subscriber, in order, at least once
    close      the outcome goes back to whoever asked, in the dialect that they speak
"""
