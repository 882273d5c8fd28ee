"""The command line's groups, a file each; what a command needs it imports when it runs.

flags   the settings, each a flag
map     maps drafted, checked, tried, explained, compared
load    a file, folder or archive into the hub
export  HMIS CSV out of it
keeping migrate, backup, restore: the database's keeper
"""
