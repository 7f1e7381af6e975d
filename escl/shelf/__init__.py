"""Model files on disk: what their headers say, where they are, whether they are what their manifest promises."""
