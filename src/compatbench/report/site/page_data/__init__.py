"""The data of the leaderboard's page, as compact JSON: the page's script draws it, and computes nothing of its own."""
