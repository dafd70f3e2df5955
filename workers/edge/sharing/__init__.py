"""Replicas of one edge worker share their sources: one captures and hands its frames out, every frame to one of them.

`exchange` has the two seams, `node_local` and `redis_exchange` are behind them; `capture` is what the capturer does beside that,
`shared_reader` what the pipeline sees of it all.
"""
