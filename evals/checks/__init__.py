"""Task files in OSWorld's format: what they say, how a machine is set up by them, how an episode is judged. Our own code throughout."""
