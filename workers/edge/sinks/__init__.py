"""Where results go. A sink that cannot write says so once, is counted, and is tried again with the next frame."""
