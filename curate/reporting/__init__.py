"""Pages and cards that tell a person what a run did."""
