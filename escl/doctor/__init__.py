"""Is this machine ready? Each check looks at one thing and says ok, warn or fail, with what to do. Prints nothing."""
