"""The published Platform API v2 over the sandbox's org: the same recordings, ids, times and bytes as the guide side.

`routes` says which path is which operation; each operation lives in the file of its subject. Links, faults, clock
and counters are the sandbox's own. docs/sandbox.md lists what the two dialects cannot say alike.
"""
