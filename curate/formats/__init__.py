"""Files in and out: what an input is (`sources`), its records as JSON lines (`lines`), output by ending (`writing`).

Every format becomes lines of JSON: a line of JSONL as it stands, an element of a JSON array without its white space, a
row of CSV or Parquet as an object of its own fields. What comes after knows lines only.
"""
