"""Pages: a run's report, and the leaderboard."""
