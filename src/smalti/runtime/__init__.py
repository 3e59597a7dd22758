"""Fitted networks at work: what a graph may hold, the runtimes that run it, and models that others exported."""
