"""Judging rows by a model: rubrics, scores, and what they are worth against people's labels."""
