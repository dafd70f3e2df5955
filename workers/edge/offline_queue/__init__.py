"""Hard frames that wait on disk while the cloud is away, and are asked of it when it is back.

`backlog` decides who goes first and who gives way, `stored_frame` is what one file says, `folder` is the disk, `queue` the thread
that has all of it.
"""
