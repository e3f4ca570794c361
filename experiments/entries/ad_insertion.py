"""Ad insertion in LLM-generated responses: marked ads are put into a finished reply, charged by VCG."""

from auctionsim.experiments.entries.registry import APPROXIMATELY, SystemEntry, register

register(
    SystemEntry(
        name="ad-insertion",
        label="Ad insertion",
        carrier="insertion",
        mechanism="vcg",
        citation=(
            'Chen, Deng, Huang, Schoenebeck and Xu (2026), "Ad Insertion in LLM-Generated Responses", arXiv 2601.19435'
        ),
        sold="A place for a marked ad inside a reply that was written without it.",
        pays="Ads are chosen for the greatest value, and each advertiser pays what its ad takes from the others.",
        claim=APPROXIMATELY,
        claims=(
            "VCG on bids for kinds of content is approximately dominant-strategy truthful and individually rational "
            "(abstract); the error is that of a kind of content standing for the very reply."
        ),
        exposure="Value of an ad in a kind of content, which stands for its fit with the reply at hand.",
        assumed=(
            "One kind of content: our contexts are pooled. Fit is how often the page names the brand as measured, "
            "where the paper has a language model that judges how well an ad fits."
        ),
    )
)
