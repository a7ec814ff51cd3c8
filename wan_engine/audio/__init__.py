"""Sound to features the speech-to-video model is driven by."""
