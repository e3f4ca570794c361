"""Who bids: strategies from valuations to bids, fixed or learned."""

if __name__ == "agents":
    raise ImportError("import auctionsim.agents: the folder 'agents' is installed under that name")
