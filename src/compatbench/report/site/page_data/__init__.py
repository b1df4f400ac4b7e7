"""What the leaderboard's page shows, as compact JSON: the page's script draws it, and computes nothing of its own."""
