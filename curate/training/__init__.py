"""From curated rows to a model that answers: TRL's trainers, fed with rows whose every token was looked at first."""
