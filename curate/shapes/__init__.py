"""Shapes of records: `reading` makes rows of them, `rendering` records of rows."""
