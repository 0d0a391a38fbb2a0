"""Choosing the few by vectors: rows that lie apart, that stand for the others, that cover the topics.

`apart` is behind semantic-dup and deita, `spread` behind diverse and qdit, `topics` behind cluster.
"""
