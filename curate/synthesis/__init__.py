"""New rows that a model writes after a plan, of which only those stay that prove themselves.

`planning` says what each attempt is about, `exercises`, `textbook`, `instructions` and `evolving` what is asked and
when the answer counts, `line` keeps model, checks and the log going at once, `synthesising` is the whole.
"""
