"""The revisions, a file each (``gateway.store.migrations``); what is released changes no more."""
