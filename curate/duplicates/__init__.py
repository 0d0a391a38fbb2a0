"""Near-duplicates: `near` finds them among texts, `in_files` among the rows of files and nothing else."""
