"""Every way in and every way out passes here: keys, scopes, policies, grants."""
